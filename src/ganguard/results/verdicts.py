"""Do the relations that the paper reports hold here? Each is a ratio of two distances, paired by seed.

The reference split is a small sample, which raises every distance to it. The distance of the train split to
it (the floor of accuracy) is an upper estimate of this increase, and is subtracted before accuracy is
compared with fidelity.

A verdict is decided if the 95 % interval of the mean log-ratio (Student's t over seeds) excludes 0.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise

from ganguard.results.intervals import CONFIDENCE, t_interval
from ganguard.results.measures import DISTANCE
from ganguard.results.records import Against, AttackRecord, Measurement, Outcome, Verdict

Distances = dict[int, float]  # by seed
_DISTANCES: dict[Against, str] = {
    "target": "fidelity distance",
    "reference": "accuracy distance",
    "train": "accuracy distance (to training images)",
    "domain": "distance to the other domain",
}


@dataclass(frozen=True)
class Improvement:
    """A claim that the copies of one attack are nearer to something than those of another.

    Attributes:
        relation: "R4", "R5", "R6" or "R8".
        label: of the attack with the nearer copies.
        over: label of the other attack.
        against: what they are nearer to.
    """

    relation: str
    label: str
    over: str
    against: Against


def verdicts(
    measurements: list[Measurement],
    attacks: Iterable[AttackRecord],
    improvements: Iterable[Improvement] = (),
    failed: Mapping[tuple[str, int], str] | None = None,
) -> list[Verdict]:
    """Return the verdicts on R1 to R6 and R8.

    R1 (more queries, better fidelity), R2 (fidelity below accuracy) and R3 (the architecture matters) concern
    the attacks whose adversary has nothing but the images that it buys. R3 compares those of one kind that
    ask alike, and of which both or none learn the classes of images. R8 (labels help the copy) is ours, not
    the paper's.

    Args:
        measurements: of copies made without a defence.
        attacks: say what their adversaries know.
        improvements: pairs of attacks for R4 (real images improve accuracy), R5 (subsampling improves it
            further), R6 (a stolen model transfers better than training from scratch) and R8 (labels help).
        failed: by attack and query budget, why nothing is concluded from its copies: verdicts on these are
            withheld.
    """
    excuses = failed or {}
    unknowing = {
        attack.label: (attack.kind, attack.ask, attack.labels) for attack in attacks if not attack.knows
    }
    copies = (m.attack for m in measurements if m.subject == "substitute")
    labels = [label for label in dict.fromkeys(copies) if label in unknowing]
    splits = ("train", "reference", DISTANCE)
    floor = sum(m.value for m in measurements if (m.subject, m.against, m.metric) == splits)
    found: list[Verdict] = []
    for label in labels:
        for fewer, more in pairwise(budgets_of(measurements, label)):
            statement = f"{label}: fidelity distance at {more:,} queries / at {fewer:,} is below 1"
            first, second = (distances_of(measurements, label, budget, "target") for budget in (more, fewer))
            excuse = excuses.get((label, more)) or excuses.get((label, fewer), "")
            found.append(unless(excuse, below_one("R1", statement, first, second)))
    for label in labels:
        most = max(budgets_of(measurements, label))
        statement = (
            f"{label}: fidelity distance / accuracy distance less its floor, at {most:,} queries, is below 1"
        )
        fidelity, accuracy = (
            distances_of(measurements, label, most, against) for against in ("target", "reference")
        )
        above_floor = {seed: distance - floor for seed, distance in accuracy.items()}
        excuse = excuses.get((label, most), "")
        found.append(unless(excuse, below_one("R2", statement, fidelity, above_floor)))
    for one, other in combinations(labels, 2):
        if unknowing[one] != unknowing[other]:
            continue
        for budget in sorted(set(budgets_of(measurements, one)) & set(budgets_of(measurements, other))):
            statement = f"fidelity distance of {one} / of {other} at {budget:,} queries differs from 1"
            pair = [distances_of(measurements, label, budget, "target") for label in (one, other)]
            excuse = excuses.get((one, budget)) or excuses.get((other, budget), "")
            found.append(unless(excuse, differs_from_one("R3", statement, pair[0], pair[1])))
    return found + [verdict for pair in improvements for verdict in _improves(measurements, pair, excuses)]


def _improves(
    measurements: list[Measurement], pair: Improvement, excuses: Mapping[tuple[str, int], str]
) -> list[Verdict]:
    """Return whether one attack's distance is below the other's, at each budget that both have."""
    found: list[Verdict] = []
    what = _DISTANCES[pair.against]
    for budget in sorted(
        set(budgets_of(measurements, pair.label)) & set(budgets_of(measurements, pair.over))
    ):
        statement = f"{what} of {pair.label} / of {pair.over} at {budget:,} queries is below 1"
        both = [distances_of(measurements, each, budget, pair.against) for each in (pair.label, pair.over)]
        excuse = excuses.get((pair.label, budget)) or excuses.get((pair.over, budget), "")
        found.append(unless(excuse, below_one(pair.relation, statement, both[0], both[1])))
    return found


def budgets_of(measurements: Sequence[Measurement], label: str) -> list[int]:
    """Return the query budgets at which an attack's copies were measured, ascending."""
    of_copies = (m for m in measurements if (m.subject, m.attack) == ("substitute", label))
    return sorted({m.query_budget for m in of_copies if m.query_budget is not None})


