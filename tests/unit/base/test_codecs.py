import errno
import io
import os
import struct
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageFile, features

from ganguard.base.codecs import FORMATS, MAX_PIXELS, decode_image, encode_png
from ganguard.base.errors import DataError, InputError, StepError


@pytest.mark.parametrize("channels", [1, 3])
def test_png_keeps_every_byte(channels: int) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (channels, 9, 31), dtype=np.uint8)
    image = torch.from_numpy(noise)
    assert torch.equal(decode_image(encode_png(image), "noise"), image)


def test_png_is_a_png_of_the_right_mode() -> None:
    for channels, mode in ((1, "L"), (3, "RGB")):
        file = Image.open(io.BytesIO(encode_png(torch.zeros(channels, 3, 5, dtype=torch.uint8))))
        assert (file.format, file.mode, file.size) == ("PNG", mode, (5, 3))


def test_an_image_that_is_a_view_is_encoded_as_it_looks() -> None:
    image = torch.arange(48, dtype=torch.uint8).view(3, 4, 4)
    turned = image.transpose(1, 2)
    assert torch.equal(decode_image(encode_png(turned), "turned"), turned)


def test_channels_are_converted_where_asked(png: Callable[[np.ndarray], bytes]) -> None:
    grey = png(np.full((2, 2), 77, dtype=np.uint8))
    assert torch.equal(decode_image(grey, "grey", 3), torch.full((3, 2, 2), 77, dtype=torch.uint8))
    colour = png(np.full((2, 2, 3), 77, dtype=np.uint8))
    assert torch.equal(decode_image(colour, "colour", 1), torch.full((1, 2, 2), 77, dtype=torch.uint8))


def _saved(image: Image.Image, kind: str) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format=kind)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "PPM"])
def test_sixteen_bit_grey_is_scaled_not_saturated(kind: str) -> None:
    """Medical and scanned greys come with 16 bits; cutting them off at 255 would make nearly every pixel
    white."""
    levels = np.array([[0, 64 * 257, 128 * 257, 255 * 257]], dtype=np.uint16)
    decoded = decode_image(_saved(Image.fromarray(levels), kind), "scan", 1).flatten().tolist()
    assert decoded == pytest.approx([0, 64, 128, 255], abs=1)


@pytest.mark.parametrize(
    ("levels", "said"),
    [
        (np.array([[0, 0.25, 1]], np.float32), "floating-point"),
        (np.array([[0, 100, 300]], np.float32), "floating-point"),
        (np.array([[0, 50, 255]], np.int32), "32-bit"),
        (np.array([[0, 50, 60_000]], np.int32), "32-bit"),
    ],
)
@pytest.mark.parametrize("channels", [None, 1, 3])
def test_levels_whose_range_the_file_does_not_say_are_refused(
    levels: np.ndarray, said: str, channels: int | None
) -> None:
    """Floats from 0 to 1 would all become black, and so would 0 to 255 read as 16 bits."""
    with pytest.raises(DataError, match=f"scan: {said} levels, .* Convert it to 8 or 16 bits first"):
        decode_image(_saved(Image.fromarray(levels), "TIFF"), "scan", channels)


@pytest.mark.parametrize(("most", "head"), [(65535, b"P5"), (1023, b"P5"), (100, b"P5"), (65535, b"P6")])
def test_a_pgm_of_any_depth_is_scaled(most: int, head: bytes) -> None:
    content = np.full(3, most, ">u2" if most > 255 else "u1").tobytes()
    assert decode_image(
        head + b" %d 1 %d\n" % (3 if head == b"P5" else 1, most) + content, "scan"
    ).unique().tolist() == [255]


@pytest.mark.skipif(
    "AVIF" not in FORMATS or not features.check("avif"), reason="this Pillow lacks AVIF's library"
)
def test_avif_is_read() -> None:
    image = Image.fromarray(np.full((8, 8, 3), (200, 30, 60), dtype=np.uint8))
    decoded = decode_image(_saved(image, "AVIF"), "photo").float().mean((1, 2))
    assert decoded.tolist() == pytest.approx([200, 30, 60], abs=8)


