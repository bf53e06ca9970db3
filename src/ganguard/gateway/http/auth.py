"""Authentication: the keys that requests carry, as FastAPI dependencies."""

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPBasic, HTTPBasicCredentials, HTTPBearer
from fastapi.security.http import HTTPAuthorizationCredentials

from ganguard.gateway.refusals import ProblemError
from ganguard.gateway.shop.keys import Key
from ganguard.gateway.shop.service import Service

_BEARER = HTTPBearer(auto_error=False, description="A key that `ganguard keys create` made.")
_BASIC = HTTPBasic(auto_error=False)

Check = Callable[[str], Awaitable[Key]]


def check_of(service: Service) -> Check:
    """Return an async function from a key's text to the key.

    The function raises ProblemError: 401 if the key is not valid or its class is not in the spec, 503 if too
    many unknown keys are being looked up.
    """

    async def check(shown: str) -> Key:
        key = await service.async_keys.check(shown)
        if key is None or key.class_ not in {"default", *service.spec.classes}:
            raise ProblemError(401, "a valid key is needed: Authorization: Bearer gg_…")
        return key

    return check


def bearer(header: bytes) -> str:
    """Return the key in an Authorization header, as FastAPI reads it there, or "" if it holds none."""
    scheme, _, shown = header.decode("latin-1").partition(" ")
    return shown.strip() if scheme.lower() == "bearer" else ""


def holder_of(service: Service) -> Callable[..., Awaitable[Key]]:
    """Return the dependency that gives a request's key.

    It raises ProblemError (401) if the request carries no valid key.
    """
    check = check_of(service)

    async def holder(shown: Annotated[HTTPAuthorizationCredentials | None, Depends(_BEARER)]) -> Key:
        return await check(shown.credentials if shown else "")

    return holder


def admin_of(service: Service) -> Callable[..., Awaitable[Key]]:
    """Return the dependency that gives the operator's key.

    The key comes as a bearer token, or as the password of HTTP basic authentication, which browsers ask for.
    The dependency raises ProblemError: 401 if there is no valid key, 403 if it is not an operator's.
    """
    check = check_of(service)

    async def admin(
        request: Request,
        basic: Annotated[HTTPBasicCredentials | None, Depends(_BASIC)],
        bearer: Annotated[HTTPAuthorizationCredentials | None, Depends(_BEARER)],
    ) -> Key:
        try:
            key = await check(basic.password if basic else bearer.credentials if bearer else "")
        except ProblemError as refused:
            if refused.problem.status == 401:
                refused.headers["WWW-Authenticate"] = 'Basic realm="ganguard operator"'
            raise
        if not key.scopes.admin:
            raise ProblemError(403, "only an operator's key may see this.")
        return key

    return admin
