"""Whether a set is grey or has colour is decided by the whole set."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ganguard.base.images import in_channels
from ganguard.base.progress import silent
from ganguard.data import encoded, image_cache
from ganguard.data.dataset import RealImages
from ganguard.data.image_folder import ImageFolder

PIXELS = np.random.default_rng(0).integers(0, 256, (6, 6, 4), dtype=np.uint8)
FILES: dict[str, Callable[[], Image.Image]] = {
    "L": lambda: Image.fromarray(PIXELS[..., 0]),
    "LA": lambda: Image.fromarray(PIXELS[..., :2], "LA"),
    "1": lambda: Image.fromarray(PIXELS[..., 0] > 127),
    "I;16": lambda: Image.fromarray(PIXELS[..., 0].astype(np.uint16) * 257),
    "RGB": lambda: Image.fromarray(PIXELS[..., :3]),
    "RGBA": lambda: Image.fromarray(PIXELS),
    "P": lambda: Image.fromarray(PIXELS[..., :3]).quantize(16),
    "equal RGB": lambda: Image.fromarray(np.repeat(PIXELS[..., :1], 3, axis=2)),
}
GREY = ("L", "LA", "1", "I;16")


def _load(folder: Path, *forms: str, **values: object) -> RealImages:
    folder.mkdir()
    for number, form in enumerate(forms):
        FILES[form]().save(folder / f"{number}.png")
    return ImageFolder.model_validate({"path": str(folder), **values}).load()


@pytest.mark.parametrize(
    "forms", [("L", "RGB"), ("L", "L", "L", "RGB", "L"), ("RGB", "L"), ("1", "I;16", "P")]
)
def test_one_image_with_colour_makes_the_set_rgb(tmp_path: Path, forms: tuple[str, ...]) -> None:
    mixed = _load(tmp_path / "a", *forms)
    asked = _load(tmp_path / "b", *forms, channels=3)
    assert mixed.images.shape == (len(forms), 3, 6, 6)
    assert torch.equal(mixed.images, asked.images)
    assert mixed.made_rgb == asked.made_rgb == sum(form in GREY for form in forms)
    assert _load(tmp_path / "c", *forms, channels=1).images.shape[1] == 1


@pytest.mark.parametrize("form", FILES)
def test_the_form_of_the_files_says_what_a_set_is(tmp_path: Path, form: str) -> None:
    real = _load(tmp_path / "a", form, form)
    assert (real.images.shape[1], real.made_rgb) == (1 if form in GREY else 3, 0)


def test_grey_keeps_its_levels_in_each_channel(tmp_path: Path) -> None:
    mixed, grey = _load(tmp_path / "a", "L", "RGB", size=3), _load(tmp_path / "b", "L", size=3)
    assert torch.equal(mixed.images[:1], grey.images.expand(-1, 3, -1, -1))


def test_a_bad_image_with_colour_decides_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "a"
    _load(folder, "L", "RGB", "L")
    (folder / "1.png").write_bytes((folder / "1.png").read_bytes()[:60])
    real = ImageFolder(path=str(folder), on_bad_image="skip").load()
    assert real.images.shape == (2, 1, 6, 6) and real.skipped is not None


def test_it_is_the_same_from_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_cache, "SMALLEST_KEPT", 1)
    monkeypatch.setenv("GANGUARD_IMAGE_CACHE", str(tmp_path / "kept"))
    first = _load(tmp_path / "a", "L", "L", "RGB")
    monkeypatch.setattr(encoded, "decode_image", None)
    again = ImageFolder(path=str(tmp_path / "a")).load(silent)
    assert (again.made_rgb, again.names) == (first.made_rgb, first.names) == (2, ("0.png", "1.png", "2.png"))
    assert torch.equal(first.images, again.images)
    assert len(list((tmp_path / "kept").iterdir())) == 1


def test_a_set_of_one_form_is_decoded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read, decode = [], encoded.decode_image
    monkeypatch.setattr(encoded, "decode_image", lambda *given: read.append(1) or decode(*given))
    for name, forms in (
        ("grey", ("L",) * 5),
        ("colour", ("RGB",) * 5),
        ("colour first", ("RGB", *("L",) * 4)),
    ):
        read.clear()
        _load(tmp_path / name, *forms)
        assert len(read) == 5


def test_luma_is_pillows_and_of_repeated_grey_the_grey() -> None:
    colour = torch.from_numpy(PIXELS[..., :3]).permute(2, 0, 1)[None]
    wanted = np.asarray(Image.fromarray(PIXELS[..., :3]).convert("L"))
    assert np.array_equal(in_channels(colour, 1)[0, 0].numpy(), wanted)
    levels = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16)
    assert torch.equal(in_channels(in_channels(levels, 3), 1), levels)
    assert in_channels(levels, 1) is levels
