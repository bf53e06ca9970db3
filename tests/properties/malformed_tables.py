"""Parquet files that are damaged, hold something other than images, or unpack to far more than their size."""

import base64
import io
import struct
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from malformed_images import bomb, encoded, header, png, sample
from malformed_mutations import Variant, flipped, foreign, overwritten, pickles, stirred, truncated
from PIL import Image

LAYOUT = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
Cells = list[Any]


def table(cells: Cells, kind: pa.DataType = LAYOUT, **options: Any) -> bytes:
    """Write a Parquet file with a column `image`, as our own stores do unless the options say otherwise."""
    return written(
        pa.table({"index": pa.array(range(len(cells)), pa.int64()), "image": pa.array(cells, kind)}),
        **options,
    )


def written(rows: pa.Table, **options: Any) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(rows, buffer, **{"write_page_checksum": True, "compression": "none"} | options)
    return buffer.getvalue()


def images(count: int = 4) -> Cells:
    return [{"bytes": encoded(sample("L"), "PNG"), "path": None} for _ in range(count)]


def parquet_variants(marker: str) -> Iterator[Variant]:
    whole = table(images())
    yield "whole", whole
    yield "whole, snappy", table(images(), compression="snappy")
    yield "whole, in groups", table(images(), row_group_size=1)
    footer = 8 + struct.unpack("<I", whole[-8:-4])[0]
    yield from truncated(whole, 15)
    yield from flipped(whole, 60, start=-footer)
    yield from flipped(whole, 40, stop=len(whole) - footer)
    yield from stirred(whole, 25)
    yield from overwritten(whole, [len(whole) - 8], 4)
    yield from overwritten(whole, list(range(len(whole) - footer, len(whole) - 8, 60)), 4)
    for name, content in _without_checksums(whole):
        yield f"without checksums: {name}", content
    yield from foreign(marker)
    yield from _other_layouts()
    yield from _other_cells(marker)
    yield from _bombs()
    yield "an extension type with a pickle", _pickled_type(marker)


def _without_checksums(whole: bytes) -> Iterator[Variant]:
    plain = table(images(), write_page_checksum=False, use_dictionary=False)
    yield from flipped(plain, 40, stop=200)
    yield from stirred(plain, 20)


def _other_layouts() -> Iterator[Variant]:
    kinds: dict[str, tuple[Cells, pa.DataType]] = {
        "texts": (["a.png"], pa.string()),
        "numbers": ([3], pa.int64()),
        "bare bytes": ([b"png"], pa.binary()),
        "lists": ([[1]], pa.list_(pa.int64())),
        "a map": ([[("bytes", b"x")]], pa.map_(pa.string(), pa.binary())),
        "text in bytes": ([{"bytes": "x"}], pa.struct([("bytes", pa.string())])),
        "numbers in bytes": ([{"bytes": 7}], pa.struct([("bytes", pa.int64())])),
        "fixed bytes": ([{"bytes": b"1234"}], pa.struct([("bytes", pa.binary(4))])),
        "large bytes": (images(1), pa.struct([("bytes", pa.large_binary()), ("path", pa.string())])),
        "a struct in bytes": (
            [{"bytes": {"bytes": b"x"}}],
            pa.struct([("bytes", pa.struct([("bytes", pa.binary())]))]),
        ),
        "nothing but nulls": ([None] * 3, pa.null()),
        "no bytes": ([{"path": "a.png"}], pa.struct([("path", pa.string())])),
    }
    for name, (cells, kind) in kinds.items():
        yield f"image is {name}", table(cells, kind)
    yield "no column", written(pa.table({"picture": pa.array([1])}))
    yield "no rows", table([])
    yield "no columns", written(pa.table({}))
    cells = pa.array(images(2), LAYOUT)
    yield "a column twice", written(pa.Table.from_arrays([cells, cells], names=["image", "image"]))
    deep: Any = pa.int64()
    for _ in range(60):
        deep = pa.struct([("bytes", deep)])
    yield "deep", written(pa.table({"image": pa.nulls(1, deep)}))
    yield (
        "turned round",
        written(pa.table({"index": pa.array([3, 2, 1, 0]), "image": pa.array(images(), LAYOUT)})),
    )
    yield (
        "an index of texts",
        written(pa.table({"index": pa.array(list("abcd")), "image": pa.array(images(), LAYOUT)})),
    )
    metadata = {b"huggingface": b"{" * 1000, b"pandas": b"[" * 1000}
    yield "metadata that is no JSON", written(pa.table({"image": cells}).replace_schema_metadata(metadata))
    schema = {b"ARROW:schema": base64.b64encode(b"\xff" * 200)}
    yield (
        "a schema that is none",
        written(pa.table({"image": cells}).replace_schema_metadata(schema), store_schema=False),
    )


def _other_cells(marker: str) -> Iterator[Variant]:
    def with_cell(cell: Any) -> bytes:
        return table([*images(2), cell, *images(1)])

    yield "a null", with_cell(None)
    yield "null bytes", with_cell({"bytes": None, "path": "../../secret.png"})
    yield "no bytes at all", with_cell({"bytes": b"", "path": None})
    yield "another size", with_cell({"bytes": encoded(sample("L", 13), "PNG"), "path": None})
    yield "another mode", with_cell({"bytes": encoded(sample("RGB"), "PNG"), "path": None})
    yield (
        "a huge image",
        with_cell(
            {"bytes": png([header(100_000, 100_000), (b"IDAT", bomb(1)), (b"IEND", b"")]), "path": None}
        ),
    )
    for name, content in (
        *pickles(marker),
        ("PostScript", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"),
    ):
        yield f"a cell is {name}", with_cell({"bytes": content, "path": None})


def _bombs() -> Iterator[Variant]:
    yield "two million nulls", written(pa.table({"image": pa.nulls(2_000_000, LAYOUT)}), compression="snappy")
    noise = np.random.default_rng(0).integers(0, 256, (600, 600), dtype=np.uint8)
    yield "one image five thousand times", _repeated(encoded(Image.fromarray(noise), "PNG"), 5_000)
    black = encoded(Image.fromarray(np.zeros((4000, 4000), dtype=np.uint8)), "PNG")
    yield "black images of 160 GB", _repeated(black, 10_000)
    zeros: Cells = [{"bytes": bytes(12 << 20), "path": None}]
    for compression in ("zstd", "gzip", "brotli"):
        yield f"zeros in {compression}", table(zeros, compression=compression, use_dictionary=False)


def _repeated(image: bytes, count: int) -> bytes:
    """Write a file that holds an image once and claims it for each of `count` rows."""
    many = pa.DictionaryArray.from_arrays(
        pa.array(np.zeros(count, dtype=np.int32)), pa.array([image], pa.binary())
    )
    return written(pa.table({"image": pa.StructArray.from_arrays([many], ["bytes"])}), store_schema=False)


def _pickled_type(marker: str) -> bytes:
    """Write a file whose metadata pyarrow before 14.0.1 unpickled on opening (CVE-2023-47248)."""
    field = pa.field("image", LAYOUT).with_metadata(
        {
            b"ARROW:extension:name": b"arrow.py_extension_type",
            b"ARROW:extension:metadata": dict(pickles(marker))["protocol 4"],
        }
    )
    return written(pa.Table.from_arrays([pa.array(images(2), LAYOUT)], schema=pa.schema([field])))
