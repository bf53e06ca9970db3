"""Which recipe copies a target best from a few bought images, and does any come closer than the images?

    python benchmarks/few_copies.py AUDIT [IMAGES] [PURCHASES]

AUDIT is the directory of a finished audit of digits, such as `ganguard audit digits`. PURCHASES times (4),
IMAGES (200) are bought of its target, by seeds of no audit. Each recipe trains a copy on each purchase, about
a minute of a core, and 8,000 of its images are compared with as many of the target that nobody bought, by the
audit's features. Printed is, for each recipe, the geometric mean of the ratio of its Fréchet distance to that
of the first one, with its 95 % t-interval over purchases, and the same for the bought images.
"""

import tempfile
from collections.abc import Mapping
from math import exp, log
from pathlib import Path
from typing import Any

import torch

from ganguard.base.seeds import derived_seed
from ganguard.metrics import frechet_distance
from ganguard.results.intervals import t_interval
from ganguard.targets.checkpoint import CheckpointTarget
from ganguard.training.loop import train_generator
from ganguard.training.settings import TrainingSettings
from of_audit.finished import COMPUTE, FIRST, SEEN, asked, embedding_of, target_of

DRAWN = 8000
SNGAN: Mapping[str, Any] = {  # of `digits`
    "architecture": "sngan",
    "steps": 2250,
    "batch_size": 32,
    "learning_rate": 4.0e-3,
    "ema_decay": 0.997,
    "n_dis": 2,
}
RECIPES: Mapping[str, Mapping[str, Any]] = {
    "sngan": SNGAN,
    "sngan, ADA": {**SNGAN, "augment": {"kind": "ada", "images": 50_000}},
    "sngan, DiffAugment": {**SNGAN, "augment": "diffaugment"},
}


def main(audit: Path, images: int, purchases: int) -> None:
    """Buy, train, compare and print."""
    embed, target = embedding_of(audit), target_of(audit)
    theirs = embed(target.sample(range(DRAWN), seed=SEEN))
    distances: dict[str, list[float]] = {}
    for seed in range(FIRST, FIRST + purchases):
        bought = target.sample(range(images), seed=seed)
        distances.setdefault("bought images", []).append(frechet_distance(embed(bought), theirs))
        for name, recipe in RECIPES.items():
            with tempfile.TemporaryDirectory() as directory:
                settings, own = TrainingSettings.model_validate(recipe), derived_seed(seed, "substitute")
                made = train_generator(bought, settings, Path(directory), seed=own, compute=COMPUTE)
                copy = CheckpointTarget(checkpoint=str(made)).load(COMPUTE).sample(range(DRAWN), seed=seed)
            distances.setdefault(name, []).append(frechet_distance(embed(copy), theirs))
        print(f"purchase {seed}: " + ", ".join(f"{k} {v[-1]:.3f}" for k, v in distances.items()), flush=True)
    first = next(iter(RECIPES))
    for name, found in distances.items():
        if name == first:
            continue
        logs = [log(value / other) for value, other in zip(found, distances[first], strict=True)]
        mean, half = t_interval(logs)
        print(f"{name} / {first}: {exp(mean):.2f} ({exp(mean - half):.2f} to {exp(mean + half):.2f})")


if __name__ == "__main__":
    torch.set_num_threads(1)
    said = asked(__doc__, images=200, purchases=4)
    main(said.audit, said.images, said.purchases)
