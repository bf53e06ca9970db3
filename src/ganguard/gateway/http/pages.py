"""Rendering of the gateway's HTML pages, which hold no scripts and load nothing from other sites."""

from collections.abc import Callable
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; frame-ancestors 'none'"
HEADERS = {
    "Content-Security-Policy": _POLICY,
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


@cache
def template(name: str, **filters: Callable[..., str]) -> Template:
    """Return a page's template, with the filters that it uses. It is read once and cached."""
    loader = PackageLoader("ganguard.gateway.http", "templates")
    found = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    found.filters.update(filters)
    return found.get_template(name)
