"""16 bits a channel become the nearest 8, whatever the format; grey stays grey beside transparency."""

import io
import struct
import zlib

import numpy as np
import pytest
import torch
from PIL import Image

from ganguard.base.codecs import decode_image

LEVELS = np.random.default_rng(0).integers(0, 65536, (5, 7, 4), dtype=np.uint16)
LEVELS[0, 0], LEVELS[0, 1], LEVELS[0, 2] = 0, 65535, 255  # 255 is nearer to 1 than to 0


def chunk(kind: bytes, content: bytes) -> bytes:
    checksum = struct.pack(">I", zlib.crc32(kind + content))
    return struct.pack(">I", len(content)) + kind + content + checksum


def png16(levels: np.ndarray, *, interlaced: bool = False) -> bytes:
    """Encode levels (H, W, C) of 16 bits as PNG: grey, grey with alpha, RGB or RGBA."""
    height, width, channels = levels.shape
    kind = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    header = struct.pack(">IIBBBBB", width, height, 16, kind, 0, 0, int(interlaced))
    rows = [levels]
    if interlaced:  # Adam7
        passes = (
            (0, 8, 0, 8),
            (0, 8, 4, 8),
            (4, 8, 0, 4),
            (0, 4, 2, 4),
            (2, 4, 0, 2),
            (0, 2, 1, 2),
            (1, 2, 0, 1),
        )
        rows = [levels[top::down, left::right] for top, down, left, right in passes]
    lines = [line for part in rows if part.size for line in part]
    raw = b"".join(b"\0" + line.astype(">u2").tobytes() for line in lines)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def nearest(levels: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.rint(levels.astype(np.float64) / 257).astype(np.uint8)).permute(2, 0, 1)


@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize(("channels", "shown"), [(1, 1), (2, 1), (3, 3), (4, 3)])
def test_a_png_of_16_bits_is_rounded_to_the_nearest_8(channels: int, shown: int, interlaced: bool) -> None:
    levels = LEVELS[:, :, :channels]
    assert torch.equal(decode_image(png16(levels, interlaced=interlaced), "x"), nearest(levels[:, :, :shown]))


def test_other_channels_are_made_of_the_rounded_ones() -> None:
    grey = LEVELS[:, :, :2]
    made = decode_image(png16(grey), "x", 3)
    assert torch.equal(made, nearest(grey[:, :, :1]).expand(3, -1, -1))
    assert decode_image(png16(LEVELS), "x", 1).shape == (1, 5, 7)


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_tiff_of_16_bits_is_rounded_too(order: str) -> None:
    height, width, _ = LEVELS.shape
    pixels = LEVELS[:, :, :3].astype(f"{order}u2").tobytes()
    values = [
        (256, 3, 1, width), (257, 3, 1, height), (258, 3, 3, 0), (259, 3, 1, 1), (262, 3, 1, 2),
        (273, 4, 1, 0), (277, 3, 1, 3), (278, 3, 1, height), (279, 4, 1, len(pixels)),
    ]  # fmt: skip
    after = 8 + 2 + 12 * len(values) + 4
    places = {258: after, 273: after + 6}
    entries = b"".join(
        struct.pack(f"{order}HHI", tag, kind, count)
        + (
            struct.pack(f"{order}HH", value, 0)
            if kind == 3 and count == 1
            else struct.pack(f"{order}I", places.get(tag, value))
        )
        for tag, kind, count, value in values
    )
    head = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HI", 42, 8)
    file = head + struct.pack(f"{order}H", len(values)) + entries + struct.pack(f"{order}I", 0)
    file += struct.pack(f"{order}HHH", 16, 16, 16) + pixels
    assert torch.equal(decode_image(file, "x"), nearest(LEVELS[:, :, :3]))


def test_8_bits_stay_as_they_are() -> None:
    pixels = LEVELS.astype(np.uint8)
    for channels, mode in ((3, "RGB"), (4, "RGBA")):
        buffer = io.BytesIO()
        Image.fromarray(pixels[:, :, :channels], mode).save(buffer, format="PNG")
        wanted = torch.from_numpy(pixels[:, :, :3]).permute(2, 0, 1)
        assert torch.equal(decode_image(buffer.getvalue(), "x"), wanted)
