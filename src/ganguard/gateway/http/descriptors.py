"""How many connections the limit on open files allows."""

import logging
import resource
from dataclasses import dataclass

from ganguard.base.errors import SpecError

LOG = logging.getLogger("ganguard.gateway")
OTHERS = 128  # descriptors for everything but connections: the ledger, files, libraries
FEWEST = 64  # descriptors for connections below which serving makes no sense
_WAVES = 4  # times that so many may be accepted before the first connection that is let go is closed


@dataclass(frozen=True)
class ConnectionRoom:
    """How many connections may be open.

    Attributes:
        most: connections that are served.
        beyond: connections that get only health once there are so many.
        accepted: connections that are accepted at once.
    """

    most: int = 512
    beyond: int = 64
    accepted: int = 64

    @property
    def descriptors(self) -> int:
        """The descriptors that are needed in all."""
        return self.most + self.beyond + _WAVES * self.accepted + OTHERS


def connection_room() -> ConnectionRoom:
    """Raise this process's limit on open files to what serving needs, and return what it then allows.

    Raises SpecError if the limit allows too few.
    """
    wanted = ConnectionRoom()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = wanted.descriptors if hard == resource.RLIM_INFINITY else min(hard, wanted.descriptors)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    return fitting(most)


def fitting(descriptors: int) -> ConnectionRoom:
    """Return the room that a limit on open files allows. Raises SpecError if it allows too little."""
    wanted = ConnectionRoom()
    if descriptors >= wanted.descriptors:
        return wanted
    free, said = descriptors - OTHERS, f"the limit on open files is {descriptors}"
    if free < FEWEST:
        raise SpecError(
            f"{said}; it must be at least {OTHERS + FEWEST}, better {wanted.descriptors}. Raise it (ulimit "
            "-n, LimitNOFILE)."
        )
    accepted = min(wanted.accepted, free // 16)
    beyond = min(wanted.beyond, free // 8)
    found = ConnectionRoom(min(wanted.most, free - _WAVES * accepted - beyond), beyond, accepted)
    if found.most < wanted.most:
        LOG.warning("%s: only %d connections are served, not %d.", said, found.most, wanted.most)
    return found
