"""A published DCGAN of faces, 64x64 in colour, for `{python: "ganguard.targets.published_faces:make"}`: the
weights of gan-face-generate 1.1.1 (PyPI; Radford et al. 2016 by way of PyTorch's tutorial).

The package, with its weights, is under the MIT licence. The weights were learnt from DigiFace-1M, whose own
terms of use bind whoever has its images; what they say of weights learnt from them was not checked. Of the
package only `models.py` is imported, which needs nothing but torch. It installs on Python up to 3.12.
"""

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ganguard.base.cache import file_digest
from ganguard.base.errors import TargetError

PACKAGE = "gan_face_generate"
SHA256 = "0c3b90b138cfc4e8a73310b9fd5ce2a8f1f3a542a037de277412307fcd28771f"
LATENT_DIM, WIDTH = 100, 64


class Faces(nn.Module):
    """z (N, 100) -> images (N, 3, 64, 64) in [-1, 1]. The package's G takes z as an image of one pixel."""

    latent_dim = LATENT_DIM

    def __init__(self, generator: nn.Module) -> None:
        super().__init__()
        self.generator = generator

    def forward(self, z: Tensor) -> Tensor:
        return self.generator(z[:, :, None, None])


def make() -> nn.Module:
    """Return G with the published weights, of which only tensors are read. D was not published.

    Raises TargetError if the package is not installed, or its weights are not the published ones.
    """
    spec = find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise TargetError(
            "the published face DCGAN is not installed. Run: pip install --no-deps gan-face-generate==1.1.1 "
            "(Python up to 3.12)"
        )
    file = Path(spec.origin).parent / "weights.tar"
    if not file.is_file() or file_digest(file) != SHA256:
        raise TargetError(f"{file}: not the weights of gan-face-generate 1.1.1. Install that version.")
    models: Any = import_module(f"{PACKAGE}.models")
    G = models.Generator(0, 3, LATENT_DIM, WIDTH)
    saved: dict[str, Any] = torch.load(file, map_location="cpu", weights_only=True)
    G.load_state_dict(saved["netG_state_dict"])
    return Faces(G.eval())
