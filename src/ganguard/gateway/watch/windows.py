"""Sums over an account's last codes, at every scale from a few to LONGEST.

A burst of copies hardly changes the sums of all codes that an account ever sent, and a slow trickle hardly
those of the last hundred. So both are looked at, and all scales between. The sums are kept in blocks that
grow with their age, as in an exponential histogram (Datar et al. 2002, "Maintaining stream statistics over
sliding windows"): a block holds at most FINEST codes, or 1/GRAIN of the codes that are newer. So some hundred
blocks cover LONGEST codes, and every sum over the last blocks is one window.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

LONGEST = 1 << 16  # codes; older ones are forgotten
FINEST = 16  # codes of the smallest block that is not divided for its age
GRAIN = 8
_MOST_BLOCKS = 192  # beyond this blocks are joined


class Sums(NamedTuple):
    """Sums over codes; each entry is a number, or an array with one number for each window.

    Attributes:
        codes: number of codes.
        entries: number of their entries.
        squares: sum of the squares of the entries.
        near: codes next to another one.
        lattice: codes on a lattice.
    """

    codes: NDArray[np.float64]
    entries: NDArray[np.float64]
    squares: NDArray[np.float64]
    near: NDArray[np.float64]
    lattice: NDArray[np.float64]


class Windows:
    """The windows of one account.

    Args:
        kept: what `kept` returned, to continue from there.
    """

    def __init__(self, kept: bytes = b"") -> None:
        self._blocks = list(np.frombuffer(kept, np.float64).reshape(-1, len(Sums._fields)))  # oldest first

    def add(self, *, codes: int, entries: int, squares: float, near: int, lattice: int) -> None:
        """Add the sums over codes that are newer than all before."""
        self._blocks.append(np.array((codes, entries, squares, near, lattice), np.float64))
        if len(self._blocks) > _MOST_BLOCKS:
            self._blocks = _joined(self._blocks)

    def sums(self) -> Sums:
        """Return the sums over the last 1, 2, 3 ... blocks."""
        blocks = np.array(self._blocks).reshape(-1, len(Sums._fields))
        return Sums(*blocks[::-1].cumsum(0).T)

    def kept(self) -> bytes:
        """Return the blocks as bytes, some kilobytes at most."""
        return np.array(self._blocks).tobytes()


def _joined(blocks: list[NDArray[np.float64]]) -> list[NDArray[np.float64]]:
    """Join neighbouring blocks, oldest first, as far as their age allows, and forget the oldest."""
    joined, newer, total = list[NDArray[np.float64]](), 0.0, 0.0
    for block in reversed(blocks):
        if total >= LONGEST:
            break
        if joined and joined[-1][0] + block[0] <= max(FINEST, newer / GRAIN):
            joined[-1] = joined[-1] + block
        else:
            joined.append(block)
            newer = total
        total += float(block[0])
    return joined[::-1]
