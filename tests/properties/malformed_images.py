"""Images that are damaged, lie about their size, or are something else.

PNG files are damaged chunk by chunk, the other formats byte by byte.
"""

import io
import struct
import zlib
from collections.abc import Iterator
from functools import cache

import numpy as np
from malformed_mutations import Variant, flipped, overwritten, stirred, truncated
from PIL import Image, features

from ganguard.base.codecs import FORMATS

SIGNATURE = b"\x89PNG\r\n\x1a\n"
SIDES = (0, 1, 7, 8001, 100_000, 2**31 - 1, 2**31, 2**32 - 1)
Chunk = tuple[bytes, bytes]


def sample(mode: str = "L", side: int = 12) -> Image.Image:
    """Make an image of noise, so that its file has something to damage."""
    noise = np.random.default_rng(0).integers(0, 256, (side, side, 4), dtype=np.uint8)
    picture = Image.fromarray(noise, "RGBA")
    return picture.convert("RGB").convert(mode) if mode == "P" else picture.convert(mode)


def encoded(picture: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, format=kind, **options)
    return buffer.getvalue()


def chunk(kind: bytes, body: bytes, *, length: int | None = None, crc: int | None = None) -> bytes:
    checksum = zlib.crc32(kind + body) if crc is None else crc
    return (
        struct.pack(">I", len(body) if length is None else length) + kind + body + struct.pack(">I", checksum)
    )


def png(chunks: list[Chunk]) -> bytes:
    return SIGNATURE + b"".join(chunk(kind, body) for kind, body in chunks)


def chunks_of(content: bytes) -> list[Chunk]:
    found: list[Chunk] = []
    place = len(SIGNATURE)
    while place < len(content):
        (length,) = struct.unpack(">I", content[place : place + 4])
        found.append((content[place + 4 : place + 8], content[place + 8 : place + 8 + length]))
        place += 12 + length
    return found


def header(width: int, height: int, depth: int = 8, colour: int = 0, interlaced: int = 0) -> Chunk:
    return b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlaced)


@cache
def bomb(megabytes: int) -> bytes:
    """Return that many megabytes of zeros, which deflate shrinks a thousandfold."""
    packer = zlib.compressobj(9)
    return b"".join(packer.compress(bytes(1 << 20)) for _ in range(megabytes)) + packer.flush()


def png_lies() -> Iterator[Variant]:
    """Yield PNG files whose checksums are right and whose chunks are wrong."""
    pixels = zlib.compress(b"".join(b"\0" + bytes(range(12)) for _ in range(12)))
    end: list[Chunk] = [(b"IDAT", pixels), (b"IEND", b"")]
    for width in SIDES:
        for height in SIDES:
            yield f"{width}x{height}", png([header(width, height), *end])
    for depth in (0, 1, 2, 3, 4, 8, 16, 32, 255):
        for colour in range(8):
            yield f"depth {depth} colour {colour}", png([header(12, 12, depth, colour), *end])
    for interlaced in (1, 2, 255):
        yield f"interlaced {interlaced}", png([header(12, 12, 8, 0, interlaced), *end])
    for kind in (b"zTXt", b"iTXt", b"iCCP"):
        body = {b"zTXt": b"key\0\0", b"iTXt": b"key\0\1\0\0\0", b"iCCP": b"key\0\0"}[kind] + bomb(60)
        yield f"a bomb in {kind.decode()}", png([header(12, 12), (kind, body), *end])
        yield f"twenty bombs in {kind.decode()}", png([header(12, 12), *[(kind, body)] * 20, *end])
    yield "a bomb in IDAT", png([header(12, 12), (b"IDAT", bomb(60)), (b"IEND", b"")])
    yield "a bomb behind the header's limit", png([header(8000, 8000), (b"IDAT", bomb(60)), (b"IEND", b"")])
    yield "zeros that are no end", png([header(7999, 7999), (b"IDAT", bomb(1)), (b"IEND", b"")])
    yield "a hundred thousand empty chunks", png([header(12, 12), *[(b"teXt", b"")] * 100_000, *end])
    yield (
        "whole, and as large as may be",
        png([header(8192, 6144, 8, 6), (b"IDAT", bomb(200)), (b"IEND", b"")]),
    )
    yield "no pixels", png([header(12, 12), (b"IEND", b"")])
    yield "two headers", png([header(12, 12), header(60_000, 60_000), *end])
    yield "no header", png(end)
    yield "a palette that is absent", png([header(12, 12, 8, 3), *end])
    yield "a palette of odd length", png([header(12, 12, 8, 3), (b"PLTE", bytes(7)), *end])
    yield "a palette index out of range", png([header(12, 12, 8, 3), (b"PLTE", bytes(3)), *end])
    yield "an animation", png([header(12, 12), (b"acTL", struct.pack(">II", 2**32 - 1, 0)), *end])
    frame = struct.pack(">IIIIIHHBB", 0, 90_000, 90_000, 0, 0, 1, 1, 0, 0)
    yield (
        "a frame larger than the image",
        png([header(12, 12), (b"acTL", struct.pack(">II", 1, 0)), (b"fcTL", frame), *end]),
    )


