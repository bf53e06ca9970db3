"""Audits of several targets by the same attacks, side by side: does the pair of architectures matter (R3)?

Two questions, each of many ratios of fidelity distances at the largest budget that all have, paired by seed: does the
substitute's architecture matter (one substitute over another, of one target), and does that depend on the target's (such a
ratio of one target over the same of another)? The more ratios, the likelier one differs by chance. So the intervals of all
ratios of a question hold together with 95 %, as Bonferroni has it: each alone with 1 - 0.05 / their number.
"""

from collections.abc import Mapping
from itertools import combinations
from typing import Literal

from ganguard.audit.results import AuditResults, Outcome, Verdict
from ganguard.audit.summaries import Summary, summarise
from ganguard.audit.verdicts import CONFIDENCE, KNOWING, distances_of, log_ratios, of_logs
from ganguard.base.errors import SpecError
from ganguard.base.settings import Positive, Settings


class Copies(Settings):
    """The fidelity distance of one attack's copies of an audit's target; None where none was measured."""

    attack: str
    distance: Summary | None


class Line(Settings):
    """An audit: its name, its target, how far that is from real images and two draws of it from each other, and its copies."""

    audit: str
    target: str
    to_real: Summary | None
    two_draws: Summary | None
    copies: tuple[Copies, ...]


class SideBySide(Settings):
    """What several audits found together. query_budget: of the copies. verdicts: on each question as a whole; ratios: one by
    one."""

    format: Literal[1] = 1
    name: str
    query_budget: Positive
    attacks: tuple[str, ...]
    lines: tuple[Line, ...]
    verdicts: tuple[Verdict, ...]
    ratios: tuple[Verdict, ...]


Logs = dict[int, float]  # log-ratios, by seed


def side_by_side(name: str, found: Mapping[str, AuditResults]) -> SideBySide:
    """Lay audits beside each other, by name. Raises SpecError where they have fewer than two attacks, or no budget, in
    common."""
    attacks, budget = _in_common(name, list(found.values()))
    distances = {
        audit: {attack: distances_of(results.undefended().measurements, attack, budget, "target") for attack in attacks}
        for audit, results in found.items()
    }
    pairs = list(combinations(attacks, 2))
    by_audit = {(audit, pair): log_ratios(of[pair[0]], of[pair[1]]) for audit, of in distances.items() for pair in pairs}
    substitutes = _ratios({f"{audit}: {one} / {other}": by_audit[audit, (one, other)] for audit, (one, other) in by_audit})
    depends = _ratios(
        {
            f"{one} / {other}, of {first} / of {second}": _less(by_audit[first, (one, other)], by_audit[second, (one, other)])
            for first, second in combinations(found, 2)
            for one, other in pairs
        }
    )
    return SideBySide(
        name=name,
        query_budget=budget,
        attacks=tuple(attacks),
        lines=tuple(_line(audit, results, attacks, budget) for audit, results in found.items()),
        verdicts=(
            _together("the substitute's architecture matters", substitutes),
            _together("which substitute is closer depends on the target's architecture", depends),
        ),
        ratios=(*substitutes, *depends),
    )


def _in_common(name: str, found: list[AuditResults]) -> tuple[list[str], int]:
    """The attacks without real images that all audits have, and the largest budget that all of these were planned at."""
    planned = [{a.label: set(a.query_budgets) for a in r.attacks if not a.label.startswith(KNOWING)} for r in found]
    attacks = [label for label in planned[0] if all(label in of for of in planned)]
    budgets = set.intersection(*(of[label] for of in planned for label in attacks)) if attacks else set[int]()
    if len(attacks) < 2 or not budgets:
        raise SpecError(f"{name}: its audits must have two attacks or more in common, and a query budget of all of these.")
    return attacks, max(budgets)


def _line(audit: str, results: AuditResults, attacks: list[str], budget: int) -> Line:
    of_target = {"subject": "target", "metric": "frechet_distance", "defence": None}
    copies = {"subject": "substitute", "metric": "frechet_distance", "against": "target", "query_budget": budget}
    return Line(
        audit=audit,
        target=results.target.description,
        to_real=summarise(results.select(**of_target, against="reference")),
        two_draws=summarise(results.select(**of_target, against="target")),
        copies=tuple(
            Copies(attack=attack, distance=summarise(results.select(**copies, attack=attack, defence=None)))
            for attack in attacks
        ),
    )


def _less(one: Logs, other: Logs) -> Logs:
    return {seed: one[seed] - other[seed] for seed in sorted(one.keys() & other.keys())}


def _ratios(found: dict[str, Logs]) -> list[Verdict]:
    """Whether each ratio differs from 1, by intervals that hold together."""
    confidence = 1 - (1 - CONFIDENCE) / len(found)
    return [
        of_logs("R3", statement, list(logs.values()), fails_above=False, confidence=confidence)
        for statement, logs in found.items()
    ]


def _together(statement: str, ratios: list[Verdict]) -> Verdict:
    """A question as a whole: it holds where any of its ratios differs from 1."""
    differing = sum(ratio.outcome == "holds" for ratio in ratios)
    seeds = min(ratio.seeds for ratio in ratios)
    few = "" if seeds > 1 else ": fewer than two seeds give no interval"
    reason = f"{differing} of {len(ratios)} ratios differ from 1, by intervals that hold together with 95 %{few}"
    outcome: Outcome = "holds" if differing else "undecided"
    return Verdict(relation="R3", statement=statement, outcome=outcome, reason=reason, seeds=seeds)
