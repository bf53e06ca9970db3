"""Which judge finds the power by which a purchase is best refined? (R5; docs/r5.md)

    python benchmarks/r5_judges.py AUDIT [ADVERSARIES] [BOUGHT] [SHARE]

AUDIT is the directory of a finished audit that trained its target on labelled real images, such as
`ganguard audit fashion`. Each of ADVERSARIES (5) buys BOUGHT images (5,000) of its target by a seed of its
own, and holds SHARE (0.01) of the real images that the target was trained on. The purchase is refined with
the target's D, as `accuracy_white_box` does it, by cross-fitting and by one split, and two judges choose the
power: one compares by a small classifier that learnt X_r, one by a random network that learnt nothing.

Printed is, for each power, the Fréchet distance of the refined set to the reference split by the audit's
features, which no adversary has, and what both judges say. At the end stand, for each way, the ratios of the
chosen set's distance to that of the unrefined purchase, with their geometric mean and 95 % t-interval over
the adversaries, and the same for the best power, which nobody can know.
"""

import sys
import tempfile
from collections.abc import Callable, Mapping
from functools import partial
from math import exp, log
from pathlib import Path

import torch
from few_images import only
from torch import Tensor

from ganguard.attacks.subsampling.refining import Refinement, refine
from ganguard.attacks.subsampling.refining_settings import Refining
from ganguard.audit.spec.judge import JUDGE_OF_ALL
from ganguard.audit.steps.judge import read_judge, write_judge
from ganguard.audit.steps.knowledge import judge_by
from ganguard.audit.steps.real import load_real
from ganguard.base.compute import Compute
from ganguard.comparison.embedding import load_embedding
from ganguard.data.splits import adversary_split
from ganguard.metrics import frechet_distance
from ganguard.metrics.features.network import Standardisation, extract, load_features
from ganguard.results.intervals import t_interval
from ganguard.targets.checkpoint import CheckpointTarget

FIRST = 91_000  # the seed of the first adversary
COMPUTE = Compute(device="cpu", threads=1)
LEARNT, RANDOM, BEST = "a classifier of X_r", "a random network", "the best power"
Embed = Callable[[Tensor], Tensor]


def by_random_network(held: Tensor) -> Embed:
    """Return features that nobody has trained, on the scale of what the adversary holds."""
    network = load_features(JUDGE_OF_ALL, Path(), held.shape[1])
    scale = Standardisation.fit(extract(network, held, COMPUTE), "the adversary's own set")
    return lambda images: scale(extract(network, images, COMPUTE))


def main(audit: Path, adversaries: int, bought: int, share: float) -> None:
    """Buy, refine, judge and print."""
    real, grade = load_real(only(audit, "real")), load_embedding(only(audit, "features"), COMPUTE)
    reference = grade(real.images[real.reference])
    target = CheckpointTarget(checkpoint=str(audit / "checkpoints" / "target")).load(COMPUTE)
    ratios: dict[str, list[float]] = {}
    for seed in range(FIRST, FIRST + adversaries):
        images = target.sample(range(bought), seed=seed)
        own, aside = adversary_split(real.train, share, seed=seed, groups=real.groups)
        X_r, held = real.images[own], real.images[torch.cat([own, aside])]
        with tempfile.TemporaryDirectory() as directory:
            write_judge(None, Path(directory), X_r, held, real.labels_of(own), COMPUTE, seed=seed)
            networks = {LEARNT: read_judge(Path(directory), COMPUTE), RANDOM: by_random_network(held)}
        print(f"adversary {seed}: {bought:,} bought images, X_r {len(X_r):,}, held out {len(aside):,}")
        for fitting in ("crossed", "split"):
            settings = Refining.model_validate({"fitting": fitting})
            found = {
                name: refine(
                    images,
                    X_r,
                    target.discriminator,
                    settings,
                    judge_by(embed, real.images[aside]),
                    seed=seed,
                    judge_against=partial(judge_by, embed),
                )
                for name, embed in networks.items()
            }
            sets = [images[refined.kept] for refined in found[LEARNT].tried]
            distances = [frechet_distance(grade(rows), reference) for rows in sets]
            say(fitting, found, distances)
            for name, each in found.items():
                chosen = [refined.power for refined in each.tried].index(each.best.power)
                ratios.setdefault(f"{fitting}, {name}", []).append(distances[chosen] / distances[0])
            ratios.setdefault(f"{fitting}, {BEST}", []).append(min(distances) / distances[0])
    for name, values in ratios.items():
        mean, half = t_interval([log(value) for value in values])
        print(f"{name}: {exp(mean):.2f} ({exp(mean - half):.2f} to {exp(mean + half):.2f}); ", end="")
        print(", ".join(f"{value:.2f}" for value in values))


def say(fitting: str, found: Mapping[str, Refinement], distances: list[float]) -> None:
    """Print a line for each power."""
    for place, distance in enumerate(distances):
        said = [
            f"{name} {each.tried[place].score:.5f}{' (chosen)' * (each.best is each.tried[place])}"
            for name, each in found.items()
        ]
        power = found[LEARNT].tried[place].power
        print(f"{fitting}, power {power:g}: FD {distance:.3f}; {', '.join(said)}", flush=True)


if __name__ == "__main__":
    if not sys.argv[1:]:
        raise SystemExit("Give the directory of a finished audit.")
    torch.set_num_threads(1)
    numbers = [float(value) for value in sys.argv[2:5]]
    adversaries, bought, share = *numbers, *(5, 5000, 0.01)[len(numbers) :]
    main(Path(sys.argv[1]), int(adversaries), int(bought), share)