def distances_of(measurements: Sequence[Measurement], label: str, budget: int, against: Against) -> Distances:
    """Return the Fréchet distance of an attack's copies at a budget, by seed: the mean over draws."""
    values: dict[int, list[float]] = {}
    for m in measurements:
        whose = (m.subject, m.attack, m.query_budget)
        at_hand = (*whose, m.against, m.metric) == ("substitute", label, budget, against, DISTANCE)
        if at_hand and m.seed is not None:
            values.setdefault(m.seed, []).append(m.value)
    return {seed: sum(draws) / len(draws) for seed, draws in values.items()}


def below_one(relation: str, statement: str, numerator: Distances, denominator: Distances) -> Verdict:
    """Return whether the ratio of two distances, paired by seed, is below 1; it fails if it is above."""
    return _verdict(relation, statement, numerator, denominator, fails_above=True)


def differs_from_one(relation: str, statement: str, numerator: Distances, denominator: Distances) -> Verdict:
    """Return whether the ratio of two distances, paired by seed, differs from 1."""
    return _verdict(relation, statement, numerator, denominator, fails_above=False)


def unless(excuse: str, judged: Verdict) -> Verdict:
    """Return a verdict, or that it is withheld, if there is an excuse."""
    if not excuse:
        return judged
    withheld = {"outcome": "undecided", "reason": excuse, "ratio": None, "low": None, "high": None}
    return judged.model_copy(update=withheld)


def _verdict(relation: str, statement: str, a: Distances, b: Distances, *, fails_above: bool) -> Verdict:
    seeds = sorted(a.keys() & b.keys())
    if any(min(a[seed], b[seed]) <= 0 for seed in seeds):
        reason = "a distance is not above 0 or its floor, so that the ratio has no logarithm"
        return Verdict(
            relation=relation, statement=statement, outcome="undecided", reason=reason, seeds=len(seeds)
        )
    return of_logs(relation, statement, list(log_ratios(a, b).values()), fails_above=fails_above)


def log_ratios(a: Distances, b: Distances) -> Distances:
    """Return the logarithms of the ratios of two distances, by the seeds that have both above 0."""
    return {
        seed: math.log(a[seed] / b[seed])
        for seed in sorted(a.keys() & b.keys())
        if a[seed] > 0 and b[seed] > 0
    }


def of_logs(
    relation: str, statement: str, logs: list[float], *, fails_above: bool, confidence: float = CONFIDENCE
) -> Verdict:
    """Return the verdict that the interval of a mean log-ratio gives.

    It holds if the interval lies below 0, and is undecided if it includes 0.

    Args:
        relation, statement: what is judged.
        logs: the log-ratios of the seeds.
        fails_above: whether an interval above 0 means that the relation fails. Otherwise any difference
            makes it hold.
        confidence: of the interval.
    """
    if len(logs) < 2:
        reason = "one seed gives no interval; run more seeds" if logs else "no seed has a copy of both"
        return Verdict(
            relation=relation, statement=statement, outcome="undecided", reason=reason, seeds=len(logs)
        )
    found = t_interval(logs, confidence)
    low, high = math.exp(found.low), math.exp(found.high)
    outcome, reason = decided(low, high, fails_above=fails_above, confidence=confidence)
    return Verdict(
        relation=relation,
        statement=statement,
        outcome=outcome,
        reason=reason,
        seeds=len(logs),
        ratio=math.exp(found.mean),
        low=low,
        high=high,
    )


def decided(
    low: float, high: float, *, fails_above: bool, confidence: float = CONFIDENCE
) -> tuple[Outcome, str]:
    """Return the outcome of a relation whose ratio has that interval, and the reason."""
    outcome: Outcome = "holds" if high < 1 else "undecided"
    if low > 1:
        outcome = "fails" if fails_above else "holds"
    where = "includes" if outcome == "undecided" else "excludes"
    return outcome, f"the {100 * confidence:.4g} % interval {where} 1"
