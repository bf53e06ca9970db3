"""Is a copy closer to the target than a model that never saw it?

An honest model is trained as the copy is, on real images, without one answer of the target. It shows how near
to the target one comes without stealing anything, so that a small distance alone proves no theft.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from ganguard.results.independent_record import IndependentRecord
from ganguard.results.intervals import CONFIDENCE, welch_interval
from ganguard.results.measures import DISTANCE
from ganguard.results.records import Against, AuditResults, Measurement
from ganguard.results.verdicts import Distances
from ganguard.results.whose import Whose

Closer = Literal["yes", "no", "undecided"]
TIMES = 2.0
"""So many times as far as another set of images is too far to have been learnt from it."""


@dataclass(frozen=True)
class Comparison:
    """Whether copies are closer to the target than honest models.

    Attributes:
        closer: "yes" if the interval of the ratio lies below 1, "no" if it lies above.
        reason: why it is so, or undecided.
        ratio: of the geometric mean distance of copies to that of honest models; None without both.
        low, high: interval of the ratio; None if the seeds give none.
    """

    closer: Closer
    reason: str
    ratio: float | None = None
    low: float | None = None
    high: float | None = None


def honest_record(
    records: Iterable[IndependentRecord], attack: str, measurements: Sequence[Measurement]
) -> IndependentRecord | None:
    """Return the honest models that an attack's copies are compared with, or None if it has none.

    Of several, they are those that were trained on the most real images. An attack that takes the best of
    several recipes has honest models of each: of those that learnt the real images, the nearest to the target
    counts.
    """
    found = [record for record in records if attack in record.attacks]
    most = max((record.share for record in found), default=1.0)
    of_most = [record for record in found if record.share == most]
    if len(of_most) < 2:
        return next(iter(of_most), None)

    def far(record: IndependentRecord) -> tuple[bool, float]:
        distances = honest_distances(measurements, record.label).values()
        is_far = not learnt_real(measurements, record.label)
        return is_far, mean(list(distances)) if distances else math.inf

    return min(of_most, key=far)


def honest_distances(
    measurements: Iterable[Measurement], recipe: str, against: Against = "target"
) -> Distances:
    """Return the Fréchet distance of honest models, by seed: the mean over draws."""
    return _by_seed(m for m in measurements if m.recipe == recipe and _is(m, "independent", against))


def copy_distances(
    measurements: Iterable[Measurement], copy: Whose, against: Against = "target"
) -> Distances:
    """Return the Fréchet distance of the copies of one attack, budget and scenario, by seed.

    copy: which copies; its seed does not matter.
    """
    wanted = copy.model_copy(update={"seed": None})
    return _by_seed(
        m
        for m in measurements
        if _is(m, "substitute", against) and m.whose.model_copy(update={"seed": None}) == wanted
    )


def learnt_real(measurements: Iterable[Measurement], recipe: str) -> bool:
    """Return whether honest models learnt the images that they were trained on.

    If they are more than TIMES as far from real images as the target is, their recipe is too weak to show how
    near one comes without the target. True if either distance was not measured.
    """
    found = list(measurements)
    honest = honest_distances(found, recipe, "reference").values()
    target = [m.value for m in found if _is(m, "target", "reference") and m.defence is None]
    return not honest or not target or mean(list(honest)) <= TIMES * mean(target)


def comparison(results: AuditResults, copy: Whose) -> Comparison | None:
    """Return whether copies are closer than honest models of their recipe; None if there are no such models.

    copy: which copies; its seed does not matter.
    """
    record = honest_record(results.independent, str(copy.attack), results.measurements)
    honest = honest_distances(results.measurements, record.label) if record else {}
    if record is None or not honest:
        return None
    found = compare_with_honest(copy_distances(results.measurements, copy), honest)
    if learnt_real(results.measurements, record.label):
        return found
    reason = "that model did not learn the real images itself and is no floor; train longer or stronger"
    return Comparison("undecided", reason, found.ratio)


def compare_with_honest(copies: Distances, honest: Distances, confidence: float = CONFIDENCE) -> Comparison:
    """Return whether copies are closer than honest models: Welch's t-interval of the difference of the mean
    logarithms of their distances.

    Args:
        copies: distances of copies to the target, by seed.
        honest: those of honest models, by seed. Their seeds are their own, so that nothing is paired.
        confidence: of the interval.
    """
    one, other = list(copies.values()), list(honest.values())
    if not one or not other:
        return Comparison("undecided", "no such copy, or no such model, was measured")
    if min(*one, *other) <= 0:
        return Comparison("undecided", "a distance is not above 0, and has no logarithm")
    logs, honest_logs = ([math.log(distance) for distance in each] for each in (one, other))
    if min(len(one), len(other)) < 2:
        ratio = math.exp(sum(logs) / len(logs) - sum(honest_logs) / len(honest_logs))
        return Comparison("undecided", "one seed gives no interval; run more seeds", ratio)
    found = welch_interval(logs, honest_logs, confidence)
    ratio = math.exp(found.mean)
    if math.isnan(found.half):
        return Comparison("undecided", "the seeds do not differ, which gives no interval", ratio)
    closer: Closer = "yes" if found.high < 0 else "no" if found.low > 0 else "undecided"
    where = "includes" if closer == "undecided" else "excludes"
    reason = f"the {100 * confidence:.4g} % interval {where} 1"
    return Comparison(closer, reason, ratio, math.exp(found.low), math.exp(found.high))


def _is(m: Measurement, subject: str, against: Against) -> bool:
    return (m.subject, m.against, m.metric) == (subject, against, DISTANCE)


def _by_seed(measurements: Iterable[Measurement]) -> Distances:
    found: dict[int, list[float]] = {}
    for m in measurements:
        found.setdefault(m.seed or 0, []).append(m.value)
    return {seed: mean(draws) for seed, draws in found.items()}


def mean(values: Sequence[float]) -> float:
    """Return the mean of at least one number."""
    return sum(values) / len(values)
