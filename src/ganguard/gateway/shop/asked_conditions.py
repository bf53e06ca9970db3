"""What an order asks a conditional target for: classes or prompts, which clients name."""

import hashlib
from dataclasses import dataclass

from torch import Tensor

from ganguard.base.cache import canonical_json
from ganguard.base.errors import SpecError
from ganguard.base.settings import one_line
from ganguard.gateway.refusals import ProblemError
from ganguard.queries.ledger_conditions import ConditionBudgetError
from ganguard.targets.conditions import LONGEST_SAID, Conditions


@dataclass(frozen=True)
class AskedConditions:
    """The conditions that a client asked for.

    Attributes:
        numbers: of each image, (count,) int64; None if the client asked for none.
        words: the end of the words of its request, which says them by name; "" if it asked for none. So the
            same request stays the same if a new target numbers its conditions otherwise.
        misfit: the refusal of what this target cannot be asked for; None if it can. The order may have fitted
            the target that was served when its images were reserved.
    """

    numbers: Tensor | None = None
    words: str = ""
    misfit: ProblemError | None = None


NOT_ASKED = AskedConditions()


def conditions_asked(said: str | list[str] | None, count: int, known: Conditions | None) -> AskedConditions:
    """Return the conditions that a request names.

    Args:
        said: one name for all images, or a name for each; None if the request names none.
        count: number of images.
        known: what the target can be asked for; None if it takes no conditions.

    If the target takes none, or one is unknown, that is the misfit (422) of what is returned. Raises
    ProblemError (422) if there are not as many as images.
    """
    if said is None:
        return NOT_ASKED
    if isinstance(said, list) and len(said) != count:
        raise ProblemError(
            422, f"condition: must be one name, or a name for each of {count} images; got {len(said)} names."
        )
    names = said if isinstance(said, list) else [said]
    words = _words(said if isinstance(said, list) else [said] * count)
    if known is None:
        refusal = "condition: this target has no classes and no prompts. Leave it out."
        return AskedConditions(None, words, ProblemError(422, refusal))
    try:
        numbers = known.numbers(names)
    except SpecError as problem:
        return AskedConditions(None, words, ProblemError(422, f"condition: {problem}"))
    return AskedConditions(numbers if isinstance(said, list) else numbers.expand(count).clone(), words)


def condition_exhausted(refusal: ConditionBudgetError) -> ProblemError:
    """Return the refusal of an order because a condition's budget does not suffice."""
    return ProblemError(
        402,
        f"the account may buy {refusal.left} more of its budget of {refusal.budget} images of "
        f"{one_line(refusal.condition, LONGEST_SAID)!r}; asked for {refusal.asked}.",
        kind="condition-budget-exhausted",
        left=(refusal.budget, refusal.spent, refusal.left),
    )


def longest_name(known: Conditions | None) -> int:
    """Return the most bytes that a name takes in a list of names in JSON; 0 if there are no conditions."""
    if known is None:
        return 0
    # JSON may write each unit of UTF-16 in six bytes; quotes, a comma and a space come with it.
    return max(6 * len(name.encode("utf-16-le", "surrogatepass")) // 2 for name in known.names) + 4


def _words(names: list[str]) -> str:
    """Return the end of a request's words. One name for all images, and the same name for each, are the same
    request."""
    return f" conditions={hashlib.sha256(canonical_json(names).encode()).hexdigest()[:32]}"
