"""Which addresses may be audited: this machine's own, and others over TLS if somebody allowed it."""

import ipaddress
from contextlib import suppress
from urllib.parse import SplitResult, urlsplit

from ganguard.base.settings import shortened


def require_allowed(url: str, address: SplitResult, authorised_by: str | None, name: str = "url") -> None:
    """Raise ValueError if an address is not this machine's own, and nobody allowed the audit, or no TLS
    protects it.

    Args:
        url: the address, as it was written.
        address: its parts.
        authorised_by: who allowed the audit.
        name: the setting that holds the address, for messages.
    """
    if is_loopback(address.hostname or ""):
        return
    if not (authorised_by or "").strip():
        raise ValueError(
            f"authorised_by must say who allowed an audit of {shortened(address.hostname)}; got nothing, and "
            "nothing was sent. Audit only what you own or are authorised to test"
        )
    if address.scheme != "https":
        raise ValueError(
            f"{name} must begin with https:// unless it is this machine's own; got {shortened(url)}"
        )


def parts_of(url: str, forbidden: str = " @?#\\") -> SplitResult | None:
    """Return the parts of an HTTP address, or None if it is none, or holds one of the `forbidden`
    characters."""
    if url.isascii() and url.isprintable() and not set(url) & set(forbidden):
        with suppress(ValueError):
            found = urlsplit(url)
            if found.scheme in ("http", "https") and found.hostname and found.port != 0:
                return found
    return None


def is_loopback(host: str) -> bool:
    """Return whether a host is this machine itself, judged by its name alone."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
