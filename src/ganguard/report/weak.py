"""A warning, before all else, of adversaries that did not learn what they bought."""

from collections.abc import Sequence

from ganguard.report.defended_points import DefencePoint
from ganguard.report.numbers import listed, number, whole
from ganguard.results.records import AuditResults
from ganguard.results.weak import WeakAdversary, failed_attacks, weak_in
from ganguard.results.whose import Whose

FAILED = "did not learn what it bought"
RULE = f"this adversary {FAILED}: train longer or stronger; read the bought images' line as the risk"
SAID = f"{RULE[:1].upper()}{RULE[1:]}."


def warnings(results: AuditResults) -> list[str]:
    """Return the numbers of every weak adversary, at all its budgets, without a defence and behind each."""
    found: dict[Whose, list[WeakAdversary]] = {}
    for weak in weak_in(results):
        found.setdefault(weak.whose.model_copy(update={"query_budget": None}), []).append(weak)
    return [_sentence(whose, each) for whose, each in found.items()]


def failed_copies(results: AuditResults) -> set[tuple[str, int]]:
    """Return the copies without a defence that failed, by attack and query budget."""
    return set(failed_attacks(weak_in(results)))


def weak_headline(results: AuditResults, attack: str, budget: int) -> str:
    """Return what the report says first if the headline's copy failed; empty if it did not."""
    whose = Whose(attack=attack, query_budget=budget)
    weak = next((each for each in weak_in(results) if each.whose == whose), None)
    if weak is None:
        return ""
    return (
        f"This adversary {FAILED}: with {whole(budget)} bought images, its copies are at a Fréchet distance "
        f"(FD) of {number(weak.copies)} from this model; the bought images themselves are at "
        f"{number(weak.bought)}."
    )


def fairly_tried(points: Sequence[DefencePoint]) -> tuple[list[DefencePoint], str]:
    """Return the points from which something can be concluded, and a sentence on the others.

    Nothing is concluded from a closest adversary that did not learn what it bought; without a defence, from
    no point at all.
    """
    weak = [point for point in points if point.failed]
    if not weak:
        return list(points), ""
    if any(point.defence is None for point in weak):
        return [], f"Without a defence, {RULE}. Nothing is concluded about any defence."
    names = listed([point.label for point in weak])
    fair = [point for point in points if not point.failed]
    return fair, f"Nothing is concluded about {names}: of the closest adversary behind each, {RULE}."


def _sentence(whose: Whose, weak: list[WeakAdversary]) -> str:
    behind = f", behind {whose.defence}, {whose.adversary}" if whose.defence else ""
    return f"{whose.attack}{behind}: {'; '.join(_numbers(one) for one in weak)}."


def _numbers(weak: WeakAdversary) -> str:
    honest = "" if weak.honest is None else f", a model that never saw it {number(weak.honest)}"
    several = f" ({weak.failed} of {weak.seeds} copies failed)" if weak.seeds > 1 else ""
    return (
        f"with {whole(weak.whose.query_budget or 0)} images, its copies at FD {number(weak.copies)}, the "
        f"bought images {number(weak.bought)}{honest}{several}"
    )
