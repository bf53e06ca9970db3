"""Room that accounts share fairly, for what is counted before there is an order."""

from collections.abc import Generator
from contextlib import contextmanager

from ganguard.gateway.refusals import AGAIN_AFTER, ProblemError
from ganguard.gateway.shop.share import Share


class Shares:
    """Room for a number of things, by the rule of `Share`. It is used on the event loop alone.

    Args:
        most: the room in all.
        said: the refusal's reason.
    """

    def __init__(self, most: int, said: str) -> None:
        self._share, self._said = Share(most), said

    @property
    def held(self) -> int:
        """The room that is taken."""
        return self._share.inside

    @contextmanager
    def hold(self, account: str, amount: int) -> Generator[None]:
        """Hold room for an account while the body runs. Raises ProblemError (503) if there is not enough."""
        if not self._share.fits(account, amount):
            raise ProblemError(503, self._said, retry_after=AGAIN_AFTER)
        self._share.add(account, amount)
        try:
            yield
        finally:
            self._share.add(account, -amount)
