"""Was a code like this one sent long ago? A table of bounded size remembers in which cell each code lay.

Locality-sensitive hashing (Datar et al. 2004, "Locality-sensitive hashing scheme based on p-stable
distributions"): codes are turned by a random rotation, of which at most DIRECTIONS directions are kept, and
cut into cells of a grid that is moved at random, in each of GRIDS grids. A cell is so small that two codes of
the prior share one with chance SAME_CELL at most, also where they were truncated to SMALLEST of their size.
Near copies share one of the cells far more often.
"""

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ganguard.base.seeds import derived_seed, normal

DIRECTIONS = 16
GRIDS = 2
SAME_CELL = 1e-8  # the chance that two codes of the prior share the cell of a grid
SMALLEST = 0.5  # of the prior's size: what honest customers truncate codes to
SLOTS = 1 << 16  # of a grid; of about so many codes it is known where they lay
_CHECK = np.uint64((1 << 32) - 1)


class Grids:
    """The cells of codes with `width` entries. seed: whoever does not know it cannot tell which codes share a
    cell."""

    def __init__(self, width: int, seed: int) -> None:
        kept = min(width, DIRECTIONS)
        square = normal(derived_seed(seed, "rotation"), "rotation", range(width), width).double()
        self._rotation = torch.linalg.qr(square)[0][:, :kept]
        # Two of N(0, 1) lie in the same cell of width w with chance w / (2 sqrt(pi)), nearly.
        self._cell = SMALLEST * 2 * math.sqrt(math.pi) * SAME_CELL ** (1 / kept)
        draw = np.random.default_rng(derived_seed(seed, "grids"))
        self._moved = draw.uniform(0.0, 1.0, (GRIDS, 1, kept))
        self._mixed = draw.integers(1 << 63, size=(GRIDS, kept, 1), dtype=np.uint64) * np.uint64(
            2
        ) + np.uint64(1)

    def cells(self, latents: Tensor) -> NDArray[np.uint64]:
        """64 bits for the cell of each code (N, width) in each grid, (GRIDS, N)."""
        turned = (latents.double() @ self._rotation).numpy() / self._cell
        numbers = np.floor(turned[None] + self._moved).astype(np.int64).view(np.uint64)
        return (numbers @ self._mixed)[..., 0]  # modulo 2^64: the upper bits are universal hashing


class Sketch:
    """Cells of the codes of one account. A code takes the place of an earlier one that falls into the same
    slot."""

    def __init__(self) -> None:
        self._slots = np.zeros((GRIDS, SLOTS), np.uint32)

    def holds(self, cells: NDArray[np.uint64]) -> NDArray[np.bool_]:
        """Whether a code of the same cell was put in, in any grid, for each of (GRIDS, N); (N,)."""
        slots, checks = _parts(cells)
        return (np.take_along_axis(self._slots, slots, 1) == checks).any(0)

    def put(self, cells: NDArray[np.uint64]) -> None:
        """Remember cells (GRIDS, N)."""
        slots, checks = _parts(cells)
        np.put_along_axis(self._slots, slots, checks, 1)


def _parts(cells: NDArray[np.uint64]) -> tuple[NDArray[np.int64], NDArray[np.uint32]]:
    """The slot of each cell, and what stands in it; 0 stands for nothing."""
    slots = (cells >> np.uint64(64 - int(math.log2(SLOTS)))).astype(np.int64)
    checks = ((cells >> np.uint64(16)) & _CHECK).astype(np.uint32)
    return slots, np.maximum(checks, 1)
