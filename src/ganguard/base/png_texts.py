"""PNG files without the texts and the colour profile that say nothing of their pixels.

Pillow refuses more than a megabyte of them when it is unpacked, because a few bytes may claim to hold any
amount. Programs that generate images write how they did it into such texts, at any length.
"""

from pathlib import Path

from ganguard.base.settings import TooLarge, read_bounded

SIGNATURE = b"\x89PNG\r\n\x1a\n"
MOST_BYTES = 256 << 20  # of a file that is read as a whole
_FRAME = 12  # bytes of a chunk beside its content: length, name and checksum
_SAY_NOTHING = frozenset({b"tEXt", b"zTXt", b"iTXt", b"iCCP"})


def refused_for_texts(problem: Exception) -> bool:
    """Return whether Pillow refused a PNG file because its texts, or its profile, are too long."""
    return isinstance(problem, ValueError) and "MAX_TEXT" in str(problem)


def without_texts(source: bytes | Path) -> bytes | None:
    """Return a PNG file without its texts and profile, or None if it has none, or is no PNG file that can be
    held. Nothing is unpacked."""
    try:
        content = source if isinstance(source, bytes) else read_bounded(source, MOST_BYTES)
    except (TooLarge, OSError):
        return None
    if not content.startswith(SIGNATURE):
        return None
    kept, place = [SIGNATURE], len(SIGNATURE)
    while place < len(content):
        end = place + _FRAME + int.from_bytes(content[place : place + 4], "big")
        if content[place + 4 : place + 8] not in _SAY_NOTHING:
            kept.append(content[place:end])
        place = end
    lean = b"".join(kept)
    return lean if len(lean) < len(content) else None
