"""All files of a folder and below, each once, whatever links lead to them."""

import os
from collections import deque
from collections.abc import Iterator
from pathlib import Path

from ganguard.data.stray import is_stray


def files_of(folder: Path) -> Iterator[Path]:
    """Yield the files of a folder and below, links among them, without stray ones. Raises OSError.

    Links to folders are followed. A folder is entered once, by its own path if that lies below `folder`,
    otherwise by the first link to it. So circles of links end, and no file comes twice.
    """
    waiting, entered = deque([folder]), set[tuple[int, int]]()
    while waiting:
        links = list[Path]()
        for directory, folders, names in os.walk(waiting.popleft(), onerror=_raise):
            here, state = Path(directory), os.stat(directory)
            if (state.st_dev, state.st_ino) in entered:
                folders.clear()
                continue
            entered.add((state.st_dev, state.st_ino))
            folders[:] = [name for name in folders if not is_stray([name])]
            links += (here / name for name in folders if (here / name).is_symlink())
            yield from (here / name for name in names if not is_stray([name]))
        waiting.extend(sorted(links))


def _raise(problem: OSError) -> None:
    raise problem
