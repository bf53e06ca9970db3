"""Error responses as RFC 9457 problem details.

No response holds a path, a traceback, or the full text of an invalid value.
"""

import asyncio
from collections.abc import Generator
from contextlib import contextmanager

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from ganguard.base.errors import GanguardError
from ganguard.base.settings import one_line
from ganguard.gateway.refusals import AGAIN_AFTER, ProblemError
from ganguard.gateway.seldom import PROVOKED

MEDIA_TYPE = "application/problem+json"


def answer(error: ProblemError) -> Response:
    """Return the response to a refused request."""
    content = error.problem.model_dump_json(exclude_none=True)
    return Response(content, error.problem.status, {**error.headers, "Cache-Control": "no-store"}, MEDIA_TYPE)


def unable(error: GanguardError) -> Response:
    """Return the response (503) to a failure of the machine; its message goes to the log alone."""
    return answer(_unable(error))


def _unable(error: GanguardError) -> ProblemError:
    PROVOKED.error("%s", error)
    again = "the gateway cannot do that now. Ask again under the same idempotency key: images count once."
    return ProblemError(503, again, retry_after=AGAIN_AFTER)


def _unforeseen() -> ProblemError:
    said = "something failed here. Ask again under the same idempotency key: images count once."
    return ProblemError(500, said, retry_after=AGAIN_AFTER)


def closing() -> ProblemError:
    """Return the refusal of a request that is not answered before the gateway ends."""
    said = "the gateway is closing. Ask again under the same idempotency key: images count once."
    refused = ProblemError(503, said, retry_after=AGAIN_AFTER)
    refused.headers["Connection"] = "close"
    return refused


@contextmanager
def under(idempotency_key: str) -> Generator[None]:
    """Name an order's idempotency key in the answer to whatever the body raises.

    It raises ProblemError instead of any other error, also if the server cancels the request as it ends.
    """
    try:
        yield
    except ProblemError as refused:
        refused.under(idempotency_key)
        raise
    except GanguardError as problem:
        raise _unable(problem).under(idempotency_key) from problem
    except asyncio.CancelledError:
        raise closing().under(idempotency_key) from None
    except Exception as problem:
        PROVOKED.exception("an order failed")
        raise _unforeseen().under(idempotency_key) from problem


def install(app: FastAPI) -> None:
    """Make an app answer every error with problem details."""

    @app.exception_handler(ProblemError)
    async def refused(request: Request, error: ProblemError) -> Response:
        return answer(error)

    @app.exception_handler(RequestValidationError)
    async def unfit(request: Request, error: RequestValidationError) -> Response:
        return answer(ProblemError(422, _first(error)))

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> Response:
        refused = ProblemError(error.status_code, one_line(error.detail, 200))
        refused.headers |= dict(error.headers or {})  # such as Allow, with 405
        return answer(refused)

    @app.exception_handler(GanguardError)
    async def machine(request: Request, error: GanguardError) -> Response:
        return unable(error)

    @app.exception_handler(Exception)
    async def unforeseen(request: Request, error: Exception) -> Response:
        return answer(_unforeseen())

    _ = refused, unfit, http, machine, unforeseen


def _first(error: RequestValidationError) -> str:
    """Return the first validation error: where it is and what was wanted, without the invalid value."""
    found = error.errors()[0]
    where = one_line(".".join(str(part) for part in found["loc"]), 120)
    return f"{where}: {one_line(found['msg'], 200)}"
