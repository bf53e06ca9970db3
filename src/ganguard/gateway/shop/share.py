"""A resource that accounts share fairly."""

from collections import defaultdict


class Share:
    """A resource of which no account may hold more than stays free, unless it is alone.

    This is the rule of Choudhury & Hahne 1998, "Dynamic queue length thresholds for shared-memory packet
    switches", with alpha = 1.

    Args:
        most: how much there is in all.

    Attributes:
        inside: what is held of it.
    """

    def __init__(self, most: int) -> None:
        self._most, self.inside = most, 0
        self._held: defaultdict[str, int] = defaultdict(int)  # account -> what it holds

    def fits(self, account: str, amount: int) -> bool:
        """Return whether an account may hold so much more."""
        free, mine = self._most - self.inside - amount, self._held.get(account, 0) + amount
        return free >= 0 and not (self.inside and mine > free)

    def add(self, account: str, amount: int) -> None:
        """Let an account hold more, or less if the amount is negative."""
        self.inside += amount
        self._held[account] += amount
        if not self._held[account]:
            del self._held[account]
