"""Room that accounts share fairly."""

from collections import defaultdict
from collections.abc import Generator
from contextlib import contextmanager

from ganguard.gateway.refusals import AGAIN_AFTER, ProblemError


class Shares:
    """Room for a number of things, of which no account may hold more than stays free, unless it is alone.

    This is the rule of `Admission`, for what is counted before there is an order. It is used on the event
    loop alone.

    Args:
        most: the room in all.
        said: the refusal's reason.

    Attributes:
        held: the room that is taken.
    """

    def __init__(self, most: int, said: str) -> None:
        self._most, self._said = most, said
        self._by_account: defaultdict[str, int] = defaultdict(int)
        self.held = 0

    @contextmanager
    def hold(self, account: str, amount: int) -> Generator[None]:
        """Hold room for an account while the body runs. Raises ProblemError (503) if there is not enough."""
        free, mine = self._most - self.held - amount, self._by_account[account] + amount
        if free < 0 or (self.held and mine > free):
            raise ProblemError(503, self._said, retry_after=AGAIN_AFTER)
        self._add(account, amount)
        try:
            yield
        finally:
            self._add(account, -amount)

    def _add(self, account: str, amount: int) -> None:
        self.held += amount
        self._by_account[account] += amount
        if not self._by_account[account]:
            del self._by_account[account]
