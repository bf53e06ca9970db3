"""Buying images: from a metered target into a store, in shards, each bought once whoever else harvests
beside.

The image index is cut into cells of `SHARD` images. A process that works on a cell holds a lock on it, which
the operating system drops when the process ends; what lies in the store already is not asked for again. What
does not, though it was asked for once, is asked for again in the same requests, which the ledger counts once:
each cell keeps a note of them.
"""

import fcntl
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from torch import Tensor

from ganguard.base.cache import TEMPORARY, remove_temporaries, write_bytes
from ganguard.base.errors import BudgetError, TargetError
from ganguard.base.progress import Progress, silent
from ganguard.data.dataset import room_for
from ganguard.queries.store import DESCRIPTION, Store
from ganguard.targets.protocol import BlackBoxTarget, LatentTarget

SHARD = 512  # images: a whole number of requests of 64


def harvest(target: BlackBoxTarget, store: Store, count: int, progress: Progress = silent) -> Tensor:
    """Have images 0 ... count - 1 in the store, buying those that are absent, and return them (count, C, H,
    W) uint8.

    Where the store's codes are the client's, the client draws them from the target's prior and sends them.
    Raises TargetError where the target takes no codes, BudgetError where the account cannot pay, DataError
    where so many images do not fit into memory, or where a stored shard is damaged: it is not bought again
    unless it is removed.
    """
    if store.codes == "client" and not isinstance(target, LatentTarget):
        raise TargetError("this target takes no codes: ask with codes: provider.")
    require_room(target, count, str(store.directory))
    _create(store)
    cells = (range(start, min(start + SHARD, count)) for start in range(0, count, SHARD))
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


def require_room(target: BlackBoxTarget, count: int, name: str) -> None:
    """Raise DataError where this machine could not hold `count` images of a target; before any of them is
    bought."""
    room_for(count, target.image_shape, name)


def _create(store: Store) -> None:
    if (store.directory / DESCRIPTION).exists():
        store.create()
        return
    with _locked(store.directory / "locks" / "store", wait=True):
        remove_temporaries(store.directory, f"{DESCRIPTION}.")
        store.create()


def _buy(target: BlackBoxTarget, store: Store, cell: range, *, wait: bool) -> bool:
    """Buy what is absent of a cell; False where another process is at it and `wait` is not set.

    A request that was paid for and whose images are not there, because of a crash or because their shard was
    removed, is asked for again as it was, so that it counts once.
    """
    with _locked(store.directory / "locks" / f"{cell.start:010d}", wait=wait) as held:
        if not held:
            return False
        note = store.directory / "requests" / f"{cell.start:010d}"
        if _absent(store, cell):
            _remove_unfinished(store, note, range(cell.start, cell.start + SHARD))
        while absent := _absent(store, cell):
            noted = _requests(note)
            request = _next_request(noted, absent)
            _write_requests(note, [*(r for r in noted if r != request), request])
            try:
                images, latents = _ask(target, store, request)
            except BudgetError:  # refused, so nothing of it was paid
                _write_requests(note, [r for r in noted if r != request])
                if request in noted and request != absent:
                    # noted by a process that was killed before it paid: what is wanted now may be less
                    continue
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


def _next_request(noted: list[range], absent: range) -> range:
    """What to ask for of an absent stretch: the request that began there before, or what no request before
    asked for."""
    again = next((request for request in noted if request.start == absent.start), None)
    return again or range(
        absent.start, min([absent.stop, *(r.start for r in noted if r.start > absent.start)])
    )


def _requests(note: Path) -> list[range]:
    """The requests that were begun in a cell: a line `start:stop` for each."""
    if not note.is_file():
        return []
    lines = [line.partition(":") for line in note.read_text(errors="replace").splitlines()]
    found = [
        range(int(start), int(stop)) for start, _, stop in lines if start.isdecimal() and stop.isdecimal()
    ]
    return [request for request in found if request]


def _write_requests(note: Path, requests: list[range]) -> None:
    write_bytes(note, "".join(f"{request.start}:{request.stop}\n" for request in requests).encode())


def _remove_unfinished(store: Store, note: Path, cell: range) -> None:
    """Remove what a process that was killed was writing of a cell. Its lock is held, so that nobody is
    writing it now."""
    remove_temporaries(note.parent, f"{note.name}.")
    for path in (store.directory / "data").glob(f".*{TEMPORARY}"):
        start = path.name[1:].partition("-")[0]
        if start.isdecimal() and int(start) in cell:
            path.unlink(missing_ok=True)


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
