"""The API documentation at /docs: the OpenAPI document as a page without scripts or third-party resources."""

import json
from functools import cache

from fastapi import APIRouter, FastAPI
from fastapi.responses import HTMLResponse

from ganguard.gateway.http.pages import HEADERS, template


def router(app: FastAPI) -> APIRouter:
    """Return the route of the page that shows the app's own OpenAPI document."""
    routes = APIRouter()

    @cache
    def page() -> str:
        document = app.openapi()
        components = document["components"]["schemas"]
        schemas = {name: json.dumps(schema, indent=2) for name, schema in components.items()}
        return template("api.html.j2").render(document=document, schemas=schemas)

    @routes.get("/docs", include_in_schema=False, response_class=HTMLResponse)
    def documents() -> HTMLResponse:
        return HTMLResponse(page(), headers=HEADERS)

    _ = documents
    return routes
