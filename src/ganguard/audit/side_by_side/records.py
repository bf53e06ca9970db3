"""What several audits found together, and which of their attacks compare."""

from collections.abc import Callable, Mapping, Sequence
from typing import Literal

from ganguard.audit.results import Against, AuditResults, Verdict
from ganguard.audit.summaries import Summary, summarise
from ganguard.base.errors import SpecError
from ganguard.base.settings import Positive, Settings

Question = Literal["architectures", "accuracy"]


class Copies(Settings):
    """The Fréchet distance of one attack's copies of an audit's target; None where none was measured."""

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
    """What several audits found together.

    question: "architectures" (R3; the copies' distances are to their target) or "accuracy" (R4 and R5; to real images).
    query_budget: of the copies. verdicts: on each question as a whole; ratios: one by one.
    """

    format: Literal[1] = 1
    name: str
    question: Question = "architectures"
    query_budget: Positive
    attacks: tuple[str, ...]
    lines: tuple[Line, ...]
    verdicts: tuple[Verdict, ...]
    ratios: tuple[Verdict, ...]


def attacks_in_common(found: Sequence[AuditResults], wanted: Callable[[str], bool]) -> list[str]:
    """Labels of the wanted attacks that all audits have."""
    every = [[attack.label for attack in results.attacks if wanted(attack.label)] for results in found]
    return [label for label in every[0] if all(label in labels for labels in every)]


def largest_budget(name: str, found: Sequence[AuditResults], labels: Sequence[str]) -> int:
    """The largest at which all audits planned all of these attacks. Raises SpecError where there is none."""
    planned = [set(attack.query_budgets) for results in found for attack in results.attacks if attack.label in labels]
    if not (budgets := set.intersection(*planned)):
        raise SpecError(f"{name}: its audits' attacks must have a query budget in common.")
    return max(budgets)


def lines_of(found: Mapping[str, AuditResults], labels: Sequence[str], budget: int, against: Against) -> tuple[Line, ...]:
    """A line of each audit."""
    return tuple(_line(audit, results, labels, budget, against) for audit, results in found.items())


def _line(audit: str, results: AuditResults, labels: Sequence[str], budget: int, against: Against) -> Line:
    of_target = {"subject": "target", "metric": "frechet_distance", "defence": None}
    copies = {"subject": "substitute", "metric": "frechet_distance", "against": against, "query_budget": budget}
    return Line(
        audit=audit,
        target=results.target.description,
        to_real=summarise(results.select(**of_target, against="reference")),
        two_draws=summarise(results.select(**of_target, against="target")),
        copies=tuple(
            Copies(attack=label, distance=summarise(results.select(**copies, attack=label, defence=None))) for label in labels
        ),
    )
