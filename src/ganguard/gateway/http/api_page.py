"""What the gateway answers, as a page to read: the OpenAPI document without scripts, and with nothing of
another house."""

import json

from fastapi import APIRouter, FastAPI
from fastapi.responses import HTMLResponse

from ganguard.gateway.http.pages import HEADERS, template


def router(app: FastAPI) -> APIRouter:
    """The page of an app's own document."""
    routes = APIRouter()

    @routes.get("/docs", include_in_schema=False, response_class=HTMLResponse)
    def documents() -> HTMLResponse:
        document = app.openapi()
        schemas = {
            name: json.dumps(said, indent=2) for name, said in document["components"]["schemas"].items()
        }
        return HTMLResponse(
            template("api.html.j2").render(document=document, schemas=schemas), headers=HEADERS
        )

    _ = documents
    return routes
