"""The serving process: a socket, uvicorn, and an orderly shutdown."""

import asyncio
import errno
import gc
import logging
import os
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress

import uvicorn
from starlette.types import ASGIApp

from ganguard.base.errors import SpecError
from ganguard.gateway.http.app import create_app
from ganguard.gateway.http.connection import Connection
from ganguard.gateway.http.descriptors import ConnectionRoom, connection_room
from ganguard.gateway.http.ending import Ending
from ganguard.gateway.http.request_rate import RequestRate
from ganguard.gateway.http.table import Table
from ganguard.gateway.seldom import quiet
from ganguard.gateway.shop.service import Service
from ganguard.gateway.spec import GatewaySpec
from ganguard.gateway.watch.counting import Counted

LOG = logging.getLogger("ganguard.gateway")
PATIENCE = 15  # seconds given to requests in progress at shutdown
LONGEST_END = 27.0  # seconds from an interrupt to the end of the process, whatever hangs
_LOOK_EVERY = 0.2  # seconds
WAITING = 512  # connections that may wait to be accepted; others are dropped, and tried again after a second
_TAKEN = frozenset({errno.EADDRINUSE, errno.EACCES, errno.EADDRNOTAVAIL})


def run(spec: GatewaySpec, began: Callable[[str], None], *, new_secret: bool = False) -> None:
    """Serve until an interrupt or SIGTERM, which ends the process within 30 seconds.

    Args:
        spec: the gateway's spec.
        began: called with the address once clients may connect.
        new_secret: whether to accept a new secret (see `Service`).

    Raises SpecError if the address cannot be bound to, or if too few files may be open, and what a Service
    raises.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    allowed = connection_room()
    with listening_socket(spec.host, spec.port) as listening:
        service = Service(spec, new_secret=new_secret)
        app = Counted(create_app(service), service.telemetry)
        server = server_of(app, allowed.most, beyond=allowed.beyond, accepted=allowed.accepted)
        host, port = listening.getsockname()[:2]
        # What is loaded stays. Under load, the garbage collector took a tenth of the time to look through it
        # again and again, and held all requests up meanwhile.
        gc.collect()
        gc.freeze()
        threading.Thread(target=_end_at_last, args=(server,), daemon=True).start()
        began(f"http://{f'[{host}]' if ':' in host else host}:{port}")
        with suppress(KeyboardInterrupt):  # uvicorn shuts down first, and then raises the signal again
            server.run([listening])


def _end_at_last(server: uvicorn.Server) -> None:
    """End the process, LONGEST_END after its server was told to end, if it is still there by then.

    A generator, a database or a disk that hangs would keep it for good. The ledger is safe: it is as if the
    process were killed. It is not the signal's handler that begins this, since a handler may interrupt code
    that holds a lock which a new thread needs.
    """
    while not server.should_exit:
        time.sleep(_LOOK_EVERY)
    time.sleep(LONGEST_END)
    said = "not at an end after %g seconds, since something hangs: ended at once. The ledger is whole."
    told = threading.Thread(target=LOG.error, args=(said, LONGEST_END), daemon=True)
    told.start()
    told.join(1)  # the log may be what hangs
    os._exit(1)


class QuietServer(uvicorn.Server):
    """A uvicorn server that does not write a line for everything that a stranger does."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to accept connections."""
        quiet(asyncio.get_running_loop())
        await super().startup(sockets)
        for listening in sockets or ():  # as many may wait as asyncio accepts at once: too few
            listening.listen(WAITING)


def server_of(
    app: ASGIApp,
    most: int = ConnectionRoom.most,
    connection: type[Connection] = Connection,
    *,
    beyond: int = ConnectionRoom.beyond,
    accepted: int = ConnectionRoom.accepted,
) -> uvicorn.Server:
    """Return a uvicorn server for an application, with limits on connections.

    Args:
        app: the application.
        most: connections that are served.
        connection: the protocol class; tests replace it.
        beyond: connections that get only health once there are so many.
        accepted: connections that are accepted at once.
    """
    config = uvicorn.Config(
        Ending(app),
        http=type(
            connection.__name__, (connection,), {"table": Table(most, beyond), "faults": RequestRate()}
        ),
        ws="none",
        log_level="warning",
        access_log=False,
        server_header=False,
        backlog=accepted,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=PATIENCE,
    )
    return QuietServer(config)


def listening_socket(host: str, port: int) -> socket.socket:
    opened = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        opened.bind((host, port))
        opened.listen(WAITING)
    except OSError as problem:
        opened.close()
        if problem.errno in _TAKEN:
            why = f"cannot bind to this address ({problem.strerror})"
            raise SpecError(f"{host}:{port}: {why}. Choose another host or port.") from None
        raise
    return opened
