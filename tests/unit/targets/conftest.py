"""An image API on loopback, for the tests of targets."""

from collections.abc import Iterator

import pytest
from api_server import ImageApi, serving

from ganguard.targets.api import client as api_client
from ganguard.targets.api import target as api_target


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[ImageApi]:
    """Serve the API, and wait for nothing between requests."""
    monkeypatch.setattr(api_client, "FIRST_PAUSE", 0.0)
    monkeypatch.setattr(api_target, "FIRST_PAUSE", 0.0)
    with serving() as found:
        yield found