def test_grey_with_transparency_stays_grey() -> None:
    image = Image.fromarray(np.array([[0, 100, 255]], dtype=np.uint8)).convert("LA")
    assert decode_image(_saved(image, "PNG"), "grey").shape == (1, 1, 3)


def test_one_bit_images_are_grey() -> None:
    image = Image.fromarray(np.array([[0, 255]], dtype=np.uint8)).convert("1")
    assert decode_image(_saved(image, "PNG"), "fax").flatten().tolist() == [0, 255]


def test_a_palette_is_looked_up() -> None:
    image = Image.fromarray(np.full((2, 2, 3), (200, 10, 30), dtype=np.uint8)).convert("P")
    assert decode_image(_saved(image, "PNG"), "palette").shape == (3, 2, 2)


@pytest.mark.parametrize(
    "content", [b"", b"no image at all", b"\x89PNG\r\n\x1a\n"], ids=["empty", "text", "signature only"]
)
def test_what_is_no_image_is_refused_by_name(content: bytes) -> None:
    with pytest.raises(DataError, match=r"^holiday\.png: not an image that can be read"):
        decode_image(content, "holiday.png")


def test_a_truncated_image_is_refused(png: Callable[[np.ndarray], bytes]) -> None:
    whole = png(np.random.default_rng(0).integers(0, 256, (40, 40), dtype=np.uint8))
    with pytest.raises(DataError, match="half"):
        decode_image(whole[: len(whole) // 2], "half")


def test_a_file_that_cannot_be_read_is_no_bad_image(tmp_path: Path) -> None:
    """Whoever skips bad images would otherwise skip it, and keep the set without it."""
    with pytest.raises(InputError, match=r"gone\.png: cannot be read \(No such file") as raised:
        decode_image(tmp_path / "gone.png", "gone.png")
    assert not isinstance(raised.value, DataError)


@pytest.mark.parametrize("number", [errno.EIO, errno.EACCES])
def test_a_disk_that_fails_while_an_image_is_read_is_no_bad_image(
    png: Callable[[np.ndarray], bytes], monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def fails(*given: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(ImageFile.ImageFile, "load", fails)
    with pytest.raises(InputError, match=f"a: cannot be read .{os.strerror(number)}") as raised:
        decode_image(png(np.zeros((4, 4), np.uint8)), "a")
    assert not isinstance(raised.value, DataError)


def test_too_little_memory_is_no_bad_image(
    png: Callable[[np.ndarray], bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*given: object) -> None:
        raise MemoryError

    monkeypatch.setattr(ImageFile.ImageFile, "load", fails)
    with pytest.raises(StepError, match="a: too little memory"):
        decode_image(png(np.zeros((4, 4), np.uint8)), "a")


def test_a_file_that_leads_before_its_beginning_is_a_bad_image(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The content of a damaged file makes its reader seek before the start, and the system reports EINVAL."""

    def seeks(*given: object, **said: object) -> None:
        with (tmp_path / "a.png").open("rb") as opened:
            os.lseek(opened.fileno(), -1, os.SEEK_SET)

    (tmp_path / "a.png").write_bytes(b"")
    monkeypatch.setattr(Image, "open", seeks)
    with pytest.raises(DataError, match=r"a\.png: not an image that can be read"):
        decode_image(tmp_path / "a.png", "a.png")


def _bomb(width: int, height: int) -> bytes:
    """A PNG of a few bytes that says it is large."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b""))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("side", [8_001, 10_000, 60_000], ids=["ours", "Pillow warns", "Pillow refuses"])
def test_a_decompression_bomb_is_refused_before_memory_is_spent(side: int) -> None:
    assert side * side > MAX_PIXELS
    with warnings.catch_warnings(), pytest.raises(DataError, match=r"bomb\.png"):
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        decode_image(_bomb(side, side), "bomb.png")
