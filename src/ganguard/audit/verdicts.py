"""Do the relations that the paper reports hold here? Each is a ratio of two distances, paired by seed.

The reference split is a small sample, which raises every distance to it. What the train split itself measures against it (the
floor of accuracy) is an upper estimate of that, and is taken off before accuracy is compared with fidelity.

A verdict is decided when the 95 % interval of the mean log-ratio (Student's t over seeds) excludes 0.
"""

import math
from itertools import combinations, pairwise

from scipy.special import stdtrit

from ganguard.audit.results import Against, Measurement, Outcome, Verdict

CONFIDENCE = 0.95
FIDELITY, PARTIAL, WHITE = "fidelity", "accuracy partial black box", "accuracy white box"  # how labels begin
TRANSFER, GIVEN = "transfer", "given copy"
MOVED, SCRATCH = (" fine-tuned,", " FreezeD,"), " from scratch,"  # methods of transfer, as labels say them

Distances = dict[int, float]  # by seed


def verdicts(measurements: list[Measurement]) -> list[Verdict]:
    """R1 (more queries, better fidelity), R2 (fidelity below accuracy) and R3 (the architecture matters), for each attack that
    knows no real images; R4 (real images improve accuracy), R5 (subsampling improves it further), and R6 (a stolen model
    transfers better than training from scratch)."""
    every = list(dict.fromkeys(m.attack for m in measurements if m.subject == "substitute" and m.attack is not None))
    labels = [label for label in every if not label.startswith((PARTIAL, WHITE, TRANSFER, GIVEN))]
    floor = sum(m.value for m in measurements if (m.subject, m.metric) == ("train", "frechet_distance"))
    found: list[Verdict] = []
    for label in labels:
        for fewer, more in pairwise(_budgets(measurements, label)):
            statement = f"{label}: fidelity distance at {more:,} queries / at {fewer:,} is below 1"
            first, second = (_distances(measurements, label, budget, "target") for budget in (more, fewer))
            found.append(_below_one("R1", statement, first, second))
    for label in labels:
        most = max(_budgets(measurements, label))
        statement = f"{label}: fidelity distance / accuracy distance less its floor, at {most:,} queries, is below 1"
        fidelity, accuracy = (_distances(measurements, label, most, against) for against in ("target", "reference"))
        above_floor = {seed: distance - floor for seed, distance in accuracy.items()}
        found.append(_below_one("R2", statement, fidelity, above_floor))
    for one, other in combinations(labels, 2):
        for budget in sorted(set(_budgets(measurements, one)) & set(_budgets(measurements, other))):
            statement = f"fidelity distance of {one} / of {other} at {budget:,} queries differs from 1"
            pair = [_distances(measurements, label, budget, "target") for label in (one, other)]
            found.append(_differs_from_one("R3", statement, pair[0], pair[1]))
    for partial in (label for label in every if label.startswith(PARTIAL)):
        architecture = partial.removeprefix(PARTIAL).partition(",")[0]
        found += _improves(measurements, "R4", partial, FIDELITY + architecture)
        found += _improves(measurements, "R5", WHITE + partial.removeprefix(PARTIAL), partial)
    for moved, method in ((label, m) for label in every if label.startswith(TRANSFER) for m in MOVED if m in label):
        found += _improves(measurements, "R6", moved, moved.replace(method, SCRATCH), "domain")
    return found


def _improves(
    measurements: list[Measurement], relation: str, label: str, over: str, against: Against = "reference"
) -> list[Verdict]:
    """Is the distance of one attack below that of another, at each budget that both have?"""
    found: list[Verdict] = []
    what = "accuracy distance" if against == "reference" else "distance to the other domain"
    for budget in sorted(set(_budgets(measurements, label)) & set(_budgets(measurements, over))):
        statement = f"{what} of {label} / of {over} at {budget:,} queries is below 1"
        pair = [_distances(measurements, each, budget, against) for each in (label, over)]
        found.append(_below_one(relation, statement, pair[0], pair[1]))
    return found


def _budgets(measurements: list[Measurement], label: str) -> list[int]:
    of_copies = (m for m in measurements if (m.subject, m.attack) == ("substitute", label))
    return sorted({m.query_budget for m in of_copies if m.query_budget is not None})


def _distances(measurements: list[Measurement], label: str, budget: int, against: Against) -> Distances:
    values: dict[int, list[float]] = {}
    for m in measurements:
        whose = (m.subject, m.attack, m.query_budget)
        at_hand = (*whose, m.against, m.metric) == ("substitute", label, budget, against, "frechet_distance")
        if at_hand and m.seed is not None:
            values.setdefault(m.seed, []).append(m.value)
    return {seed: sum(draws) / len(draws) for seed, draws in values.items()}


def _below_one(relation: str, statement: str, numerator: Distances, denominator: Distances) -> Verdict:
    return _verdict(relation, statement, numerator, denominator, fails_above=True)


def _differs_from_one(relation: str, statement: str, numerator: Distances, denominator: Distances) -> Verdict:
    return _verdict(relation, statement, numerator, denominator, fails_above=False)


def _verdict(relation: str, statement: str, a: Distances, b: Distances, *, fails_above: bool) -> Verdict:
    seeds = sorted(a.keys() & b.keys())
    if any(min(a[seed], b[seed]) <= 0 for seed in seeds):
        reason = "a distance is not above 0 or its floor, so that the ratio has no logarithm"
        return Verdict(relation=relation, statement=statement, outcome="undecided", reason=reason, seeds=len(seeds))
    logs = [math.log(a[seed] / b[seed]) for seed in seeds]
    if len(logs) < 2:
        reason = "one seed gives no interval; run more seeds"
        return Verdict(relation=relation, statement=statement, outcome="undecided", reason=reason, seeds=len(logs))
    mean, low, high = log_interval(logs)
    outcome: Outcome = "holds" if high < 0 else "undecided"
    if low > 0:
        outcome = "fails" if fails_above else "holds"
    reason = "the 95 % interval excludes 1" if outcome != "undecided" else "the 95 % interval includes 1"
    ratio, low, high = math.exp(mean), math.exp(low), math.exp(high)
    return Verdict(
        relation=relation,
        statement=statement,
        outcome=outcome,
        reason=reason,
        seeds=len(logs),
        ratio=ratio,
        low=low,
        high=high,
    )


def log_interval(logs: list[float]) -> tuple[float, float, float]:
    """(mean, low, high): the 95 % t-interval of the mean of two or more numbers."""
    count = len(logs)
    mean = sum(logs) / count
    deviation = math.sqrt(sum((value - mean) ** 2 for value in logs) / (count - 1))
    half = float(stdtrit(count - 1, (1 + CONFIDENCE) / 2)) * deviation / math.sqrt(count)
    return mean, mean - half, mean + half
