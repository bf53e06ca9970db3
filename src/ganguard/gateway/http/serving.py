"""The serving process: a socket, uvicorn, and an orderly shutdown."""

import errno
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
from ganguard.gateway.http.connection import MOST, Connection, ConnectionLimit
from ganguard.gateway.http.ending import Ending
from ganguard.gateway.shop.service import Service
from ganguard.gateway.spec import GatewaySpec
from ganguard.gateway.watch.counting import Counted

LOG = logging.getLogger("ganguard.gateway")
PATIENCE = 15  # seconds given to requests in progress at shutdown
LONGEST_END = 27.0  # seconds from an interrupt to the end of the process, whatever hangs
_LOOK_EVERY = 0.2  # seconds
_TAKEN = frozenset({errno.EADDRINUSE, errno.EACCES, errno.EADDRNOTAVAIL})


def run(spec: GatewaySpec, began: Callable[[str], None], *, new_secret: bool = False) -> None:
    """Serve until an interrupt or SIGTERM, which ends the process within 30 seconds.

    Args:
        spec: the gateway's spec.
        began: called with the address once clients may connect.
        new_secret: whether to accept a new secret (see `Service`).

    Raises SpecError if the address cannot be bound to, and what a Service raises.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    with _listening(spec.host, spec.port) as listening:
        service = Service(spec, new_secret=new_secret)
        server = server_of(Counted(create_app(service), service.telemetry))
        host, port = listening.getsockname()[:2]
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


def server_of(app: ASGIApp, most: int = MOST, connection: type[Connection] = Connection) -> uvicorn.Server:
    """Return a uvicorn server for an application, with limits on connections.

    Args:
        app: the application.
        most: connections that are served; a request on any further one is refused.
        connection: the protocol class; tests replace it.
    """
    limited = ConnectionLimit(app, most)
    config = uvicorn.Config(
        Ending(limited),
        http=connection,
        ws="none",
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=PATIENCE,
    )
    server = uvicorn.Server(config)
    limited.connections = server.server_state.connections
    return server


def _listening(host: str, port: int) -> socket.socket:
    opened = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        opened.bind((host, port))
        opened.listen(1024)
    except OSError as problem:
        opened.close()
        if problem.errno in _TAKEN:
            why = f"cannot bind to this address ({problem.strerror})"
            raise SpecError(f"{host}:{port}: {why}. Choose another host or port.") from None
        raise
    return opened
