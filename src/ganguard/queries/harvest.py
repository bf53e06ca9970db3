"""Buying images: from a metered target into a store, in shards, each bought once whoever else harvests beside.

The image index is cut into cells of `SHARD` images. A process that works on a cell holds a lock on it, which the operating
system drops when the process ends; what lies in the store already is not asked for again.
"""

import fcntl
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from torch import Tensor

from ganguard.base.cache import write_bytes
from ganguard.base.errors import BudgetError, TargetError
from ganguard.base.progress import Progress, silent
from ganguard.queries.store import Store
from ganguard.targets.protocol import BlackBoxTarget, LatentTarget

SHARD = 512  # images: a whole number of requests of 64


def harvest(target: BlackBoxTarget, store: Store, count: int, progress: Progress = silent) -> Tensor:
    """Have images 0 ... count - 1 in the store, buying those that are absent, and return them (count, C, H, W) uint8.

    Where the store's codes are the client's, the client draws them from the target's prior and sends them. Raises TargetError
    where the target takes no codes, BudgetError where the account cannot pay.
    """
    if store.codes == "client" and not isinstance(target, LatentTarget):
        raise TargetError("this target takes no codes: ask with codes: provider.")
    store.create()
    cells = [range(start, min(start + SHARD, count)) for start in range(0, count, SHARD)]
    held, waiting = 0, list[range]()
    for cell in cells:
        if _buy(target, store, cell, wait=False):
            held += len(cell)
            progress(held, count, "buying")
        else:
            waiting.append(cell)
    for cell in waiting:  # another process was at these
        _buy(target, store, cell, wait=True)
        held += len(cell)
        progress(held, count, "buying")
    return store.read(count)


def _buy(target: BlackBoxTarget, store: Store, cell: range, *, wait: bool) -> bool:
    """Buy what is absent of a cell; False where another process is at it and `wait` is not set.

    A request that was paid for and whose images were lost in a crash is asked for again as it was, so that it counts once.
    """
    with _locked(store.directory / "locks" / f"{cell.start:010d}", wait=wait) as held:
        if not held:
            return False
        note = store.directory / "requests" / f"{cell.start:010d}"
        while absent := _absent(store, cell):
            request = _lost_request(note, absent.start) or absent
            write_bytes(note, f"{request.start}:{request.stop}".encode())
            try:
                images, latents = _ask(target, store, request)
            except BudgetError:  # refused, so nothing of it was paid
                note.unlink()
                raise
            store.write(request.start, images, latents)
        return True


def _absent(store: Store, cell: range) -> range:
    """The first stretch of a cell that the store does not hold."""
    held = cell.start
    for start, stop, _ in store.shards():
        if start > held:
            return range(held, min(start, cell.stop))
        held = max(held, stop)
    return range(held, cell.stop)


def _lost_request(note: Path, start: int) -> range | None:
    """The request that was last begun in a cell, if nothing from `start` on came of it."""
    if not note.is_file():
        return None
    begun, _, end = note.read_text().partition(":")
    return range(start, int(end)) if begun == str(start) and end.isdigit() and int(end) > start else None


def _ask(target: BlackBoxTarget, store: Store, indices: range) -> tuple[Tensor, Tensor | None]:
    if store.codes == "client" and isinstance(target, LatentTarget):
        latents = target.draw_latents(indices, seed=store.seed)
        return target.generate(latents), latents
    return target.sample(indices, seed=store.seed), None


@contextmanager
def _locked(path: Path, *, wait: bool) -> Generator[bool]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True
