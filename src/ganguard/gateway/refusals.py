"""A request that is refused, as every room of the gateway may raise it."""

from http import HTTPStatus

from ganguard.targets.wire import Problem

AGAIN_AFTER = 1  # seconds, where nothing better is known


class ProblemError(Exception):
    """A request that is refused. headers: of the answer; left: budget, spent and left of the account, in
    images; of a rate, nothing, nothing, and what may be asked for now."""

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        retry_after: float | None = None,
        left: tuple[int | None, int | None, int] | None = None,
    ) -> None:
        super().__init__(detail)
        self.headers = {} if retry_after is None else {"Retry-After": str(max(1, round(retry_after + 0.5)))}
        if status == HTTPStatus.UNAUTHORIZED:
            self.headers["WWW-Authenticate"] = 'Bearer realm="ganguard"'
        budget, spent, rest = left or (None, None, None)
        title = HTTPStatus(status).phrase
        self.problem = Problem(
            title=title, status=status, detail=detail, budget=budget, spent=spent, left=rest
        )
