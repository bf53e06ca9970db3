"""Results, with pictures, as the report may meet them."""

import re
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ganguard.report import write_report
from ganguard.results.environment import Environment
from ganguard.results.records import (
    AccountRecord,
    AttackRecord,
    AuditResults,
    FeatureRecord,
    Measurement,
    Picture,
    StepRecord,
    TargetRecord,
    UseRecord,
    Verdict,
)

BUDGETS = (200, 1000, 5000)
FIDELITY = {"fidelity sngan": (36.2, 3.12, 1.31), "fidelity dcgan": (52.0, 5.9, 2.05)}
ACCURACY = {"fidelity sngan": (43.0, 6.4, 4.1), "fidelity dcgan": (61.0, 9.1, 5.2)}
FLOORS = (
    ("target", "target", 0.0612),
    ("target", "reference", 3.6),
    ("real", "reference", 0.24),
    ("noise", "target", 705.0),
    ("noise", "reference", 712.0),
)
SHARES = {"precision": 0.81, "recall": 0.62, "density": 1.04, "coverage": 0.77}
COMPARED = (
    "frechet_distance",
    "frechet_distance_infinity",
    "kernel_distance",
    *SHARES,
)  # what each set is compared by
EMPTY_CELLS = re.compile(r"\bnan\b|\bNone\b|N/A|\binf\b|Undefined|<module|object at 0x", re.IGNORECASE)


def measured_copies(label: str, seeds: range, draws: int, budgets: tuple[int, ...]) -> list[Measurement]:
    """Every metric of every copy, with a spread of a few per cent."""
    noise = np.random.default_rng(0)
    found: list[Measurement] = []
    for i, budget in enumerate(budgets):
        for against, distance in (("target", FIDELITY[label][i]), ("reference", ACCURACY[label][i])):
            for seed in seeds:
                for draw in range(draws):
                    for metric in COMPARED:
                        value = SHARES[metric] * (0.6 + 0.2 * i) if metric in SHARES else distance
                        record: dict[str, Any] = {
                            "subject": "substitute",
                            "attack": label,
                            "query_budget": budget,
                            "seed": seed,
                        }
                        record |= {
                            "draw": draw,
                            "metric": metric,
                            "against": against,
                            "images": 1000,
                            "compared": 540,
                        }
                        found.append(Measurement(**record, value=value * float(noise.normal(1, 0.04))))
    return found


def measured_floors(draws: int = 3) -> list[Measurement]:
    """The yardsticks, every metric, a few draws each."""
    values = {metric: SHARES.get(metric) for metric in COMPARED}
    return [
        Measurement(
            subject=subject,
            draw=draw,
            metric=metric,
            against=against,
            value=(value if share is None else share) * (1 + 0.02 * (draw - 1)),
            images=1000,
            compared=540,
        )
        for subject, against, value in FLOORS
        for draw in range(draws)
        for metric, share in values.items()
    ]


def make_results(
    labels: tuple[str, ...] = tuple(FIDELITY), seeds: int = 1, draws: int = 3, **changes: Any
) -> AuditResults:
    """Realistic results: 8×8 grey digits, two attacks at three budgets."""
    attacks = tuple(
        AttackRecord(label=label, kind="fidelity", architecture="sngan", query_budgets=BUDGETS, settings={})
        for label in labels
    )
    values: dict[str, Any] = {
        "name": "digits",
        "spec": {
            "target": {"train": {"dataset": "digits", "steps": 3000}},
            "seeds": list(range(seeds)),
            "real": "digits",
        },
        "environment": Environment(
            ganguard="0.1.0",
            python="3.11.9",
            torch="2.13.0",
            numpy="2.1.0",
            platform="Linux-6.1-x86_64-with-glibc2.36",
            processor="Intel Xeon",
            cores=2,
            device="cpu",
            threads=1,
            processes=2,
        ),
        "target": TargetRecord(
            description="SNGAN trained on digits, 3,000 steps",
            identity="5f2c" * 16,
            image_shape=(1, 8, 8),
            codes="provider",
        ),
        "real": "digits",
        "real_images": {"train": 1257, "reference": 540},
        "features": FeatureRecord(kind="classifier", dimensions=64, held_out_accuracy=0.9812),
        "attacks": attacks,
        "measurements": (
            *(m for label in labels for m in measured_copies(label, range(seeds), draws, BUDGETS)),
            *measured_floors(),
        ),
        "verdicts": make_verdicts(seeds),
        "accounts": (
            AccountRecord(account="auditor", role="auditor", seed=None, bought=20000),
            *(
                AccountRecord(account=f"adversary {s}", role="adversary", seed=s, bought=5000)
                for s in range(seeds)
            ),
        ),
        "used": tuple(
            UseRecord(attack=label, query_budget=b, seed=s, used=b)
            for label in labels
            for b in BUDGETS
            for s in range(seeds)
        ),
        "steps": (
            StepRecord(name="target", kind="train", seconds=83.4),
            *(StepRecord(name=f"{label} 5000 seed 0", kind="attack", seconds=61.0) for label in labels),
        ),
        "pictures": make_pictures(labels),
    }
    return AuditResults(**(values | changes))


