"""Whether a set is grey or has colour is decided by the whole set."""

import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from ganguard.base.errors import SpecError
from ganguard.base.images import in_channels
from ganguard.base.progress import silent
from ganguard.base.settings import parse
from ganguard.data import image_cache, opacity
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
    monkeypatch.setattr(opacity, "decode_image", None)
    again = ImageFolder(path=str(tmp_path / "a")).load(silent)
    assert (again.made_rgb, again.names) == (first.made_rgb, first.names) == (2, ("0.png", "1.png", "2.png"))
    assert torch.equal(first.images, again.images)
    assert len(list((tmp_path / "kept").iterdir())) == 1


def test_a_set_of_one_form_is_decoded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read, decode = list[int](), opacity.decode_image

    def counted(*given: Any, **more: Any) -> torch.Tensor:
        read.append(1)
        return decode(*given, **more)

    monkeypatch.setattr(opacity, "decode_image", counted)
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


@pytest.mark.parametrize(
    ("form", "alpha", "shape"),
    [
        ("RGBA", None, (3, 6, 6)),
        ("RGBA", "drop", (3, 6, 6)),
        ("RGBA", "keep", (4, 6, 6)),
        ("RGBA", "white", (3, 6, 6)),
        ("RGB", "keep", (4, 6, 6)),
        ("LA", "keep", (2, 6, 6)),
        ("LA", "black", (1, 6, 6)),
        ("L", "keep", (2, 6, 6)),
        ("L", "white", (1, 6, 6)),
        ("I;16", "keep", (2, 6, 6)),
        ("P", "keep", (4, 6, 6)),
    ],
)
def test_alpha_is_dropped_kept_or_composed(
    tmp_path: Path, form: str, alpha: str | None, shape: tuple[int, ...]
) -> None:
    images = _load(tmp_path / "set", form, form, alpha=alpha).images
    assert tuple(images.shape) == (2, *shape)
    colours = torch.from_numpy(PIXELS).permute(2, 0, 1)
    if form in ("RGBA", "LA"):
        held, opacity = (colours[:3], colours[3:]) if form == "RGBA" else (colours[:1], colours[1:2])
        part, level = opacity.float() / 255, {"white": 255, "black": 0}.get(alpha or "")
        wanted = held.float() if level is None else held * part + level * (1 - part)
        assert (images[0, : len(held)].float() - wanted).abs().max() <= (0 if level is None else 0.501)
        if alpha == "keep":
            assert torch.equal(images[1, -1:], opacity)
    elif alpha == "keep":
        assert (images[:, -1] == 255).all()


def test_kept_alpha_goes_with_colour_that_comes_later(tmp_path: Path) -> None:
    real = _load(tmp_path / "set", "LA", "L", "RGBA", alpha="keep")
    assert tuple(real.images.shape) == (3, 4, 6, 6)
    assert real.made_rgb == 2
    assert torch.equal(real.images[0, 3], torch.from_numpy(PIXELS[..., 1]))
    assert (real.images[1, 3] == 255).all()
    assert tuple(_load(tmp_path / "grey", "RGBA", "L", alpha="keep", channels=1).images.shape) == (2, 2, 6, 6)


def test_what_transparency_hides_does_not_show_after_resizing(tmp_path: Path) -> None:
    """The left half is opaque black, the right half is white that cannot be seen."""
    (tmp_path / "set").mkdir()
    pixels = np.zeros((32, 32, 4), np.uint8)
    pixels[:, :16, 3], pixels[:, 16:, :3] = 255, 255
    Image.fromarray(pixels).save(tmp_path / "set" / "0.png")
    kept = ImageFolder.model_validate({"path": str(tmp_path / "set"), "size": 9, "alpha": "keep"}).load()
    seen = kept.images[0, :3][kept.images[0, 3:].expand(3, -1, -1) > 8]
    assert seen.max() <= 8
    black = ImageFolder.model_validate({"path": str(tmp_path / "set"), "size": 9, "alpha": "black"}).load()
    assert black.images.max() == 0


def test_16_bits_keep_their_opacity(tmp_path: Path) -> None:
    levels = np.random.default_rng(1).integers(0, 65536, (5, 7, 4)).astype(np.uint16)
    for channels, colour_type in ((4, 6), (2, 4)):
        (tmp_path / f"set{channels}").mkdir()
        file = tmp_path / f"set{channels}" / "0.png"
        file.write_bytes(_png_of_16_bits(levels[..., :channels], colour_type))
        values = {"path": str(tmp_path / f"set{channels}"), "alpha": "keep"}
        images = ImageFolder.model_validate(values).load().images[0].permute(1, 2, 0).numpy()
        assert np.array_equal(images, np.rint(levels[..., :channels] / 257).astype(np.uint8))


def _png_of_16_bits(levels: np.ndarray, colour_type: int) -> bytes:
    height, width, _ = levels.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in levels)
    header = struct.pack(">IIBBBBB", width, height, 16, colour_type, 0, 0, 0)
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    chunks = (
        struct.pack(">I", len(part)) + name + part + struct.pack(">I", zlib.crc32(name + part))
        for name, part in parts
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def test_alpha_is_one_of_four_words(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"^real\.alpha: "):
        parse(ImageFolder, {"path": str(tmp_path), "alpha": "grey"}, "real")


def test_transparency_of_which_nobody_decided_is_said(tmp_path: Path) -> None:
    said = _load(tmp_path / "set", "RGBA", "RGB", "LA").decided
    assert len(said) == 1
    assert said[0].startswith("2 of 3 images have transparent pixels")
    for alpha in ("drop", "keep", "white"):
        assert _load(tmp_path / alpha, "RGBA", "RGB", alpha=alpha).decided == ()
    (tmp_path / "opaque").mkdir()
    Image.fromarray(PIXELS | np.array([0, 0, 0, 255], np.uint8)).save(tmp_path / "opaque" / "0.png")
    assert ImageFolder.model_validate({"path": str(tmp_path / "opaque")}).load().decided == ()


def test_it_is_said_again_when_the_images_come_from_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GANGUARD_IMAGE_CACHE", str(tmp_path / "kept"))
    monkeypatch.setattr(image_cache, "SMALLEST_KEPT", 1)
    first = _load(tmp_path / "set", "RGBA", "RGBA")
    monkeypatch.setattr(opacity, "decode_image", None)
    again = ImageFolder.model_validate({"path": str(tmp_path / "set")}).load()
    assert again.decided == first.decided
    assert again.decided[0].startswith("2 of 2 images")
    assert torch.equal(again.images, first.images)
