"""PNG files whose texts or profile are longer than Pillow takes: their pixels are read all the same."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, PngImagePlugin

from ganguard.base.codecs import decode_image
from ganguard.base.errors import DataError
from ganguard.base.png_texts import without_texts

PIXELS = np.random.default_rng(0).integers(0, 256, (6, 5, 3), dtype=np.uint8)
LONG = b"prompt " * (2 << 17)  # 1.8 MiB


def chunk(kind: bytes, content: bytes) -> bytes:
    checksum = struct.pack(">I", zlib.crc32(kind + content))
    return struct.pack(">I", len(content)) + kind + content + checksum


def png(*extra: bytes, last: bytes = b"") -> bytes:
    """Encode PIXELS with extra chunks after the header, and others before the end."""
    buffer = io.BytesIO()
    Image.fromarray(PIXELS).save(buffer, format="PNG")
    content = buffer.getvalue()
    return content[:33] + b"".join(extra) + content[33:-12] + last + content[-12:]


TEXT = chunk(b"tEXt", b"parameters\0" + LONG)
PACKED = chunk(b"zTXt", b"parameters\0\0" + zlib.compress(LONG))
UNICODE = chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(LONG))
PROFILE = chunk(b"iCCP", b"sRGB\0\0" + zlib.compress(LONG))
MANY = TEXT * 40  # 73 MiB together


@pytest.mark.parametrize(
    "extra", [TEXT, PACKED, UNICODE, PROFILE, MANY], ids=["tEXt", "zTXt", "iTXt", "iCCP", "many"]
)
@pytest.mark.parametrize("place", ["first", "last"])
def test_long_texts_do_not_hide_the_pixels(tmp_path: Path, extra: bytes, place: str) -> None:
    content = png(extra) if place == "first" else png(last=extra)
    wanted = torch.from_numpy(PIXELS).permute(2, 0, 1)
    assert torch.equal(decode_image(content, "x"), wanted)
    (tmp_path / "x.png").write_bytes(content)
    assert torch.equal(decode_image(tmp_path / "x.png", "x"), wanted)


def test_limits_of_pillow_stay_as_they_are() -> None:
    before = PngImagePlugin.MAX_TEXT_CHUNK, PngImagePlugin.MAX_TEXT_MEMORY
    decode_image(png(PACKED), "x")
    assert before == (PngImagePlugin.MAX_TEXT_CHUNK, PngImagePlugin.MAX_TEXT_MEMORY)


def test_a_damaged_png_with_long_texts_is_still_refused() -> None:
    with pytest.raises(DataError, match="x: not an image that can be read"):
        decode_image(png(PACKED)[:-40], "x")


def test_what_is_no_png_or_has_no_texts_is_left_alone() -> None:
    assert without_texts(b"\xff\xd8\xff") is None
    assert without_texts(png()) is None
    assert without_texts(Path("nowhere")) is None
    assert without_texts(png(TEXT)) == png()
