"""Inception v3 of 2015-12-05, with which the Fréchet Inception distance was introduced (Heusel et al. 2017).

It is the TorchScript file that NVIDIA published for StyleGAN2-ADA, and that clean-fid uses too.
"""

from pathlib import Path
from typing import ClassVar, Literal

import torch
from pydantic import field_validator
from torch import Tensor, nn

from ganguard.base.cache import cache_directory, file_digest
from ganguard.base.compute import Compute
from ganguard.base.download import download
from ganguard.base.errors import CheckpointError, MetricError
from ganguard.base.settings import absolute, one_line
from ganguard.metrics.features.network import FeatureNetwork, FeatureSettings, Sha256, extract, require_same
from ganguard.metrics.features.preprocessing import with_channels
from ganguard.metrics.features.torchscript import load_readable, run_program

NAME = "inception-2015-12-05.pt"
URL = f"https://nvlabs-fi-cdn.nvidia.com/stylegan2-ada-pytorch/pretrained/metrics/{NAME}"
# k-diffusion, among others, pins the same digest.
SHA256 = "f58cb9b6ec323ed63459aa4fb441fe750cfe39fafad6da5cb504a16f19e958f4"
MOST_BYTES = 128 << 20  # the file has 95,607,719
LAYERS_BYTES = 10 << 20  # for one image of 299x299; 64 of them were measured to take 840 MB


class Inception(FeatureSettings):
    """Settings of Inception.

    Attributes:
        path: the file; None takes the published one from this user's cache, or downloads it first.
        trusted: whether to run a file other than the published one, whose SHA-256 is known: TorchScript is
            code.
        sha256: SHA-256 of the file; another file is refused.
    """

    kind: Literal["inception"] = "inception"
    path: str | None = None
    trusted: bool = False
    sha256: Sha256 | None = None
    pretrained: ClassVar[bool] = True

    @field_validator("path")
    @classmethod
    def _absolute(cls, path: str | None) -> str | None:
        return None if path is None else absolute(path)

    def fingerprint(self) -> str:
        """Return the SHA-256 of the file; for the published one, without a download.

        Raises CheckpointError if the file is absent, is neither the published one nor trusted, or is not the
        pinned one.
        """
        if self.path is None:
            return require_same(NAME, self.sha256, SHA256)
        file = Path(self.path)
        if not file.is_file():
            raise CheckpointError(
                f"{file}: no such file. Give the path of {NAME}, or leave `path` out to download it."
            )
        if (found := file_digest(file)) != SHA256 and not self.trusted:
            raise CheckpointError(
                f"{file}: its SHA-256 must be {SHA256}, that of the published file; it is {found}. Download "
                "it again, or set `trusted: true` if you know where it comes from: TorchScript can run "
                "code."
            )
        return require_same(self.path, self.sha256, found)

    def load(self, directory: Path, channels: int) -> "InceptionNetwork":
        """Return the network.

        Raises CheckpointError as `fingerprint` does, and if a download fails or the file is no Inception.
        """
        published = self.fingerprint() == SHA256
        file = Path(self.path) if self.path else download(URL, cache_directory() / NAME, SHA256, MOST_BYTES)
        network = InceptionNetwork(str(file), load_readable(file))
        if not published:
            _require_interface(network)
        return network


class InceptionNetwork(FeatureNetwork):
    """Images (N, 1 or 3, H, W) uint8 of any side -> features (N, 2048), or probabilities (N, 1008).

    It resizes to 299x299 itself, bilinearly without antialiasing, as the original does. So its distances are
    those of the papers on StyleGAN, and not those of clean-fid's mode `clean`, which resizes images itself.
    """

    takes: ClassVar[Literal["float", "uint8"]] = "uint8"
    smallest_side: ClassVar[int] = 1
    at_once: ClassVar[int | None] = 64

    def working_bytes(self, height: int, width: int) -> int:
        """Return the bytes for one image: its floats, and the layers' at the size that it resizes to."""
        return 40 * height * width + LAYERS_BYTES

    def __init__(self, name: str, program: nn.Module) -> None:
        super().__init__()
        self.name = name
        self.program = program

    def features(self, images: Tensor) -> Tensor:
        """Return the inputs of the last layer, averaged over the image.

        Raises MetricError if the program fails.
        """
        images = with_channels(images, 3)
        return run_program(self.name, lambda given: self.program(given, return_features=True), images)

    def probabilities(self, images: Tensor) -> Tensor:
        """Return the softmax of the last layer without its bias, as the inception score's own code does.

        Salimans et al. 2016.
        """
        images = with_channels(images, 3)
        return run_program(self.name, lambda given: self.program(given, no_output_bias=True), images)


def _require_interface(network: InceptionNetwork) -> None:
    """Raise CheckpointError if a user's own file does not answer as the published one does."""
    probe = torch.zeros(2, 3, 32, 32, dtype=torch.uint8)
    try:
        extract(network, probe, Compute())
        extract(network, probe, Compute(), output="probabilities")
    except MetricError as problem:
        said = one_line(str(problem).removeprefix(f"{network.name}: "), 300)
        raise CheckpointError(
            f"{network.name}: must have the interface of {NAME}; it does not ({said}). Give that file, or "
            "choose features: torchscript."
        ) from None
