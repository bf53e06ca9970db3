"""Refinements, with pictures and measurements, as the report may meet them."""

from typing import Any

from report_samples import make_results

from ganguard.results.records import AuditResults, Measurement, Picture
from ganguard.results.refinements import RefinementRecord

WHITE = "accuracy white box sngan, 10 % real"
BINS = [{"predicted": 0.1, "observed": 0.12, "count": 40}, {"predicted": 0.8, "observed": 0.75, "count": 40}]
RATIO = {
    "auc": 0.81,
    "calibration_z": -1.2,
    "reliability": BINS,
    "effective_sample_size": 0.31,
    "real": 50,
    "fake": 30,
}
RATIO |= {"kind": "feature_head"}
MOVES = {"acceptance_rate": 0.25, "never_moved": 7, "proposals": 900}


def tried(power: float, score: float, distinct: int = 60) -> dict[str, Any]:
    """What one power gave: of the power 0, that no chain was run."""
    moves = MOVES if power > 0 else {"acceptance_rate": 1.0, "never_moved": 0, "proposals": 0}
    return {"power": power, "score": score, "distinct": distinct, **moves}


def refinement(**changes: Any) -> RefinementRecord:
    """Of three powers, 0.5 was chosen; Algorithm 1 beside it; classes 0 to 2."""
    values: dict[str, Any] = {
        "attack": WHITE,
        "query_budget": 100,
        "seed": 0,
        "ratio": RATIO,
        "chosen": 0.5,
        "stuck": {
            1.0: "all chains stuck: of 9 "
            "chains of 640 steps 2 moved, and 100 are wanted. Take another density ratio."
        },
        "tried": [tried(0.0, 0.3, 100), tried(0.5, 0.1)],
        "plain": {**RATIO, "kind": "logistic", "tried": tried(1.0, 0.2, 20)},
        "log_ratios": {"edges": [-2.0, 0.0, 2.0], "before": [70, 30], "after": [40, 60]},
        "classes": {"before": [50, 50, 0], "after": [30, 70, 0], "plain": [10, 90, 0]},
    }
    return RefinementRecord.model_validate(values | changes)


def distances(seed: int = 0, budget: int = 100, **values: float) -> list[Measurement]:
    """Fréchet distances to the reference split, by subject."""
    common: dict[str, Any] = {
        "metric": "frechet_distance",
        "against": "reference",
        "images": 100,
        "compared": 540,
    }
    return [
        Measurement(
            subject=subject,
            attack=None if subject == "purchase" else WHITE,
            query_budget=budget,
            seed=seed,
            value=value,
            **common,
        )  # pyright: ignore[reportArgumentType]
        for subject, value in values.items()
    ]


def refined(
    *records: RefinementRecord, measured: list[Measurement] | None = None, **changes: Any
) -> AuditResults:
    """Results with these refinements, and with grids of the first of them."""
    of_first = {"attack": records[0].attack, "query_budget": records[0].query_budget, "seed": records[0].seed}
    grids = tuple(
        Picture.model_validate(
            {"subject": s, "file": f"grids/{s}.png", "columns": 8, "tile": (8, 8), **of_first}
        )
        for s in ("kept", "dropped")
    )
    results = make_results()
    together = {
        "refinements": records,
        "pictures": (*results.pictures, *grids),
        "measurements": (*results.measurements, *(measured or [])),
    }
    return results.model_copy(update=together | changes)


CASES = {
    "as usual": lambda: refined(refinement(), measured=distances(refined=3.1, plain=4.2, purchase=3.6)),
    "two seeds and budgets": lambda: refined(
        refinement(seed=1, chosen=0.0), refinement(seed=0), refinement(query_budget=1000, seed=1)
    ),
    "one power": lambda: refined(refinement(tried=[tried(1.0, 0.2)], chosen=1.0, stuck={})),
    "plain stuck": lambda: refined(
        refinement(plain={**RATIO, "tried": None}, classes={"before": [9], "after": [9], "plain": []})
    ),
    "no classes": lambda: refined(refinement(classes=None)),
    "many classes": lambda: refined(
        refinement(classes={"before": [*range(1000)], "after": [1] * 1000, "plain": [0, 999] * 500})
    ),
    "all counts 0": lambda: refined(
        refinement(
            ratio=RATIO | {"reliability": [{"predicted": 0, "observed": 0, "count": 0}]},
            plain={**RATIO, "reliability": [], "tried": None},
            log_ratios={"edges": [0, 0], "before": [0], "after": [0]},
            classes={"before": [0, 0], "after": [0, 0], "plain": [0, 0]},
        )
    ),
    "extremes": lambda: refined(
        refinement(
            ratio=RATIO | {"calibration_z": -1e100, "effective_sample_size": 1.0000000000000009},
            tried=[tried(0.5, 1e100), tried(1.0, -1e-300)],
            log_ratios={"edges": [-1e100, 1e-300, 1e100], "before": [1, 2**62], "after": [0, 1]},
        )
    ),
    "nearly one value": lambda: refined(
        refinement(log_ratios={"edges": [50.0, 50.0 + 1e-9], "before": [9], "after": [9]})
    ),
}
