"""Buying images from a metered target into a store, in shards. Each image is bought once, even if several
processes harvest at the same time.

The image index is cut into cells of `SHARD` images. A process that works on a cell holds a lock on it, which
the operating system drops when the process ends. Images that lie in the store are not asked for again. Images
that were asked for once and do not lie there are asked for in the same requests as before, which the ledger
counts once: each cell keeps a note of its requests.
"""

import re
from dataclasses import replace
from functools import partial
from pathlib import Path

from torch import Tensor

from ganguard.base.cache import TEMPORARY, remove_temporaries, write_bytes
from ganguard.base.errors import BudgetError, TargetError
from ganguard.base.images import room_for
from ganguard.base.locks import locked
from ganguard.base.progress import Progress, silent
from ganguard.queries.choosing.rounds import Round, rounds
from ganguard.queries.sent_codes import require_codes_sent
from ganguard.queries.store import DESCRIPTION, Store
from ganguard.targets.ask import UNIFORM, require_askable
from ganguard.targets.conditions import conditions_of, generate, names_of, sample
from ganguard.targets.protocol import BlackBoxTarget, LatentTarget

SHARD = 512  # images: a whole number of requests of 64
_LINE = re.compile(r"(\d{1,19}):(\d{1,19})")  # of a cell's note: start:stop of a request


def harvest(target: BlackBoxTarget, store: Store, count: int, progress: Progress = silent) -> Tensor:
    """Buy those of the images 0 ... count - 1 that the store lacks, and return all of them.

    If the store's codes are the client's, they are drawn here and sent: from the target's prior, unless the
    store's `ask` says otherwise. A conditional target is asked as the store says. If `ask` learns from what
    was bought, the images are bought in rounds.

    Args:
        target: the target, metered if it is to be paid for.
        store: where the images are kept.
        count: how many images to have.
        progress: told how many of `count` are there.

    Returns:
        Images (count, C, H, W) uint8.

    Raises:
        TargetError: the codes are the client's, and the target takes none; or the store says how to ask for
            conditions, and the target takes none.
        SpecError: it asks for an unknown condition, or for codes that are not the client's.
        BudgetError: the account cannot pay.
        DataError: so many images do not fit into memory, or a shard in the store is damaged. A damaged shard
            is not bought again unless it is removed.
    """
    if store.codes == "client" and not isinstance(target, LatentTarget):
        raise TargetError("codes: client sends codes, and this target takes none. Use codes: provider.")
    require_codes_sent(store.ask, store.codes)
    require_askable(target, store.ask)
    if conditions_of(target) and store.ask is None:
        store = replace(store, ask=UNIFORM)
    require_room(target, count, str(store.directory))
    _create(store)
    for images in rounds(store.ask, count):
        _buy_round(target, store, images, count, progress)
    return store.read(count)


def require_room(target: BlackBoxTarget, count: int, name: str) -> None:
    """Raise DataError if `count` images of a target would not fit into memory, before any of them is bought.

    name: what a message calls the count.
    """
    room_for(count, target.image_shape, name)


def _create(store: Store) -> None:
    if (store.directory / DESCRIPTION).exists():
        store.create()
        return
    with locked(store.directory / "locks" / "store", wait=True):
        remove_temporaries(store.directory, f"{DESCRIPTION}.")
        store.create()


def _buy_round(target: BlackBoxTarget, store: Store, images: range, count: int, progress: Progress) -> None:
    """Buy the images of a round that the store lacks. count: how many images are wanted in all rounds."""
    asked = Round(target, store, images.start, partial(progress, images.start, count, "choosing"))
    held, waiting = images.start // SHARD * SHARD, list[range]()
    cells = (range(start, min(start + SHARD, images.stop)) for start in range(held, images.stop, SHARD))
    for cell in cells:
        if _buy(target, store, cell, asked, wait=False):
            held += len(cell)
            progress(held, count, "buying")
        else:
            waiting.append(cell)
    for cell in waiting:  # another process held their locks
        _buy(target, store, cell, asked, wait=True)
        held += len(cell)
        progress(held, count, "buying")


def _buy(target: BlackBoxTarget, store: Store, cell: range, asked: Round, *, wait: bool) -> bool:
    """Buy the images of a cell that the store lacks. asked: what they are asked for.

    If a request was paid for and its images are not there, because of a crash or because their shard was
    removed, the same request is made again, so that it counts once.

    Returns:
        False if another process works on the cell and `wait` is not set.
    """
    with locked(store.directory / "locks" / f"{cell.start:010d}", wait=wait) as held:
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
                images, latents, conditions = _ask(target, store, request, asked)
            except BudgetError:  # refused, so nothing of it was paid
                _write_requests(note, [r for r in noted if r != request])
                # A process that was killed before it paid may have noted more than is wanted now.
                if request in noted and request != absent:
                    continue
                raise
            store.write(request.start, images, latents, conditions)
        return True


def _absent(store: Store, cell: range) -> range:
    """Return the first range of a cell that the store does not hold; it is empty if the store holds all."""
    held = cell.start
    for start, stop, _ in store.shards():
        if start > held:
            return range(held, min(start, cell.stop))
        held = max(held, stop)
    return range(held, cell.stop)


def _next_request(noted: list[range], absent: range) -> range:
    """Return what to ask for of an absent range: the noted request that begins there, or the images up to the
    next noted request."""
    again = next((request for request in noted if request.start == absent.start), None)
    later = [request.start for request in noted if request.start > absent.start]
    return again or range(absent.start, min([absent.stop, *later]))


def _requests(note: Path) -> list[range]:
    """Return the requests that were begun in a cell; lines that are not `start:stop` are skipped."""
    if not note.is_file():
        return []
    lines = (_LINE.fullmatch(line) for line in note.read_text(errors="replace").splitlines())
    requests = [range(int(line[1]), int(line[2])) for line in lines if line]
    return [request for request in requests if request]


def _write_requests(note: Path, requests: list[range]) -> None:
    write_bytes(note, "".join(f"{request.start}:{request.stop}\n" for request in requests).encode())


def _remove_unfinished(store: Store, note: Path, cell: range) -> None:
    """Remove what a process that was killed was writing of a cell. The cell's lock is held here, so that no
    other process writes it now."""
    remove_temporaries(note.parent, f"{note.name}.")
    for path in (store.directory / "data").glob(f".*{TEMPORARY}"):
        start = path.name[1:].partition("-")[0]
        if start.isdecimal() and int(start) in cell:
            path.unlink(missing_ok=True)


def _ask(
    target: BlackBoxTarget, store: Store, indices: range, asked: Round
) -> tuple[Tensor, Tensor | None, list[str] | None]:
    """Return images, the codes that were sent for them, and the names of the conditions that were."""
    conditions = asked.conditions(indices)
    names = names_of(conditions_of(target), conditions)
    if store.codes == "client" and isinstance(target, LatentTarget):
        latents = asked.codes(target, indices)
        return generate(target, latents, conditions), latents, names
    return sample(target, indices, seed=store.seed, conditions=conditions), None, names
