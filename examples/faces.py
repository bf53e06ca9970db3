"""A published DCGAN of faces at 64x64 as a target: gan-face-generate 1.1.1 of PyPI, under the MIT licence.

    pip install --no-deps gan-face-generate==1.1.1
    cd examples; python faces.py; ganguard audit faces.yaml

The package's own data are not published with it, so `python faces.py` writes images of the generator, of a
seed of their own, as the real ones: accuracy says nothing here, and fidelity depends on them by the scale of
the features alone.
"""

from pathlib import Path

import torch
from PIL import Image

from ganguard.targets.published_faces import LATENT_DIM, make

COUNT, BATCH, SEED = 1200, 100, 1


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
