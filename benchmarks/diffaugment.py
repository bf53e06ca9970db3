"""The effect of DiffAugment on a GAN that sees few images.

    python benchmarks/diffaugment.py [digits|patches] [IMAGES] [STEPS] [SEEDS]

A narrow DCGAN is trained on a few images, with and without DiffAugment, on equal seeds; its images are
compared with others that no training saw. Printed are the Fréchet distance for each seed, and the ratio of
the means.

digits: scans of 8x8, compared with the reference split by their pixels (64 dimensions, in [0, 1]).
patches: crops of photographs, 32x32 in colour (extra `photos`), compared with other crops of the same
photographs on the features of a random network. Crops of other scenes would lie farther off than any copy.
"""

import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ganguard.architectures.checkpoint import load_checkpoint
from ganguard.base.compute import Compute
from ganguard.base.images import to_uint8
from ganguard.base.seeds import normal
from ganguard.data.dataset import load_dataset, parse_dataset
from ganguard.data.splits import split
from ganguard.metrics import frechet_distance
from ganguard.metrics.features.network import extract, load_features, parse_features
from ganguard.training.loop import train_generator
from ganguard.training.settings import TrainingSettings

MADE = 2000  # generated images to compare


@dataclass(frozen=True)
class Case:
    """A comparison.

    Attributes:
        seen: training images (N, C, H, W) uint8.
        unseen: images to compare with.
        architecture: what is trained.
        rows: images (N, C, H, W) uint8 -> rows (N, D) that are compared.
    """

    seen: Tensor
    unseen: Tensor
    architecture: dict[str, Any]
    rows: Callable[[Tensor], Tensor]


def digits(count: int) -> Case:
    """Return the case of scans: some of the train split, and the reference split."""
    real = load_dataset(parse_dataset("digits"))
    rows = split(real)
    seen, unseen = real.images[rows.train][:count], real.images[rows.reference]
    return Case(
        seen,
        unseen,
        {"kind": "dcgan", "width": 16, "latent_dim": 16},
        lambda images: images.flatten(1).float() / 255,
    )


def patches(count: int) -> Case:
    """Return the case of crops of the ten photographs in turn, and of later crops of the same."""
    images = load_dataset(parse_dataset({"kind": "photo_patches", "size": 32, "count": count + MADE})).images
    network = load_features(parse_features({"kind": "random_network", "seed": 0}), Path(), 3).eval()
    settings = {"kind": "dcgan", "width": 16, "latent_dim": 64}
    return Case(images[:count], images[count:], settings, lambda found: extract(network, found, Compute()))


CASES = {"digits": digits, "patches": patches}


def made_by(checkpoint: Path) -> Tensor:
    """Return images of a checkpoint's G, (MADE, C, H, W) uint8."""
    G = load_checkpoint(checkpoint).networks.generator.eval()
    with torch.inference_mode():
        return torch.cat([to_uint8(G(z)) for z in normal(1, "latents", range(MADE), G.latent_dim).split(250)])


def main(case: Case, steps: int, seeds: int) -> None:
    """Train, compare and print."""
    theirs = case.rows(case.unseen)
    print(
        f"the {len(case.seen)} images themselves: {frechet_distance(case.rows(case.seen), theirs):.3f}",
        flush=True,
    )
    found: dict[str, list[float]] = {"none": [], "diffaugment": []}
    for seed in range(seeds):
        for augment, distances in found.items():
            said = {
                "architecture": case.architecture,
                "steps": steps,
                "batch_size": 32,
                "n_dis": 1,
                "augment": augment,
            }
            with tempfile.TemporaryDirectory() as folder:
                settings = TrainingSettings.model_validate(said)
                path = train_generator(case.seen, settings, Path(folder), seed=seed, compute=Compute())
                distances.append(frechet_distance(case.rows(made_by(path)), theirs))
            print(f"seed {seed}, {augment}: {distances[-1]:.3f}", flush=True)
    without, augmented = (sum(distances) / seeds for distances in found.values())
    print(f"means {without:.3f} and {augmented:.3f}: {augmented / without:.2f} times the distance with it")


if __name__ == "__main__":
    of = sys.argv[1] if sys.argv[1:] and sys.argv[1] in CASES else "digits"
    given = [int(value) for value in sys.argv[1:] if value not in CASES]
    images, *others = (*given, *(200, 2000, 3)[len(given) :])
    main(CASES[of](images), *others)