def png_damage(content: bytes) -> Iterator[Variant]:
    """Yield a sound PNG with each chunk dropped, doubled, emptied, cut, reversed, or with a wrong checksum or
    length."""
    found = chunks_of(content)
    for number, (kind, body) in enumerate(found):
        name = f"{kind.decode()} {number}"
        before = SIGNATURE + b"".join(chunk(k, b) for k, b in found[:number])
        after = b"".join(chunk(k, b) for k, b in found[number + 1 :])
        yield f"{name} dropped", before + after
        yield f"{name} doubled", before + chunk(kind, body) * 2 + after
        yield f"{name} emptied", before + chunk(kind, b"") + after
        yield f"{name} cut", before + chunk(kind, body[: len(body) // 2]) + after
        yield f"{name} turned round", before + chunk(kind, body[::-1]) + after
        yield f"{name} with a wrong checksum", before + chunk(kind, body, crc=0) + after
        for length in (0, len(body) + 1, 2**31 - 1, 2**31, 2**32 - 1):
            yield f"{name} of length {length}", before + chunk(kind, body, length=length) + after


def raster_variants() -> Iterator[Variant]:
    """Yield an image of every format and mode that we read, whole and damaged."""
    frames = {"save_all": True, "append_images": [sample("L"), sample("RGB")]}
    kinds: dict[str, bytes] = {
        mode: encoded(sample(mode), "PNG") for mode in ("1", "L", "LA", "P", "RGB", "RGBA")
    }
    levels = np.arange(144, dtype=np.uint16).reshape(12, 12) * 400
    kinds["16 bits"] = encoded(Image.fromarray(levels), "PNG")
    kinds["transparent palette"] = encoded(sample("P"), "PNG", transparency=bytes(range(200)))
    kinds["APNG"] = encoded(sample("RGB"), "PNG", **frames)
    others = [
        kind for kind in FORMATS if kind not in ("PNG", "GIF") and (kind != "AVIF" or features.check("avif"))
    ]
    kinds |= {kind: encoded(sample("RGB"), kind) for kind in others}
    kinds["MPO"] = encoded(sample("RGB"), "MPO", **frames)
    kinds["GIF"] = encoded(sample("P"), "GIF", **frames)
    kinds["TIFF packed"] = encoded(sample("RGB"), "TIFF", compression="tiff_lzw")
    kinds["TIFF floats"] = encoded(
        Image.fromarray(np.linspace(-9, 9, 144, dtype=np.float32).reshape(12, 12)), "TIFF"
    )
    kinds["progressive"] = encoded(sample("CMYK"), "JPEG", progressive=True)
    for name, content in kinds.items():
        whole = name in ("L", "P", "RGBA", "16 bits", "APNG")
        yield f"{name} whole", content
        damage = [*truncated(content, 2), *flipped(content, 12), *stirred(content, 5)]
        damage += [*(png_damage(content) if whole else ())]
        for what, changed in damage:
            yield f"{name} {what}", changed
    yield from _sizes_elsewhere(kinds)


def _sizes_elsewhere(kinds: dict[str, bytes]) -> Iterator[Variant]:
    """Yield images of the other formats whose headers claim a large size."""
    for width in (0, 60_000, 2**31 - 1, 2**32 - 1):
        yield f"BMP {width} wide", kinds["BMP"][:18] + struct.pack("<II", width, width) + kinds["BMP"][26:]
        yield f"PPM {width} wide", b"P6 %d %d 255\n" % (width, width) + bytes(99)
        yield f"PPM {width} wide in text", b"P3 %d %d 255\n" % (width, width) + b"1 " * 99
    yield "GIF as large as can be", kinds["GIF"][:6] + b"\xff\xff\xff\xff" + kinds["GIF"][10:]
    place = kinds["JPEG"].index(b"\xff\xc0") + 5
    yield "JPEG as large as can be", kinds["JPEG"][:place] + b"\xff\xff\xff\xff" + kinds["JPEG"][place + 4 :]
    place = kinds["WEBP"].index(b"VP8 ") + 14
    yield "WEBP as large as can be", kinds["WEBP"][:place] + b"\xff\x3f\xff\x3f" + kinds["WEBP"][place + 4 :]
    for what, changed in overwritten(kinds["TIFF"], [4], 4):
        yield f"TIFF {what}", changed
