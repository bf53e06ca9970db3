"""Log lines that any client can provoke: they are written seldom, so that nobody fills the disk with them."""

import asyncio
import errno
import logging
import time
from collections.abc import Callable
from typing import Any

PAUSE = 60.0  # seconds in which a line is written once
MOST_LINES = 100  # different lines in that time
_OUT_OF_DESCRIPTORS = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_LISTENS_AGAIN = "_start_serving"  # asyncio's callback, by which its message names it


class Seldom(logging.Filter):
    """A filter that lets each line pass once a minute, and at most a hundred different ones.

    The next line of the kind says how many were left out.

    Args:
        now: a monotonic clock, in seconds.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._now = now
        self._seen: dict[object, tuple[float, int]] = {}  # line -> (when it was written, left out since then)

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether a record is to be written."""
        now, said = self._now(), record.getMessage()
        line = (record.name, said, record.exc_info[0] if record.exc_info else None)
        at, left_out = self._seen.get(line, (now - PAUSE, 0))
        if now - at < PAUSE:
            self._seen[line] = (at, left_out + 1)
            return False
        if len(self._seen) >= MOST_LINES:
            self._seen = {one: held for one, held in self._seen.items() if now - held[0] < PAUSE}
        if len(self._seen) >= MOST_LINES:
            return False
        self._seen[line] = (now, 0)
        if left_out:
            record.msg, record.args = f"{said.rstrip()} ({left_out:,} more such lines were left out)", ()
        return True


_SELDOM = Seldom()
PROVOKED = logging.getLogger("ganguard.gateway.provoked")
PROVOKED.addFilter(_SELDOM)


def quiet(loop: asyncio.AbstractEventLoop) -> None:
    """Make an event loop, and asyncio itself, write each of its lines seldom.

    If there are no more descriptors, asyncio would write a traceback for each connection that waits.
    """
    logging.getLogger("asyncio").addFilter(_SELDOM)
    loop.set_exception_handler(_told)


def _told(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    problem = context.get("exception")
    if isinstance(problem, OSError) and problem.errno in _OUT_OF_DESCRIPTORS:
        PROVOKED.error("no connection can be accepted (%s). Raise the limit on open files.", problem.strerror)
    elif isinstance(problem, ValueError) and _LISTENS_AGAIN in str(context.get("message")):
        pass  # asyncio does so a second after it had no descriptors, though the gateway may have ended
    else:
        loop.default_exception_handler(context)
