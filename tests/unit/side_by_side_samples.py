"""Results of audits whose copies lie as far from their targets as a test wants."""

from collections.abc import Mapping

import numpy as np
from report_samples import make_results

from ganguard.results.records import AttackRecord, AuditResults, Knows, Measurement
from ganguard.results.side_by_side import SideBySide, side_by_side

ATTACKS = ("fidelity sngan", "fidelity pggan", "fidelity stylegan2")
NOISE = 0.1  # of a distance's logarithm, from seed to seed


def audit_of(
    factors: dict[str, float],
    seeds: int,
    stream: int,
    budgets: tuple[int, ...] = (1000,),
    knows: Mapping[str, tuple[Knows, ...]] | None = None,
) -> AuditResults:
    """An audit whose copies lie so far from its target; their adversaries know what `knows` says by label."""
    noise = np.random.default_rng(stream)
    record = {
        "subject": "substitute",
        "metric": "frechet_distance",
        "against": "target",
        "images": 100,
        "compared": 100,
    }
    measurements = [
        Measurement(
            **record,
            attack=attack,
            query_budget=b,
            seed=seed,
            value=float(factor * np.exp(noise.normal(0, NOISE)) / b),
        )
        for attack, factor in factors.items()
        for b in budgets
        for seed in range(seeds)
    ]
    attacks = tuple(
        AttackRecord(
            label=label,
            kind="fidelity",
            architecture="sngan",
            knows=(knows or {}).get(label, ()),
            query_budgets=budgets,
            settings={},
        )
        for label in factors
    )
    return make_results(seeds=seeds, attacks=attacks, measurements=tuple(measurements))


def audits_by_factors(*factors: tuple[float, float, float], seeds: int = 5, stream: int = 0) -> SideBySide:
    """Audits of three attacks each, whose distances are these factors apart, side by side."""
    audits = {
        f"audit {i}": audit_of(dict(zip(ATTACKS, each, strict=True)), seeds, 10 * stream + i)
        for i, each in enumerate(factors)
    }
    return side_by_side("pairs", audits)
