"""Measurements of defences, as an audit makes them."""

from ganguard.results.records import DefenceRecord, Measurement


def copy_of(value: float, seed: int, label: str | None, adversary: str | None) -> Measurement:
    """The fidelity distance of a copy."""
    return Measurement(
        subject="substitute",
        attack="fidelity sngan",
        query_budget=5000,
        seed=seed,
        defence=label,
        adversary=adversary,
        metric="frechet_distance",
        against="target",
        value=value,
        images=100,
        compared=100,
    )


def users_of(value: float, label: str | None, spread: float | None = 0.1) -> Measurement:
    """The distance to real images of what users get."""
    return Measurement(
        subject="defended" if label else "target",
        defence=label,
        metric="frechet_distance",
        against="reference",
        value=value,
        spread=spread,
        images=100,
        compared=100,
    )


def defence(label: str, kind: str = "gaussian_noise", **settings: object) -> DefenceRecord:
    """The record of a defence."""
    return DefenceRecord(label=label, kinds=(kind,), settings=({"kind": kind, **settings},), identity=label)
