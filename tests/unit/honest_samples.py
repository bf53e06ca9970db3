"""Honest models and purchases, as an audit measures them, to be laid over other results."""

from collections.abc import Mapping, Sequence

from ganguard.results.independent_record import IndependentRecord
from ganguard.results.records import Against, AuditResults, Measurement


def honest_model(value: float, seed: int, recipe: str, against: Against = "target") -> Measurement:
    """The distance of one honest model."""
    return Measurement(
        subject="independent",
        recipe=recipe,
        seed=seed,
        metric="frechet_distance",
        against=against,
        value=value,
        images=100,
        compared=100,
    )


def bought_images(
    value: float, seed: int, budget: int, defence: str | None = None, adversary: str | None = None
) -> Measurement:
    """The distance of one purchase to the target."""
    return Measurement(
        subject="purchase",
        query_budget=budget,
        seed=seed,
        metric="frechet_distance",
        against="target",
        value=value,
        images=budget,
        compared=100,
        defence=defence,
        adversary=adversary,
    )


def record_of(recipe: str, attacks: Sequence[str], share: float = 1.0) -> IndependentRecord:
    """The record of honest models."""
    return IndependentRecord(
        label=recipe,
        architecture="sngan",
        attacks=tuple(attacks),
        share=share,
        images=round(1257 * share),
        settings={},
    )


def with_honest(results: AuditResults, by_attack: Mapping[str, Sequence[float]]) -> AuditResults:
    """Return results with honest models for each attack, a distance for each seed."""
    found = [
        honest_model(value, seed, f"of {attack}")
        for attack, values in by_attack.items()
        for seed, value in enumerate(values)
    ]
    records = tuple(record_of(f"of {attack}", [attack]) for attack in by_attack)
    return results.model_copy(
        update={
            "independent": records,
            "measurements": (*results.measurements, *found),
            "spec": {**results.spec, "independent": {"shares": [1.0]}},
        }
    )
