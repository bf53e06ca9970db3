"""The process that serves: a socket, uvicorn, and an end in good order."""

import errno
import logging
import socket
from collections.abc import Callable
from contextlib import suppress

import uvicorn
from starlette.types import ASGIApp

from ganguard.base.errors import SpecError
from ganguard.gateway.http.app import create_app
from ganguard.gateway.http.connection import MOST, Connection, ConnectionLimit
from ganguard.gateway.shop.service import Service
from ganguard.gateway.spec import GatewaySpec
from ganguard.gateway.watch.counting import Counted

PATIENCE = 60  # seconds that what was reserved is given to be finished at the end
_TAKEN = frozenset({errno.EADDRINUSE, errno.EACCES, errno.EADDRNOTAVAIL})


def run(spec: GatewaySpec, began: Callable[[str], None], *, new_secret: bool = False) -> None:
    """Serve until an interrupt or SIGTERM. began: told the address once clients may come. new_secret: as a
    Service has it. Raises SpecError where it cannot be listened at, and what a Service raises."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    with _listening(spec.host, spec.port) as listening:
        service = Service(spec, new_secret=new_secret)
        server = server_of(Counted(create_app(service), service.telemetry))
        host, port = listening.getsockname()[:2]
        began(f"http://{f'[{host}]' if ':' in host else host}:{port}")
        with suppress(KeyboardInterrupt):  # uvicorn ends in good order, and then passes the signal on
            server.run([listening])


def server_of(app: ASGIApp, most: int = MOST, connection: type[Connection] = Connection) -> uvicorn.Server:
    """What serves an application, with bounds on connections. connection: for tests."""
    limited = ConnectionLimit(app, most)
    config = uvicorn.Config(
        limited,
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
            raise SpecError(
                f"{host}:{port}: cannot be listened at ({problem.strerror}). Choose another host or port."
            ) from None
        raise
    return opened
