"""The bodies of requests for images: read off the event loop, and described in the OpenAPI document.

FastAPI would parse them on the event loop, where one large body holds up all other clients.
"""

from typing import Any

from anyio import CapacityLimiter, to_thread
from fastapi import FastAPI, Request

from ganguard.gateway.refusals import ProblemError
from ganguard.gateway.shop.asked import Asked, read_asked
from ganguard.gateway.shop.keys import Key
from ganguard.gateway.shop.service import Service
from ganguard.targets.protocol import LatentTarget
from ganguard.targets.wire import ConditionalRequest, ImagesRequest

AT_ONCE = 1  # large bodies that are parsed at once: more threads would only take turns
SMALL = 4096  # bytes of a body that is parsed in less time than a thread takes to begin
_SCHEMAS = "#/components/schemas/"
DESCRIBED: dict[str, Any] = {
    "requestBody": {
        "content": {"application/json": {"schema": {"$ref": f"{_SCHEMAS}{ImagesRequest.__name__}"}}},
        "required": True,
    }
}
"""What the OpenAPI document says of a route's body."""


class Bodies:
    """Reads the bodies of requests for a service's images. `Limits` bounds those that wait for it."""

    def __init__(self, service: Service) -> None:
        self._service, self._threads = service, CapacityLimiter(AT_ONCE)

    async def asked(self, request: Request, key: Key) -> Asked:
        """Return what a request asks for. Raises ProblemError as `read_asked` does."""
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/json" and not (kind.startswith("application/") and kind.endswith("+json")):
            raise ProblemError(422, "body: must be a JSON object, sent with the Content-Type of JSON.")
        if request.headers.get("content-encoding", "identity").strip().lower() != "identity":
            raise ProblemError(422, "body: must be sent without compression, so without Content-Encoding.")
        content, target = await request.body(), self._service.batching.inner
        most = self._service.most_of(key)
        width = target.latent_dim if isinstance(target, LatentTarget) and key.scopes.send_latents else None
        if len(content) <= SMALL:
            return read_asked(content, most, width)
        return await to_thread.run_sync(read_asked, content, most, width, limiter=self._threads)


def document_bodies(app: FastAPI, *, conditional: bool) -> None:
    """Add the schemas that DESCRIBED names to an app's OpenAPI document, for routes that read bodies here.

    conditional: whether requests may name conditions.
    """
    described, body = app.openapi, ConditionalRequest if conditional else ImagesRequest

    def openapi() -> dict[str, Any]:
        document = described()
        schema = body.model_json_schema(ref_template=f"{_SCHEMAS}{{model}}")
        schema["title"] = ImagesRequest.__name__
        document["components"]["schemas"] |= {**schema.pop("$defs"), ImagesRequest.__name__: schema}
        return document

    app.openapi = openapi
