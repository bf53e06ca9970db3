"""What is remembered of one account's codes, within bounds, and over restarts.

New codes are compared exactly with the account's last RECENT ones, and with some 65,000 older ones by their
cells (see `code_sketch`). The cells are kept in PLACES chunks that are filled in turn, the oldest of which is
overwritten. After a restart the codes themselves are gone, and all earlier ones are compared by their cells.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ganguard.gateway.watch.code_sketch import GRIDS, Grids, Sketch
from ganguard.gateway.watch.detection import lattice_codes, near_codes
from ganguard.gateway.watch.signs import Sign, code_signs
from ganguard.gateway.watch.windows import Windows

RECENT = 1024  # codes that are kept as they were sent
GONE = 1024  # codes within the limits after which a sign is no longer raised
CHUNK = 256  # codes of a chunk
PLACES = 256  # chunks
_AT_ONCE = 512  # codes that are compared with each other and earlier ones at once
_PIECE = 64  # codes after which the signs are looked at

Cells = NDArray[np.uint64]


@dataclass
class Kept:
    """What survives a restart.

    Attributes:
        codes: codes that the account has sent in all.
        place: the chunk that was written last, 0 to PLACES - 1.
        windows: see `Windows`.
        chunks: by place, the cells of at most CHUNK codes, (GRIDS, codes) uint64 as bytes.
        last: by the name of each sign that is raised, how many codes had been sent when it last exceeded its
            limit.
    """

    codes: int = 0
    place: int = 0
    windows: bytes = b""
    chunks: dict[int, bytes] = field(default_factory=dict[int, bytes])
    last: dict[str, int] = field(default_factory=dict[str, int])


class AccountCodes:
    """The codes of one account.

    Args:
        kept: what survived a restart.

    Attributes:
        codes: codes that the account has sent in all.
        last: see `Kept`.
    """

    def __init__(self, kept: Kept) -> None:
        self.codes, self.last = kept.codes, kept.last
        self._windows = Windows(kept.windows)
        self._recent, self._recent_cells = torch.zeros(0, 0), np.zeros((GRIDS, 0), np.uint64)
        self._older: Sketch | None = _sketch(kept.chunks, kept.place) if kept.chunks else None
        self._place, self._chunk = kept.place, _cells(kept.chunks.get(kept.place, b""))
        self._changed: dict[int, Cells] = {}

    def observe(self, latents: Tensor, grids: Grids) -> list[Sign]:
        """Remember codes (N, width) that were sent after all others, and return the signs newly raised.

        Args:
            latents: the codes.
            grids: the grids for codes of this width.
        """
        raised: list[Sign] = []
        for codes in latents.split(_AT_ONCE):
            near, lattice = self._compared(codes, grids)
            squares = codes.double().square().sum(1).numpy()
            for start in range(0, len(codes), _PIECE):
                piece = slice(start, start + _PIECE)
                raised += self.count(
                    codes=len(near[piece]),
                    entries=codes[piece].numel(),
                    squares=float(squares[piece].sum()),
                    near=int(near[piece].sum()),
                    lattice=int(lattice[piece].sum()),
                )
        return raised

    def count(self, *, codes: int, entries: int, squares: float, near: int, lattice: int) -> list[Sign]:
        """Add the sums over codes to the windows, and return the signs newly raised.

        A sign stays raised until the last GONE codes have exceeded no limit; only after that it may be newly
        raised.
        """
        self._windows.add(codes=codes, entries=entries, squares=squares, near=near, lattice=lattice)
        self.codes += codes
        beyond = [sign for sign in code_signs(self._windows) if sign.raised]
        self.last = {name: codes for name, codes in self.last.items() if self.codes - codes < GONE}
        raised = [sign for sign in beyond if sign.name not in self.last]
        self.last |= {sign.name: self.codes for sign in beyond}
        return raised

    def signs(self) -> list[Sign]:
        """Return the statistics of the codes now."""
        return code_signs(self._windows)

    def changed(self) -> Kept:
        """Return what is to be written: of the chunks those that changed since `written` was called."""
        chunks = {place: cells.tobytes() for place, cells in self._changed.items()}
        return Kept(self.codes, self._place, self._windows.kept(), chunks, self.last)

    def written(self) -> None:
        """Note that what `changed` returned is written."""
        self._changed = {}

    def _compared(self, codes: Tensor, grids: Grids) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Return which codes are near another one, and which are on a lattice; then remember them."""
        cells = grids.cells(codes)
        if self._recent.shape[1] != codes.shape[1]:  # the first ones, or the target has changed
            self._recent, self._recent_cells = codes[:0], cells[:, :0]
        near = near_codes(codes, self._recent).numpy()
        if self._older:
            near |= self._older.holds(cells)
        lattice = lattice_codes(codes, self._recent)
        self._remember(codes, cells)
        return near, lattice

    def _remember(self, codes: Tensor, cells: Cells) -> None:
        all_codes = torch.cat([self._recent, codes])
        all_cells = np.concatenate([self._recent_cells, cells], 1)
        if (older := len(all_codes) - RECENT) > 0:
            self._older = self._older or Sketch()
            self._older.put(all_cells[:, :older])
        # Copies: views would keep all of it in memory.
        self._recent, self._recent_cells = all_codes[-RECENT:].clone(), all_cells[:, -RECENT:].copy()
        while cells.shape[1]:
            if self._chunk.shape[1] >= CHUNK:
                self._place, self._chunk = (self._place + 1) % PLACES, self._chunk[:, :0]
            room = CHUNK - self._chunk.shape[1]
            self._chunk, cells = np.concatenate([self._chunk, cells[:, :room]], 1), cells[:, room:]
            self._changed[self._place] = self._chunk


def _cells(chunk: bytes) -> Cells:
    return np.frombuffer(chunk, np.uint64).reshape(GRIDS, -1)


def _sketch(chunks: Mapping[int, bytes], place: int) -> Sketch:
    """Return a sketch of kept cells; newer ones overwrite older ones in the same slot."""
    sketch = Sketch()
    for chunk in sorted(chunks, key=lambda chunk: (chunk - place - 1) % PLACES):
        sketch.put(_cells(chunks[chunk]))
    return sketch
