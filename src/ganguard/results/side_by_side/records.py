"""What several audits found together, and which of their attacks can be compared."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from ganguard.base.errors import SpecError
from ganguard.base.settings import NonNegative, Number, Positive, Settings
from ganguard.results.independent import Closer, comparison, honest_record
from ganguard.results.measures import DISTANCE
from ganguard.results.over_targets import Pair
from ganguard.results.records import Against, AuditResults, Knows, Verdict
from ganguard.results.soundness import State, soundness
from ganguard.results.summaries import Summary, summarise, summarise_copies
from ganguard.results.weak import failed_attacks, weak_in
from ganguard.results.whose import Whose

Question = Literal["architectures", "accuracy", "targets"]
ELSEWHERE: frozenset[Knows] = frozenset({"another domain", "a copy"})
"""An adversary that has one of these made copies of other images, or none of its own."""
Planned = Mapping[str, tuple[Collection[Knows], Iterable[int]]]
"""An audit's attacks by label: what the adversary knows, and the query budgets."""


@dataclass(frozen=True)
class Shared:
    """What is compared: the attacks that all audits have, at the largest budget common to all of them."""

    question: Question
    attacks: tuple[str, ...]
    query_budget: int


class Copies(Settings):
    """One attack's copies of an audit's target.

    Attributes:
        distance: Fréchet distance; None if none was measured.
        honest: distance of models of the same recipe that never saw the target; None if there are none.
        closer: whether the copies are closer to the target than those; None without any.
        failed: why nothing is concluded from the copies; empty if their adversary learnt what it bought.
    """

    attack: str
    distance: Summary | None
    honest: Summary | None = None
    closer: Closer | None = None
    failed: str = ""


class Line(Settings):
    """What one audit contributes.

    Attributes:
        audit: its name.
        target: description of its target.
        to_real: distance of the target from real images.
        two_draws: distance of two draws of the target from each other.
        copies: of each attack that is compared.
        state: whether its target is sound.
        reason: what speaks against the target; empty if nothing.
        of: name of the spec whose `target_seeds` the target is of; empty if it is the spec's only one.
        target_seed: its seed among these; None for an only target.
    """

    audit: str
    target: str
    to_real: Summary | None
    two_draws: Summary | None
    copies: tuple[Copies, ...]
    state: State = "sound"
    reason: str = ""
    of: str = ""
    target_seed: NonNegative | None = None


class Placebo(Settings):
    """Two targets that differ in nothing but their seed, and how far they are apart.

    Attributes:
        one, other: names of their audits.
        distance: Fréchet distance of their images: the mean over two pairs of draws.
    """

    one: str
    other: str
    distance: Number


class OfTarget(NamedTuple):
    """An audit's place among those of one spec: the spec's name, and the seed of the target."""

    of: str
    seed: int


class SideBySide(Settings):
    """What several audits found together.

    Attributes:
        question: "architectures" (R3; distances of copies are to their target), "accuracy" (R4 and R5; to
            real images) or "targets" (every relation, over targets that differ only in their seed).
        query_budget: of the copies.
        verdicts: on each question as a whole.
        ratios: one by one.
        unit: what the intervals of verdicts are over: seeds of purchase and copy, or targets.
        pairs: attacks that R4 to R6 and R8 compare over targets.
        placebos: targets that differ only in their seed, pair by pair.
    """

    format: Literal[1] = 1
    name: str
    question: Question = "architectures"
    query_budget: Positive
    attacks: tuple[str, ...]
    lines: tuple[Line, ...]
    verdicts: tuple[Verdict, ...]
    ratios: tuple[Verdict, ...]
    unit: Literal["seeds", "targets"] = "seeds"
    pairs: tuple[Pair, ...] = ()
    placebos: tuple[Placebo, ...] = ()


def shared_by(name: str, planned: Sequence[Planned]) -> Shared:
    """Return what audits with these attacks compare.

    If at least two attacks have nothing but the images that they buy, the question is whether the pair of
    architectures matters. Otherwise it is whether real images bring accuracy, and all attacks count except
    those that move a copy to another domain or had one before. Raises SpecError if the audits have fewer than
    two attacks, or no budget, in common.
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


def shared_by_targets(name: str, planned: Sequence[Planned]) -> Shared:
    """Return what audits of one spec, whose targets differ only in their seed, compare.

    That is the largest budget that most of their attacks have, and the attacks that have it. Raises SpecError
    if no attack makes copies of the target.
    """
    budgets: dict[int, list[str]] = {}
    for label, (knows, of_attack) in planned[0].items():
        if not set(knows) & ELSEWHERE:
            for budget in of_attack:
                budgets.setdefault(budget, []).append(label)
    if not budgets:
        raise SpecError(f"{name}: target_seeds compares copies of targets, and no attack makes any.")
    budget = max(budgets, key=lambda each: (len(budgets[each]), each))
    return Shared("targets", tuple(budgets[budget]), budget)


def lines_of(found: Mapping[str, AuditResults], shared: Shared, against: Against) -> tuple[Line, ...]:
    """Return a line for each audit."""
    return tuple(_line(audit, results, shared, against) for audit, results in found.items())


def _line(audit: str, results: AuditResults, shared: Shared, against: Against) -> Line:
    of_target = {"subject": "target", "metric": DISTANCE, "defence": None}
    failed = failed_attacks(weak_in(results))
    state, reason = soundness(results.measurements)
    return Line(
        audit=audit,
        state=state,
        reason=reason,
        target=results.target.description,
        to_real=summarise(results.select(**of_target, against="reference")),
        two_draws=summarise(results.select(**of_target, against="target")),
        copies=tuple(
            _copies(results, label, shared.query_budget, against, failed) for label in shared.attacks
        ),
    )


def _copies(
    results: AuditResults, attack: str, budget: int, against: Against, failed: Mapping[tuple[str, int], str]
) -> Copies:
    whose = Whose(attack=attack, query_budget=budget)
    of_copy = {"subject": "substitute", "attack": attack, "query_budget": budget, "defence": None}
    distances = {"metric": DISTANCE, "against": against}
    record = honest_record(results.independent, attack, results.measurements)
    found = comparison(results, whose)
    return Copies(
        attack=attack,
        distance=summarise_copies(results.select(**of_copy, **distances)),
        honest=summarise_copies(results.select(recipe=record.label, **distances)) if record else None,
        closer=found.closer if found else None,
        failed=failed.get((attack, budget), ""),
    )
