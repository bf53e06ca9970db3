"""Inception v3 of 2015-12-05, which the Fréchet Inception distance was introduced with (Heusel et al. 2017),
in the TorchScript file that NVIDIA published for StyleGAN2-ADA and that clean-fid uses too.
"""

from pathlib import Path
from typing import ClassVar, Literal

import torch
from pydantic import field_validator
from torch import Tensor, nn

from ganguard.base.cache import cache_directory, file_digest
from ganguard.base.compute import Compute
from ganguard.base.errors import CheckpointError, MetricError
from ganguard.base.settings import absolute, one_line
from ganguard.metrics.features.download import download
from ganguard.metrics.features.network import FeatureNetwork, FeatureSettings, Sha256, extract, require_same
from ganguard.metrics.features.preprocessing import with_channels
from ganguard.metrics.features.torchscript import load_readable, run_program

NAME = "inception-2015-12-05.pt"
URL = f"https://nvlabs-fi-cdn.nvidia.com/stylegan2-ada-pytorch/pretrained/metrics/{NAME}"
# k-diffusion, among others, pins the same
SHA256 = "f58cb9b6ec323ed63459aa4fb441fe750cfe39fafad6da5cb504a16f19e958f4"
MOST_BYTES = 128 << 20  # the file has 95,607,719


class Inception(FeatureSettings):
    """Settings of Inception.

    path: of the file; None takes the published one from this user's cache, and downloads it where that has
    none.
    trusted: whether a file may be run that is not the published one, whose SHA-256 is known: TorchScript is
    code.
    sha256: of the file; another is refused.
    """

    kind: Literal["inception"] = "inception"
    path: str | None = None
    trusted: bool = False
    sha256: Sha256 | None = None

    @field_validator("path")
    @classmethod
    def _absolute(cls, path: str | None) -> str | None:
        return None if path is None else absolute(path)

    def fingerprint(self) -> str:
        """SHA-256 of the file; of the published one without a download. Raises CheckpointError where the file
        is absent, is neither the published one nor trusted, or is not the one that is pinned."""
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
        """The network. Raises CheckpointError as `fingerprint` does, and where a download fails or the file
        is no Inception."""
        published = self.fingerprint() == SHA256
        file = Path(self.path) if self.path else download(URL, cache_directory() / NAME, SHA256, MOST_BYTES)
        network = InceptionNetwork(str(file), load_readable(file))
        if not published:
            _require_interface(network)
        return network


class InceptionNetwork(FeatureNetwork):
    """images (N, 3, H, W) uint8, or grey ones, of any side -> features (N, 2048), or probabilities (N, 1008).

    It resizes to 299x299 by itself: bilinear without antialiasing, as the original does. So its distances are
    those of the papers on StyleGAN, and not those of clean-fid's mode `clean`, which resizes images itself.
    """

    takes: ClassVar[Literal["float", "uint8"]] = "uint8"
    smallest_side: ClassVar[int] = 1
    at_once: ClassVar[int | None] = 64

    def __init__(self, name: str, program: nn.Module) -> None:
        super().__init__()
        self.name = name
        self.program = program

    def features(self, images: Tensor) -> Tensor:
        """The inputs of the last layer, averaged over the image. Raises MetricError where the program
        raises."""
        return run_program(
            self.name, lambda given: self.program(given, return_features=True), with_channels(images, 3)
        )

    def probabilities(self, images: Tensor) -> Tensor:
        """Softmax of the last layer without its bias, as in the inception score's own code (Salimans et al.
        2016)."""
        return run_program(
            self.name, lambda given: self.program(given, no_output_bias=True), with_channels(images, 3)
        )


def _require_interface(network: InceptionNetwork) -> None:
    """Raise CheckpointError where somebody's own file does not answer as the published one."""
    probe = torch.zeros(2, 3, 32, 32, dtype=torch.uint8)
    try:
        extract(network, probe, Compute())
        extract(network, probe, Compute(), output="probabilities")
    except MetricError as problem:
        said = one_line(str(problem).removeprefix(f"{network.name}: "), 300)
        raise CheckpointError(f"{network.name}: not of the interface of {NAME} ({said})") from None
