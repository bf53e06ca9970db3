"""What is reserved in a ledger: a request in words, and the id under which it counts once."""

import hashlib
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from ganguard.targets.conditions import conditions_words

_SAMPLE = re.compile(
    r"sample seed=\d+ indices=(\d{1,19}):(\d{1,19})(?: conditions=[0-9a-f]{32})?"
)  # what `sample_words` writes

NONE: Mapping[str, int] = {}


@dataclass(frozen=True)
class OfCondition:
    """Images of one condition within a purchase.

    Attributes:
        condition: its name.
        images: how many images, 1 or more.
        budget: images of it that the account may buy in all, if the ledger knows no budget of the account's
            own for it; None: as many as the whole budget allows.
        drawn: the purchase counts as a request for this condition: an image of it was drawn at random.
    """

    condition: str
    images: int
    budget: int | None = None
    drawn: bool = False


@dataclass(frozen=True)
class Purchase:
    """Images to be reserved; see `Ledger.reserve`.

    Attributes:
        reservation: the id under which they count once, see `reservation_id`.
        account: the account that pays.
        images: how many images, 0 or more.
        request: what is asked for, in words that say all of it.
        conditions: what they are asked for, each condition once; empty if the target takes no conditions.
    """

    reservation: str
    account: str
    images: int
    request: str
    conditions: tuple[OfCondition, ...] = ()


def of_conditions(
    names: Sequence[str], budgets: Mapping[str, int] = NONE, drawn: str | None = None
) -> tuple[OfCondition, ...]:
    """Return what a purchase is of.

    Args:
        names: what each image is asked for.
        budgets: images that the account may buy of a condition in all, by its name.
        drawn: the condition that the purchase counts as a request for; None if nobody counts requests.
    """
    return tuple(
        OfCondition(name, images, budgets.get(name), name == drawn) for name, images in Counter(names).items()
    )


def reservation_id(target: str, account: str, request: str) -> str:
    """Return the id under which one request of one account to one target counts once: 64 hex digits.

    Args:
        target: identity of the target.
        account: the account that pays.
        request: what is asked for, in words that say all of it.
    """
    return hashlib.sha256("\x1f".join([target, account, request]).encode()).hexdigest()


def sample_words(seed: int, indices: range, conditions: Tensor | None = None) -> str:
    """Return the words under which images `indices` of a seed, and of conditions (N,) if there are any, are
    reserved."""
    return f"sample seed={seed} indices={indices.start}:{indices.stop}{conditions_words(conditions)}"


def images_asked(request: str) -> int | None:
    """Return how many images a request asks for, if `sample_words` wrote it, else None."""
    asked = _SAMPLE.fullmatch(request)
    return int(asked[2]) - int(asked[1]) if asked else None
