"""The gateway's ASGI application, around a Service."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress

from anyio import to_thread
from fastapi import FastAPI

from ganguard import __version__
from ganguard.gateway.http import api_page, operator_page, problems, routes
from ganguard.gateway.http.auth import bearer, check_of
from ganguard.gateway.http.bodies import document_bodies
from ganguard.gateway.http.door import Door
from ganguard.gateway.http.limits import BYTES_AN_ENTRY, LARGEST_BODY, Allowed, Limits
from ganguard.gateway.http.plain import Plain
from ganguard.gateway.http.unambiguous import Unambiguous
from ganguard.gateway.shop.asked_conditions import longest_name
from ganguard.gateway.shop.keys import Key
from ganguard.gateway.shop.service import Service
from ganguard.targets.conditions import conditions_of
from ganguard.targets.protocol import LatentTarget
from ganguard.targets.wire import IMAGES

LOG = logging.getLogger("ganguard.gateway")
UPDATE_EVERY = 5.0  # seconds between updates of the accounts' extraction risk
_BODY = 4096  # bytes allowed for a request without codes

DESCRIPTION = """Images of a generator, each paid for by an account.

Send an `Idempotency-Key` of your own: if an answer is lost, asking again under the same key costs nothing
and returns the same images. Errors are problem details (RFC 9457)."""


def create_app(service: Service) -> FastAPI:
    """Return the application. It closes the service when it shuts down."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
        updates = asyncio.create_task(_update_risk(service))
        try:
            yield
        finally:
            updates.cancel()
            with suppress(asyncio.CancelledError):
                await updates
            await to_thread.run_sync(service.close)

    app = FastAPI(
        title="ganguard gateway",
        version=__version__,
        description=DESCRIPTION,
        lifespan=lifespan,
        # A redirect would lead to plain http, at the host that the client's Host header names.
        redirect_slashes=False,
        # FastAPI's own pages load scripts from other sites; see api_page.
        docs_url=None,
        redoc_url=None,
    )
    problems.install(app)
    app.include_router(routes.router(service))
    app.include_router(operator_page.router(service))
    app.include_router(api_page.router(app))
    document_bodies(app, conditional=conditions_of(service.batching.inner) is not None)
    # The last one sees a request first.
    app.add_middleware(Limits, allowed=_allowed(service))
    app.add_middleware(Door, check=check_of(service), a_minute=_a_minute(service))
    app.add_middleware(Plain)
    app.add_middleware(Unambiguous)
    return app


def _a_minute(service: Service) -> Callable[[Key], int | None]:
    def a_minute(key: Key) -> int | None:
        return service.spec.class_of(key.class_).requests_a_minute

    return a_minute


def _allowed(service: Service) -> Allowed:
    """Return the check of the bytes that a request may send: enough for as many codes, and names of
    conditions, as its key may send."""
    check, target = check_of(service), service.batching.inner
    entries = target.latent_dim if isinstance(target, LatentTarget) else 0
    name = longest_name(conditions_of(target))

    async def allowed(method: str, path: str, shown: bytes) -> int:
        if method != "POST" or path != IMAGES:
            return 0
        scopes = (await check(bearer(shown))).scopes
        most = min(scopes.most_images, service.spec.most_images)
        codes = most if scopes.send_latents else 0
        return min(_BODY + BYTES_AN_ENTRY * entries * codes + name * most, LARGEST_BODY)

    return allowed


async def _update_risk(service: Service) -> None:
    while True:
        try:
            await to_thread.run_sync(service.watch.update)
        except Exception as problem:  # noqa: BLE001 - the next update may succeed
            LOG.warning("extraction risk: %s: %s", type(problem).__name__, problem)
        await asyncio.sleep(UPDATE_EVERY)
