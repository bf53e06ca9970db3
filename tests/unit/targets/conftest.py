"""An image API on loopback, and saved pipelines, for the tests of targets."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pipelines
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


@pytest.fixture(scope="session")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A pipeline of each kind, saved once."""
    folder, made = tmp_path_factory.mktemp("pipelines"), dict[str, Path]()
    writers: dict[str, Callable[[Path], Path]] = {
        "ddpm": pipelines.unconditional,
        "ddim": lambda path: pipelines.unconditional(path, "DDIMPipeline"),
        "of classes": lambda path: pipelines.unconditional(path, unet=pipelines.unet(classes=4)),
        "ldm": pipelines.latent,
        "dit": pipelines.classes,
        "texts": pipelines.texts,
        "flux": lambda path: pipelines.flow(path, "FluxPipeline"),
        "sd3": lambda path: pipelines.flow(path, "StableDiffusion3Pipeline"),
        "checked": lambda path: pipelines.texts(path, checked=True),
    }

    def path_of(kind: str) -> Path:
        if kind not in made:
            made[kind] = writers[kind](folder / kind)
        return made[kind]

    return path_of
