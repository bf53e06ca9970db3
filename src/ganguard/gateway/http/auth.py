"""Who asks: the holders of keys, as the routes depend on them."""

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
    """The key that a client shows, if a service serves it. What it returns raises ProblemError (401, 503)."""

    async def check(shown: str) -> Key:
        key = await service.async_keys.check(shown)
        if key is None or key.class_ not in {"default", *service.spec.classes}:
            raise ProblemError(401, "a key that holds is needed: Authorization: Bearer gg_…")
        return key

    return check


def bearer(header: bytes) -> str:
    """The key in an Authorization header, or nothing."""
    scheme, _, shown = header.decode("latin-1").partition(" ")
    return shown if scheme.lower() == "bearer" else ""


def holder_of(service: Service) -> Callable[..., Awaitable[Key]]:
    """Who asks, as a dependency: the holder of a key that holds. Raises ProblemError (401)."""
    check = check_of(service)

    async def holder(shown: Annotated[HTTPAuthorizationCredentials | None, Depends(_BEARER)]) -> Key:
        return await check(shown.credentials if shown else "")

    return holder


def admin_of(service: Service) -> Callable[..., Awaitable[Key]]:
    """The operator, as a dependency: by a key as bearer, or as the password that a browser asks for. Raises
    ProblemError: 401, and 403 for another key."""
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
            raise ProblemError(403, "only the operator's key may see this.")
        return key

    return admin
