"""Requests that are sent again to an API that charges each of them, and the meter that counts them.

Such an API does not know a request that it has seen. If no answer came, it may have made the image and
charged it: sending the request again buys a second one. The meter in whose call that happens reserves the
images of that request once more, before it is sent.
"""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar

Charge = Callable[[str, int, str | None], None]

AGAIN = "again "  # what the words of such a reservation begin with
_METER: ContextVar[Charge | None] = ContextVar("meter of repeated requests", default=None)


@contextmanager
def charged_to(charge: Charge) -> Generator[None]:
    """Have `charge` count every request that is sent again in the body. It is given words that say which, how
    many images it may buy again, and the condition of all of them; None if they were asked for none."""
    token = _METER.set(charge)
    try:
        yield
    finally:
        _METER.reset(token)


def charge_again(words: str, images: int, condition: str | None) -> None:
    """Count the images of a request before it is sent again, if there is a meter. Raises BudgetError if it
    cannot pay."""
    if (charge := _METER.get()) is not None:
        charge(f"{AGAIN}{words}", images, condition)


def allowed_beside(target: object) -> int:
    """Return how many images a target may ask for again beside the budget of an account."""
    found = getattr(target, "repeats", 0)
    return found if isinstance(found, int) else 0
