"""The published DCGAN of faces, by a stand-in of its package, and itself where it is installed."""

import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

from ganguard.base.cache import file_digest
from ganguard.base.compute import Compute
from ganguard.base.errors import TargetError
from ganguard.targets import published_faces
from ganguard.targets.load import load_target, parse_target
from ganguard.targets.published_faces import Faces, make

MODELS = """
from torch import nn

class Generator(nn.Module):
    def __init__(self, ngpu, nc, nz, ngf):
        super().__init__()
        self.main = nn.Sequential(nn.ConvTranspose2d(nz, nc, 8), nn.Tanh())

    def forward(self, z):
        return self.main(z)
"""


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package of the same form, and the weights of a smaller G."""
    package = tmp_path / "stand_in_of_faces"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "models.py").write_text(MODELS)
    G = torch.nn.ConvTranspose2d(100, 3, 8)
    saved = {f"main.0.{name}": value for name, value in G.state_dict().items()}
    torch.save({"netG_state_dict": saved}, package / "weights.tar")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(published_faces, "PACKAGE", package.name)
    monkeypatch.setattr(published_faces, "SHA256", file_digest(package / "weights.tar"))
    for name in (package.name, f"{package.name}.models"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return package


def test_its_weights_are_loaded(stand_in: Path) -> None:
    G = make()
    assert isinstance(G, Faces) and not G.generator.training
    assert G(torch.zeros(2, 100)).shape == (2, 3, 8, 8)
    (stand_in / "weights.tar").write_bytes(b"other")
    with pytest.raises(TargetError, match=r"not the weights of gan-face-generate 1\.1\.1"):
        make()


def test_without_the_package_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(published_faces, "PACKAGE", "no_such_package_of_faces")
    settings = parse_target({"python": "ganguard.targets.published_faces:make"})
    with pytest.raises(TargetError, match=r"pip install --no-deps gan-face-generate==1\.1\.1") as raised:
        load_target(settings, Compute())
    assert "\n" not in str(raised.value)


@pytest.mark.skipif(find_spec("gan_face_generate") is None, reason="gan-face-generate is not installed")
def test_the_published_one_gives_faces() -> None:
    target = load_target(parse_target({"python": "ganguard.targets.published_faces:make"}), Compute())
    images = target.sample(range(3), seed=0)
    assert images.shape == (3, 3, 64, 64) and 20 < images.float().std() < 100
