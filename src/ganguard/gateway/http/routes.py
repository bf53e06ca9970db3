"""The routes for clients and monitoring: images, the account, health and metrics."""

import re
import secrets
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import partial
from http import HTTPStatus
from threading import Event
from typing import Annotated, Any

from anyio import CapacityLimiter, to_thread
from fastapi import APIRouter, Depends, Header, Request
from fastapi.responses import Response

from ganguard.gateway.http.auth import admin_of, holder_of
from ganguard.gateway.http.bodies import DESCRIBED, Bodies
from ganguard.gateway.http.limits import HELD
from ganguard.gateway.http.problems import under
from ganguard.gateway.refusals import ProblemError
from ganguard.gateway.shop.asked import Asked
from ganguard.gateway.shop.keys import Key
from ganguard.gateway.shop.memory import Memory
from ganguard.gateway.shop.order import Order, order_of
from ganguard.gateway.shop.service import Service
from ganguard.gateway.watch import telemetry
from ganguard.targets.conditions import conditions_of
from ganguard.targets.wire import (
    ACCOUNT,
    IDEMPOTENCY_KEY,
    IMAGES,
    LONGEST_KEY,
    NPZ,
    AccountAnswer,
    ConditionalAccount,
    ImagesAnswer,
    Problem,
    to_json,
    to_npz,
)

AT_ONCE = 256  # requests that are worked on at once; others wait
_PRINTABLE = f"[!-~]{{1,{LONGEST_KEY}}}"
_ASKED_AGAIN = Header(
    description="A key of your choice for this request. Asking again under it returns the same images, free.",
    json_schema_extra={"pattern": f"^{_PRINTABLE}$", "type": "string"},
)
_REFUSED: dict[int | str, dict[str, Any]] = {
    status: {
        "description": HTTPStatus(status).phrase,
        "content": {"application/problem+json": {"schema": Problem.model_json_schema()}},
    }
    for status in (400, 401, 402, 403, 408, 409, 413, 422, 429, 500, 503)
}


def router(service: Service) -> APIRouter:
    """Return the routes of a service."""
    routes, threads = APIRouter(), CapacityLimiter(AT_ONCE)
    holder, bodies = holder_of(service), Bodies(service)
    account = ConditionalAccount if conditions_of(service.batching.inner) else AccountAnswer

    @routes.post(
        IMAGES,
        response_model=ImagesAnswer,
        responses={**_REFUSED, 200: {"content": {NPZ: {}}}},
        openapi_extra=DESCRIBED,
    )
    async def buy_images(
        request: Request,
        key: Annotated[Key, Depends(holder)],
        idempotency_key: Annotated[str | None, _ASKED_AGAIN] = None,
    ) -> Response:
        """Buy images. They count as spent once they are reserved, which is before they are made."""
        asked = await bodies.asked(request, key)
        order = _order(service, asked, key, idempotency_key)
        with under(order.idempotency_key), _timed(service, order):
            # The order holds its room until the answer is sent.
            room = request.scope[HELD].enter_context(service.sales.admitted(order, key.class_))
            encode = to_npz if asked.format == "npz" else partial(to_json, order.idempotency_key)
            with _ended() as gone:
                content = await to_thread.run_sync(
                    service.sales.sell, order, key.class_, encode, gone, limiter=threads
                )
            room.shrink(Memory.of_answer(content, order.latents))
        headers = {IDEMPOTENCY_KEY: order.idempotency_key, "Cache-Control": "no-store"}
        return Response(content, 200, headers, NPZ if asked.format == "npz" else "application/json")

    @routes.get(
        ACCOUNT, response_model=account, responses={s: _REFUSED[s] for s in (400, 401, 403, 429, 503)}
    )
    def where_the_account_stands(key: Annotated[Key, Depends(holder)]) -> AccountAnswer:
        """Show the account's budget, the images spent and left, the key's scopes, and the target served."""
        return account.model_validate(_stands(service, key))

    @routes.get("/healthz", include_in_schema=False)
    async def alive() -> dict[str, str]:
        return {"status": "alive"}

    @routes.get("/readyz", include_in_schema=False)
    async def ready() -> dict[str, str]:
        if problem := await service.readiness():
            raise ProblemError(503, problem, retry_after=1)
        return {"status": "ready"}

    @routes.get("/metrics", include_in_schema=False)
    def metrics(key: Annotated[Key, Depends(admin_of(service))]) -> Response:
        service.watch.update()
        return Response(service.telemetry.text(), media_type=telemetry.MEDIA_TYPE)

    _ = buy_images, where_the_account_stands, alive, ready, metrics
    return routes


def _stands(service: Service, key: Key) -> dict[str, object]:
    """Return what a key's holder is told of its account."""
    balance = service.ledger.balance(key.account)
    return {
        "account": key.account,
        "budget": balance.budget,
        "spent": balance.reserved,
        "left": balance.budget - balance.reserved,
        "scopes": key.scopes.model_copy(update={"most_images": service.most_of(key)}),
        "target": service.served(key),
    }


@contextmanager
def _timed(service: Service, order: Order) -> Generator[None]:
    """Record how long the body takes and how many images it sells: none if it raises."""
    begun, images = time.monotonic(), 0
    try:
        yield
        images = order.count
    finally:
        service.telemetry.ordered(images, time.monotonic() - begun)


@contextmanager
def _ended() -> Generator[Callable[[], bool]]:
    """Yield a function that tells whether the body was cancelled, as it is when the server ends."""
    gone = Event()
    try:
        yield gone.is_set
    except BaseException:
        gone.set()
        raise


def _order(service: Service, asked: Asked, key: Key, idempotency_key: str | None) -> Order:
    """Return a request's order, under a random idempotency key if it has none. Raises ProblemError.

    One under a key of the client's may ask for what is not known: its reservation, if any, is still to be
    found.
    """
    if idempotency_key is not None and not re.fullmatch(_PRINTABLE, idempotency_key):
        raise ProblemError(422, f"Idempotency-Key: must be 1 to {LONGEST_KEY} printable ASCII characters.")
    target = service.batching.inner
    order = order_of(key, asked, idempotency_key or secrets.token_hex(16), target, service.most_of(key))
    if order.asked.misfit and idempotency_key is None:
        raise order.asked.misfit
    return order
