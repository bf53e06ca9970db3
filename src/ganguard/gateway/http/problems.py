"""What goes wrong, as RFC 9457 problem details. No answer holds a path, a trace, or what was wrongly sent in
full."""

import logging

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from ganguard.base.errors import GanguardError
from ganguard.base.settings import one_line
from ganguard.gateway.refusals import AGAIN_AFTER, ProblemError

LOG = logging.getLogger("ganguard.gateway")
MEDIA_TYPE = "application/problem+json"


def answer(error: ProblemError) -> Response:
    """The answer that says what went wrong."""
    content = error.problem.model_dump_json(exclude_none=True)
    return Response(content, error.problem.status, {**error.headers, "Cache-Control": "no-store"}, MEDIA_TYPE)


def unable(error: GanguardError) -> Response:
    """The answer where the machine failed; what is said of it is for the log alone."""
    LOG.error("%s", error)
    again = "the gateway cannot do that now. Ask again under the same idempotency key: it counts once."
    return answer(ProblemError(503, again, retry_after=AGAIN_AFTER))


def install(app: FastAPI) -> None:
    """Answer every error of an app with a problem."""

    @app.exception_handler(ProblemError)
    async def refused(request: Request, error: ProblemError) -> Response:
        return answer(error)

    @app.exception_handler(RequestValidationError)
    async def unfit(request: Request, error: RequestValidationError) -> Response:
        return answer(ProblemError(422, _first(error)))

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> Response:
        refused = ProblemError(error.status_code, one_line(error.detail, 200))
        refused.headers |= dict(error.headers or {})  # Allow, of a method that there is not
        return answer(refused)

    @app.exception_handler(GanguardError)
    async def machine(request: Request, error: GanguardError) -> Response:
        return unable(error)

    @app.exception_handler(Exception)
    async def unforeseen(request: Request, error: Exception) -> Response:
        said = "something went wrong here. Ask again under the same idempotency key: it counts once."
        return answer(ProblemError(500, said))

    _ = refused, unfit, http, machine, unforeseen


def _first(error: RequestValidationError) -> str:
    """The first of the complaints: where, and what was wanted. What came is not repeated."""
    found = error.errors()[0]
    if found["loc"] == ("body",) and found["type"] == "model_attributes_type":
        return "body: must be a JSON object, and its Content-Type that of JSON"
    where = one_line(".".join(str(part) for part in found["loc"]), 120)
    return f"{where}: {one_line(found['msg'], 200)}"
