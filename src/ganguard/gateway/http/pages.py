"""Rendering of the gateway's HTML pages, which hold no scripts and load nothing from other sites."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

from jinja2 import Template

from ganguard.report.pages import environment

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
    found = environment(Path(__file__).parent / "templates")
    found.filters.update(filters)
    return found.get_template(name)
