"""Where decoded images are kept."""

import os
from pathlib import Path

from ganguard.base.cache import cache_directory


def cache_place() -> Path | None:
    """Return the directory of the entries, or None if none are kept."""
    said = os.environ.get("GANGUARD_IMAGE_CACHE")
    if said == "off":
        return None
    return Path(said) if said else cache_directory() / "images"
