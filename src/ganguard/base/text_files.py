"""Text that other programs wrote: some of them begin it with a mark of its encoding (BOM)."""

import codecs

_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def without_mark(content: bytes) -> bytes:
    """Return a UTF-8 text without the byte order mark that editors on Windows put before it."""
    return content.removeprefix(codecs.BOM_UTF8)


def decoded(content: bytes, errors: str = "strict") -> str:
    """Return a text in UTF-8 or, if its mark says so, UTF-16; the mark is no part of it.

    Raises ValueError if it is neither, unless `errors` says what to put in place of what is wrong.
    """
    if content.startswith(_UTF_16):
        return content.decode("utf-16", errors)
    return without_mark(content).decode("utf-8", errors)
