"""A table of bounded size that remembers the cells of an account's codes, to find near copies of them.

This is locality-sensitive hashing (Datar et al. 2004, "Locality-sensitive hashing scheme based on p-stable
distributions"). Codes are rotated at random, at most DIRECTIONS directions are kept, and each of GRIDS grids,
shifted at random, cuts the space into cells. Cells are so small that two codes from the prior share one with
probability at most SAME_CELL, even if they were truncated to SMALLEST times their size. Near copies share a
cell in one of the grids far more often.
"""

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ganguard.base.seeds import derived_seed, normal

DIRECTIONS = 16
GRIDS = 2
SAME_CELL = 1e-8  # probability that two codes from the prior share a cell of a grid
SMALLEST = 0.5  # honest customers truncate codes to no less than this multiple of the prior's size
MOST_ROTATED = 1024  # entries of codes that are rotated whole, as they have been from the first
SLOTS = 1 << 16  # per grid; cells of about as many codes are remembered
_CHECK = np.uint64((1 << 32) - 1)


class Grids:
    """Random grids that cut the space of codes into cells.

    Args:
        width: entries of a code.
        seed: the seed of the grids. Keep it secret: without it nobody can tell which codes share a cell.
    """

    def __init__(self, width: int, seed: int) -> None:
        kept = min(width, DIRECTIONS)
        columns = width if width <= MOST_ROTATED else kept  # the first columns are as random without the rest
        drawn = normal(derived_seed(seed, "rotation"), "rotation", range(width), columns).double()
        self._rotation = torch.linalg.qr(drawn)[0][:, :kept]
        # Two draws from N(0, 1) fall into the same cell of width w with probability about w / (2 sqrt(pi)).
        self._cell = SMALLEST * 2 * math.sqrt(math.pi) * SAME_CELL ** (1 / kept)
        draw = np.random.default_rng(derived_seed(seed, "grids"))
        self._moved = draw.uniform(0.0, 1.0, (GRIDS, 1, kept))
        halves = draw.integers(1 << 63, size=(GRIDS, kept, 1), dtype=np.uint64)
        self._mixed = halves * np.uint64(2) + np.uint64(1)  # odd, as multiplicative hashing needs

    def cells(self, latents: Tensor) -> NDArray[np.uint64]:
        """Return a 64-bit hash of the cell of each code (N, width) in each grid, (GRIDS, N)."""
        turned = (latents.double() @ self._rotation).numpy() / self._cell
        numbers = np.floor(turned[None] + self._moved).astype(np.int64).view(np.uint64)
        return (numbers @ self._mixed)[..., 0]  # modulo 2^64: the upper bits are universal hashing


class Sketch:
    """The cells of one account's codes. A code overwrites an earlier one in the same slot."""

    def __init__(self) -> None:
        self._slots = np.zeros((GRIDS, SLOTS), np.uint32)

    def holds(self, cells: NDArray[np.uint64]) -> NDArray[np.bool_]:
        """Return whether each code shares a cell with a remembered one in any grid: (GRIDS, N) -> (N,)."""
        slots, checks = _parts(cells)
        return (np.take_along_axis(self._slots, slots, 1) == checks).any(0)

    def put(self, cells: NDArray[np.uint64]) -> None:
        """Remember cells (GRIDS, N)."""
        slots, checks = _parts(cells)
        np.put_along_axis(self._slots, slots, checks, 1)


def _parts(cells: NDArray[np.uint64]) -> tuple[NDArray[np.int64], NDArray[np.uint32]]:
    """Return the slot of each cell and the value to store in it, which is never 0: 0 marks an empty slot."""
    slots = (cells >> np.uint64(64 - int(math.log2(SLOTS)))).astype(np.int64)
    checks = ((cells >> np.uint64(16)) & _CHECK).astype(np.uint32)
    return slots, np.maximum(checks, 1)
