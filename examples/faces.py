"""A published DCGAN of faces at 64x64 as a target: gan-face-generate 1.1.1 of PyPI, under the MIT licence.

    pip install --no-deps gan-face-generate==1.1.1
    cd examples; python faces.py; ganguard audit faces.yaml

The package's own data are not published with it, so `python faces.py` writes images of the generator, of a
seed of their own, as the real ones: accuracy says nothing here, and fidelity depends on them by the scale of
the features alone.
"""

from importlib.util import find_spec
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor, nn

LATENT_DIM = 100
COUNT, BATCH, SEED = 1200, 100, 1


class Faces(nn.Module):
    """The package's G, which takes z as an image of one pixel."""

    latent_dim = LATENT_DIM

    def __init__(self, generator: nn.Module) -> None:
        super().__init__()
        self.generator = generator

    def forward(self, z: Tensor) -> Tensor:
        return self.generator(z[:, :, None, None])


def make() -> nn.Module:
    """Return G with the package's weights, of which only tensors are read."""
    from gan_face_generate.models import Generator

    spec = find_spec("gan_face_generate")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("gan_face_generate")
    generator = Generator(ngpu=1, nc=3, nz=LATENT_DIM, ngf=64)
    saved = torch.load(Path(spec.origin).parent / "weights.tar", map_location="cpu", weights_only=True)
    generator.load_state_dict(saved["netG_state_dict"])
    return Faces(generator.eval())


@torch.inference_mode()
def write(folder: Path) -> None:
    """Write COUNT images of G."""
    folder.mkdir(exist_ok=True)
    generator, drawn = make(), torch.Generator().manual_seed(SEED)
    for start in range(0, COUNT, BATCH):
        images = generator(torch.randn(BATCH, LATENT_DIM, generator=drawn))
        pixels = ((images.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
        for i, image in enumerate(pixels, start):
            Image.fromarray(image).save(folder / f"{i:05}.png")


if __name__ == "__main__":
    write(Path("faces"))
