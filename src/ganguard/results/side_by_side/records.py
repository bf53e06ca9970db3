"""What several audits found together, and which of their attacks compare."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from ganguard.base.errors import SpecError
from ganguard.base.settings import Positive, Settings
from ganguard.results.measures import DISTANCE
from ganguard.results.records import Against, AuditResults, Knows, Verdict
from ganguard.results.summaries import Summary, summarise

Question = Literal["architectures", "accuracy"]
ELSEWHERE: frozenset[Knows] = frozenset({"another domain", "a copy"})
"""What makes copies that do not compare by accuracy: they were moved elsewhere, or existed before."""
Planned = Mapping[str, tuple[Collection[Knows], Iterable[int]]]
"""An audit's attacks by label: what the adversary knows, and the query budgets."""


@dataclass(frozen=True)
class Shared:
    """What is compared: attacks that all audits have, at the largest budget that all of these have."""

    question: Question
    attacks: tuple[str, ...]
    query_budget: int


class Copies(Settings):
    """The Fréchet distance of one attack's copies of an audit's target; None where none was measured."""

    attack: str
    distance: Summary | None


class Line(Settings):
    """An audit: its name, its target, how far that is from real images and two draws of it from each other,
    and its copies."""

    audit: str
    target: str
    to_real: Summary | None
    two_draws: Summary | None
    copies: tuple[Copies, ...]


class SideBySide(Settings):
    """What several audits found together.

    question: "architectures" (R3; the copies' distances are to their target) or "accuracy" (R4 and R5; to
    real images).
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


def shared_by(name: str, planned: Sequence[Planned]) -> Shared:
    """Return what audits with these attacks compare.

    If two attacks or more have nothing but the images that they buy, the question is whether the pair of
    architectures matters. Else it is whether real images bring accuracy, of all attacks whose copies were
    made for the target's own images. Raises SpecError if they have fewer than two attacks, or no budget, in
    common.
    """
    everywhere = [label for label in planned[0] if all(label in attacks for attacks in planned)]
    knows = {label: set(planned[0][label][0]) for label in everywhere}
    questions: dict[Question, list[str]] = {
        "architectures": [label for label in everywhere if not knows[label]],
        "accuracy": [label for label in everywhere if not knows[label] & ELSEWHERE],
    }
    for question, labels in questions.items():
        budgets = [set(attacks[label][1]) for attacks in planned for label in labels]
        if len(labels) > 1 and (common := set.intersection(*budgets)):
            return Shared(question, tuple(labels), max(common))
    raise SpecError(
        f"{name}: its audits must have two attacks or more in common, and a query budget of all of these."
    )


def lines_of(found: Mapping[str, AuditResults], shared: Shared, against: Against) -> tuple[Line, ...]:
    """A line of each audit."""
    return tuple(_line(audit, results, shared, against) for audit, results in found.items())


def _line(audit: str, results: AuditResults, shared: Shared, against: Against) -> Line:
    of_target = {"subject": "target", "metric": DISTANCE, "defence": None}
    copies = {
        "subject": "substitute",
        "metric": DISTANCE,
        "against": against,
        "query_budget": shared.query_budget,
    }
    return Line(
        audit=audit,
        target=results.target.description,
        to_real=summarise(results.select(**of_target, against="reference")),
        two_draws=summarise(results.select(**of_target, against="target")),
        copies=tuple(
            Copies(attack=label, distance=summarise(results.select(**copies, attack=label, defence=None)))
            for label in shared.attacks
        ),
    )
