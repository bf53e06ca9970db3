"""The error that any part of the gateway raises to refuse a request."""

from http import HTTPStatus

from ganguard.targets.wire import Problem

AGAIN_AFTER = 1  # seconds for Retry-After, if nothing better is known


class ProblemError(Exception):
    """A refused request, as RFC 9457 problem details.

    Args:
        status: the HTTP status of the response.
        detail: the reason, in a sentence for the client.
        retry_after: seconds until asking again makes sense; None leaves the header out.
        left: the account's budget, spent and left, in images; for a rate limit (None, None, images that may
            be asked for now).
        kind: the problem's type, the end of urn:ganguard:problem:…; None if the status says it all.

    Attributes:
        headers: the headers of the response.
        problem: the body of the response.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        retry_after: float | None = None,
        left: tuple[int | None, int | None, int] | None = None,
        kind: str | None = None,
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
        if kind is not None:
            self.problem = self.problem.model_copy(update={"type": f"urn:ganguard:problem:{kind}"})
