"""Pages that the gateway serves: rendered here, without scripts, and with nothing of another house."""

from collections.abc import Callable
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; img-src data:; style-src 'unsafe-inline'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


@cache
def template(name: str, **filters: Callable[..., str]) -> Template:
    """A page's template, with the filters that it uses; it is read once."""
    loader = PackageLoader("ganguard.gateway.http", "templates")
    found = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    found.filters.update(filters)
    return found.get_template(name)