def make_verdicts(seeds: int) -> tuple[Verdict, ...]:
    """R1 holds and R2 fails with many seeds; with one, nothing is decided."""
    names = (
        ("R1", "more queries give better fidelity: FD(5,000) / FD(200) < 1", "holds", 0.036),
        ("R2", "a black-box copy's fidelity distance is below its accuracy distance", "fails", 1.31),
        ("R3", "the architecture pair matters: FD(dcgan) / FD(sngan) differs from 1", "undecided", 1.02),
    )
    if seeds == 1:
        reason = "One seed gives no interval; run at least 5 seeds."
        return tuple(
            Verdict(relation=r, statement=s, outcome="undecided", reason=reason, seeds=1)
            for r, s, _, _ in names
        )
    reason = "The 95 % interval of the paired log-ratio decides; here it was taken over all seeds."
    return tuple(
        Verdict(
            relation=r, statement=s, outcome=o, reason=reason, seeds=seeds, ratio=x, low=x * 0.9, high=x * 1.1
        )
        for r, s, o, x in names
    )


def make_pictures(labels: tuple[str, ...]) -> tuple[Picture, ...]:
    """Real, target, and a grid for each copy."""
    plain = {"columns": 8, "tile": (8, 8)}
    originals = [
        Picture(subject=subject, file=f"grids/{subject}.png", **plain) for subject in ("target", "real")
    ]
    copied = [
        Picture(
            subject="substitute", attack=label, query_budget=b, seed=0, file=f"grids/{label}-{b}.png", **plain
        )
        for label in labels
        for b in BUDGETS
    ]
    return (*originals, *copied)


def draw_grids(results: AuditResults, directory: Path) -> None:
    """A PNG for every picture: 8×8 tiles of blurry strokes, 1 pixel between them."""
    from sklearn.datasets import load_digits

    digits = load_digits().images
    for i, picture in enumerate(results.pictures):
        path = directory / picture.file
        path.parent.mkdir(parents=True, exist_ok=True)
        height, width = picture.tile
        canvas = np.full((4 * (height + 1) - 1, picture.columns * (width + 1) - 1), 128, np.uint8)
        for tile in range(4 * picture.columns):
            row, column = divmod(tile, picture.columns)
            pixels = np.resize(digits[tile + 32 * i] * 255 / 16, (height, width))
            canvas[row * (height + 1) :, column * (width + 1) :][:height, :width] = pixels
        Image.fromarray(canvas).save(path)


def page(results: AuditResults, directory: Path) -> str:
    """The report as text."""
    draw_grids(results, directory)
    return write_report(results, directory).read_text(encoding="utf-8")


def minimal(**changes: Any) -> AuditResults:
    """One attack, one budget, one seed, one draw; no yardsticks, pictures, verdicts or steps."""
    record: dict[str, Any] = {
        "subject": "substitute",
        "attack": "fidelity sngan",
        "query_budget": 1,
        "seed": 0,
    }
    record |= {
        "metric": "frechet_distance",
        "against": "target",
        "value": 12.5,
        "images": 100,
        "compared": 100,
    }
    values: dict[str, Any] = {
        "measurements": (Measurement(**record),),
        "verdicts": (),
        "accounts": (),
        "used": (),
        "steps": (),
        "pictures": (),
        "features": FeatureRecord(kind="random_network", dimensions=64, held_out_accuracy=None),
    }
    return make_results(("fidelity sngan",), **(values | changes))


def unmeasured() -> AuditResults:
    """No measurement at all."""
    return minimal(measurements=())


def zero() -> AuditResults:
    """A copy that is the target: distance 0, which a logarithmic axis cannot show."""
    return minimal(measurements=tuple(m.model_copy(update={"value": 0.0}) for m in minimal().measurements))


CASES = {
    "one seed, three draws": make_results,
    "five seeds": lambda: make_results(seeds=5, draws=2),
    "minimal": minimal,
    "unmeasured": unmeasured,
    "zero": zero,
    "floors only": lambda: minimal(measurements=tuple(measured_floors(1))),
}
