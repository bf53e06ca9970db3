"""Audits of several targets by the same attacks: does the pair of architectures matter (R3)?

There are two questions. Does the substitute's architecture matter (the ratio of one substitute's distance to
another's, for one target)? And does that depend on the target's architecture (such a ratio for one target
over the same ratio for another)? Each is asked of many ratios of fidelity distances, paired by seed, at the
largest budget that all audits have. The more ratios there are, the likelier it is that one differs by chance.
So the intervals of all ratios of a question hold together with 95 % (Bonferroni): each by itself holds with
1 - 0.05 / (number of ratios).
"""

from collections.abc import Mapping
from itertools import combinations, product

from ganguard.results.intervals import CONFIDENCE
from ganguard.results.records import AuditResults, Outcome, Verdict
from ganguard.results.side_by_side.records import Shared, SideBySide, lines_of
from ganguard.results.verdicts import distances_of, log_ratios, of_logs, unless

Logs = dict[int, float]  # log-ratios, by seed
Found = dict[str, tuple[Logs, str]]
"""By statement, the logarithms of a ratio, and why nothing is concluded from it; empty if something is."""


def beside_architectures(name: str, found: Mapping[str, AuditResults], shared: Shared) -> SideBySide:
    """Compare what the audits share."""
    attacks, budget = shared.attacks, shared.query_budget
    distances = {
        audit: {
            attack: distances_of(results.undefended().measurements, attack, budget, "target")
            for attack in attacks
        }
        for audit, results in found.items()
    }
    pairs = list(combinations(attacks, 2))
    by_audit = {
        (audit, pair): log_ratios(of[pair[0]], of[pair[1]])
        for audit, of in distances.items()
        for pair in pairs
    }
    lines = lines_of(found, shared, "target")
    excuses = {(line.audit, copies.attack): copies.failed for line in lines for copies in line.copies}
    of_audits = {
        f"{audit}: {one} / {other}": (logs, excuses[audit, one] or excuses[audit, other])
        for (audit, (one, other)), logs in by_audit.items()
    }
    of_pairs = {
        f"{one} / {other}, of {first} / of {second}": (
            _less(by_audit[first, (one, other)], by_audit[second, (one, other)]),
            next(filter(None, (excuses[each] for each in product((first, second), (one, other)))), ""),
        )
        for first, second in combinations(found, 2)
        for one, other in pairs
    }
    substitutes, depends = _ratios(of_audits), _ratios(of_pairs)
    return SideBySide(
        name=name,
        query_budget=shared.query_budget,
        attacks=shared.attacks,
        lines=lines,
        verdicts=(
            _together("the substitute's architecture matters", substitutes, of_audits),
            _together("which substitute is closer depends on the target's architecture", depends, of_pairs),
        ),
        ratios=(*substitutes, *depends),
    )


def _less(one: Logs, other: Logs) -> Logs:
    return {seed: one[seed] - other[seed] for seed in sorted(one.keys() & other.keys())}


def _ratios(found: Found) -> list[Verdict]:
    """Return whether each ratio differs from 1, by intervals that hold together."""
    confidence = 1 - (1 - CONFIDENCE) / len(found)
    return [
        unless(
            excuse, of_logs("R3", statement, list(logs.values()), fails_above=False, confidence=confidence)
        )
        for statement, (logs, excuse) in found.items()
    ]


def _together(statement: str, ratios: list[Verdict], found: Found) -> Verdict:
    """Return the verdict on a question as a whole: it holds if any of its ratios differs from 1."""
    differing = sum(ratio.outcome == "holds" for ratio in ratios)
    seeds = min(ratio.seeds for ratio in ratios)
    few = "" if seeds > 1 else ": fewer than two seeds give no interval"
    withheld = sum(bool(excuse) for _, excuse in found.values())
    kept_back = f"; {withheld} withheld" if withheld else ""
    reason = (
        f"{differing} of {len(ratios)} ratios differ from 1, by intervals that hold together with 95 %{few}"
        f"{kept_back}"
    )
    outcome: Outcome = "holds" if differing else "undecided"
    return Verdict(relation="R3", statement=statement, outcome=outcome, reason=reason, seeds=seeds)
