"""The gateway over HTTP: an ASGI application around a Service."""

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress

from anyio import to_thread
from fastapi import FastAPI

from ganguard import __version__
from ganguard.gateway.http import api_page, operator_page, problems, routes
from ganguard.gateway.http.auth import bearer, check_of
from ganguard.gateway.http.limits import BYTES_AN_ENTRY, Allowed, Limits
from ganguard.gateway.shop.service import Service
from ganguard.targets.protocol import LatentTarget
from ganguard.targets.wire import IMAGES

LOG = logging.getLogger("ganguard.gateway")
LOOK_EVERY = 5.0  # seconds between looks at how far accounts have come
_BODY = 4096  # bytes of a request without codes

DESCRIPTION = """Images of a generator, each paid for by an account.

Send an `Idempotency-Key` of your own: where an answer is lost, asking again under the same key costs nothing and brings the
same images. Errors are problem details (RFC 9457)."""


def create_app(service: Service) -> FastAPI:
    """The application. It closes the service when it ends."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
        looking = asyncio.create_task(_look(service))
        try:
            yield
        finally:
            looking.cancel()
            with suppress(asyncio.CancelledError):
                await looking
            await to_thread.run_sync(service.close)

    app = FastAPI(
        title="ganguard gateway",
        version=__version__,
        description=DESCRIPTION,
        lifespan=lifespan,
        redirect_slashes=False,  # to an address that the client's Host header names, and to http
        docs_url=None,  # its pages run scripts of other houses
        redoc_url=None,
    )
    problems.install(app)
    app.include_router(routes.router(service))
    app.include_router(operator_page.router(service))
    app.include_router(api_page.router(app))
    app.add_middleware(Limits, allowed=_allowed(service))
    return app


def _allowed(service: Service) -> Allowed:
    """Who may send how many bytes: room for as many codes as the key may send, once it is seen to be one that
    holds."""
    check, target = check_of(service), service.batching.inner
    entries = target.latent_dim if isinstance(target, LatentTarget) else 0

    async def allowed(method: str, path: str, shown: bytes) -> int:
        if method != "POST" or path != IMAGES:
            return _BODY
        scopes = (await check(bearer(shown))).scopes
        return (
            _BODY
            + BYTES_AN_ENTRY
            * entries
            * min(scopes.most_images, service.spec.most_images)
            * scopes.send_latents
        )

    return allowed


async def _look(service: Service) -> None:
    while True:
        try:
            await to_thread.run_sync(service.look)
        except Exception as problem:  # noqa: BLE001 - whatever went wrong once is looked at again
            LOG.warning("extraction risk: %s: %s", type(problem).__name__, problem)
        await asyncio.sleep(LOOK_EVERY)
