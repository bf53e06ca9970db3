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

import tempfile
from collections.abc import Mapping
from math import exp, log
from pathlib import Path

import torch

from ganguard.attacks.protocol import Knowledge
from ganguard.attacks.real_images import require_real
from ganguard.attacks.subsampling.refining import Refinement, refine
from ganguard.attacks.subsampling.refining_settings import Refining
from ganguard.audit.spec.judge import JUDGE_OF_ALL
from ganguard.audit.steps.judge import write_judge
from ganguard.audit.steps.knowledge import knowledge
from ganguard.audit.steps.known_files import write_known
from ganguard.audit.steps.real import Real, load_real
from ganguard.data.splits import adversary_split
from ganguard.metrics import frechet_distance
from ganguard.results.intervals import t_interval
from of_audit.finished import COMPUTE, asked, embedding_of, only, target_of

FIRST = 91_000  # the seed of the first adversary
LEARNT, RANDOM, BEST = "a classifier of X_r", "a random network", "the best power"
JUDGES = {LEARNT: None, RANDOM: JUDGE_OF_ALL}


def known_by(real: Real, share: float, judge: str, *, seed: int) -> Knowledge:
    """Return what an adversary knows that holds a share of the real images, with one of the two judges, as an
    audit makes it known."""
    own, aside = adversary_split(real.train, share, seed=seed, groups=real.groups)
    X_r, held_out, labels = real.images[own], real.images[aside], real.labels_of(own)
    with tempfile.TemporaryDirectory() as directory:
        place = Path(directory)
        write_known(place, X_r, held_out, labels)
        everything = torch.cat([X_r, held_out])
        write_judge(JUDGES[judge], place, X_r, everything, labels, COMPUTE, seed=seed)
        return knowledge(place, None, COMPUTE)


def main(audit: Path, adversaries: int, bought: int, share: float) -> None:
    """Buy, refine, judge and print."""
    real, grade, target = load_real(only(audit, "real")), embedding_of(audit), target_of(audit)
    reference = grade(real.images[real.reference])
    ratios: dict[str, list[float]] = {}
    for seed in range(FIRST, FIRST + adversaries):
        images = target.sample(range(bought), seed=seed)
        known = {name: known_by(real, share, name, seed=seed) for name in JUDGES}
        print(f"adversary {seed}: {bought:,} bought images")
        for fitting in ("crossed", "split"):
            settings = Refining.model_validate({"fitting": fitting})
            found: dict[str, Refinement] = {}
            for name, knows in known.items():
                X_r, judge = require_real(knows, target.image_shape)
                found[name] = refine(
                    images,
                    X_r,
                    target.discriminator,
                    settings,
                    judge,
                    seed=seed,
                    judge_against=knows.judge_against,
                )
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
    torch.set_num_threads(1)
    told = asked(__doc__, adversaries=5, bought=5000, share=0.01)
    main(told.audit, told.adversaries, told.bought, told.share)
