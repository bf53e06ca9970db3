"""What DiffAugment does for a GAN that sees few images.

    python benchmarks/diffaugment.py [IMAGES] [STEPS] [SEEDS]

A narrow DCGAN is trained on a few of the digits, with and without, on equal seeds; its images are compared with the digits that
no training saw. Printed is the Fréchet distance of pixels (64 dimensions, in [0, 1]) for each seed, and the ratio of the means.
"""

import sys
import tempfile
from pathlib import Path

import torch
from torch import Tensor

from ganguard.architectures.checkpoint import load_checkpoint
from ganguard.base.compute import Compute
from ganguard.base.images import to_uint8
from ganguard.base.seeds import normal
from ganguard.data.dataset import load_dataset, parse_dataset
from ganguard.data.splits import split
from ganguard.metrics import frechet_distance
from ganguard.training.loop import train_gan
from ganguard.training.settings import TrainingSettings

ARCHITECTURE = {"kind": "dcgan", "width": 16, "latent_dim": 16}
MADE = 2000  # images that are compared


def made_by(checkpoint: Path) -> Tensor:
    """Images of a checkpoint's G, (MADE, 1, 8, 8) uint8."""
    G = load_checkpoint(checkpoint).networks.generator.eval()
    with torch.inference_mode():
        return to_uint8(G(normal(1, "latents", range(MADE), G.latent_dim)))


def pixels(images: Tensor) -> Tensor:
    """(N, 64) in [0, 1]."""
    return images.flatten(1).float() / 255


def main(count: int, steps: int, seeds: int) -> None:
    """Train, compare and print."""
    real = load_dataset(parse_dataset("digits"))
    rows = split(real)
    seen, unseen = real.images[rows.train][:count], real.images[rows.reference]
    floor = frechet_distance(pixels(seen), pixels(unseen))
    print(f"the {count} images themselves: {floor:.3f}")
    found: dict[str, list[float]] = {"none": [], "diffaugment": []}
    for seed in range(seeds):
        for augment, distances in found.items():
            said = {"architecture": ARCHITECTURE, "steps": steps, "batch_size": 32, "n_dis": 1, "augment": augment}
            with tempfile.TemporaryDirectory() as folder:
                settings = TrainingSettings.model_validate(said)
                path = train_gan(seen, settings, Path(folder), seed=seed, compute=Compute())
                distances.append(frechet_distance(pixels(made_by(path)), pixels(unseen)))
            print(f"seed {seed}, {augment}: {distances[-1]:.3f}", flush=True)
    without, augmented = (sum(distances) / seeds for distances in found.values())
    print(f"means {without:.3f} and {augmented:.3f}: {augmented / without:.2f} times the distance with it")


if __name__ == "__main__":
    given = [int(value) for value in sys.argv[1:]]
    main(*given, *(200, 2000, 3)[len(given) :])
