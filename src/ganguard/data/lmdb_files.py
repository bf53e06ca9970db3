"""What an LMDB says of itself: its head pages, and which of its entries are images.

Most databases of images have an image under each key, as LSUN's. Those of rosinality/stylegan2-pytorch
(`prepare_data.py`) hold every picture in several sizes, under keys such as "256-00017", and their number
under "length".
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ganguard.base.errors import DataError

if TYPE_CHECKING:
    from lmdb import Cursor

FILE = "data.mdb"
"""The file of a database that is a folder. A database may also be a file of another name, by itself."""
_OF_DATABASES = frozenset({"", ".mdb", ".lmdb", ".db"})  # endings of such files
HEAD, MAGIC = 16, 0xBEEFC0DE  # bytes of a page before its meta data, and the first word of the meta data
META = 136  # bytes of the meta data
_PAGE_SIZE, _ENTRIES, _LAST_PAGE, _TRANSACTION = 24, 104, 120, 128  # places in the meta data
NO_IMAGES = frozenset({b"length", b"num-samples", b"__len__", b"__keys__"})
"""Keys under which programs keep how many images there are, or the list of their keys."""
_SIZED = re.compile(rb"([0-9]{1,5})-[0-9]{5,}")


def is_lmdb(file: Path) -> bool:
    """Return whether a file holds a database: it is called data.mdb, or begins as one does and has an ending
    that databases have, or none."""
    return file.name == FILE or (file.suffix.lower() in _OF_DATABASES and begins_as_lmdb(file))


def begins_as_lmdb(file: Path) -> bool:
    """Return whether a file begins with the head page of an LMDB; False if it cannot be read."""
    try:
        if not file.is_file():  # a pipe would be waited for
            return False
        with file.open("rb") as opened:
            return _number(opened.read(HEAD + META)[HEAD:], 0, 4) == MAGIC
    except OSError:
        return False


def place_of(file: Path) -> Path:
    """Return the folder that a database is, or has the name of: `cat` for cat/data.mdb and for cat.mdb."""
    return file.parent if file.name == FILE else file.with_suffix("")


def require_whole(file: Path) -> None:
    """Raise DataError unless a database has all the pages that its newer head page counts. LMDB would read
    beyond the end of a truncated file, which kills the process."""
    heads = _heads(file)
    page = _number(heads[0], _PAGE_SIZE, 4) if heads else 0
    if len(heads) < 2 or (_number(_newer(heads), _LAST_PAGE) + 1) * page > file.stat().st_size:
        raise DataError(f"{file}: not a whole LMDB: truncated, or another type of file. Copy it again.")


def entries_claimed(file: Path) -> int:
    """Return how many entries a database claims to hold; 0 if it is none, or not whole."""
    try:
        heads = _heads(file)
    except OSError:
        return 0
    return _number(_newer(heads), _ENTRIES) if len(heads) == 2 else 0


def sizes_held(cursor: "Cursor") -> list[int]:
    """Return the sizes that every picture is held in, ascending; [] if keys name no sizes, as LSUN's do not.

    A database names them if its first key is a size and a number, and it has the key "length".
    """
    found = list[int]()
    if not cursor.set_key(b"length") or not cursor.first():
        return found
    while sized := _SIZED.fullmatch(bytes(cursor.key())):
        found.append(int(sized[1]))
        if not cursor.set_range(sized[1] + b"."):  # "." comes after "-": to the keys of the next size
            break
    return sorted(found)


def keys_of_images(cursor: "Cursor", size: int | None) -> Iterator[bytes]:
    """Yield the keys of the images in their order.

    size: of a database that names sizes, the one that is wanted; None for others.
    """
    prefix = b"" if size is None else b"%d-" % size
    there = cursor.set_range(prefix) if prefix else cursor.first()
    if not there:
        return
    for key in cursor.iternext(keys=True, values=False):
        if not bytes(key).startswith(prefix):
            return
        if bytes(key) not in NO_IMAGES:
            yield bytes(key)


def _heads(file: Path) -> list[bytes]:
    """Return the meta data of the two head pages, as far as they are whole."""
    with file.open("rb") as opened:
        first = opened.read(HEAD + META)
        opened.seek(_number(first[HEAD:], _PAGE_SIZE, 4))
        pages = [first, opened.read(HEAD + META)]
    metas = [page[HEAD:] for page in pages if len(page) == HEAD + META]
    return [meta for meta in metas if _number(meta, 0, 4) == MAGIC]


def _newer(heads: list[bytes]) -> bytes:
    return max(heads, key=lambda meta: (_number(meta, _TRANSACTION), _number(meta, _LAST_PAGE)))


def _number(meta: bytes, place: int, length: int = 8) -> int:
    return int.from_bytes(meta[place : place + length], "little")
