"""The documented limits, each with its own message; `test_malformed.py` says that nothing else comes out of
any file."""

import json
import threading
import warnings
import zlib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from malformed_images import bomb, encoded, header, png, sample
from malformed_tables import table, written
from PIL import Image
from pydantic import BaseModel

from ganguard.base import codecs, settings
from ganguard.base.codecs import MOST_HEADER, decode_image, read_tensors
from ganguard.base.errors import DataError, SpecError
from ganguard.base.settings import (
    DEEPEST,
    LARGEST_JSON,
    LONGEST_SCALAR,
    LONGEST_YAML,
    Plain,
    read_record,
    read_yaml,
)
from ganguard.data.image_folder import ImageFolder
from ganguard.data.parquet import read_parquet

HUGE = png([header(100_000, 100_000), (b"IDAT", bomb(1)), (b"IEND", b"")])


@pytest.fixture
def unpacked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was decoded beyond its header."""
    seen: list[str] = []
    monkeypatch.setattr(Image.Image, "load", lambda self: seen.append("load"))
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", lambda self: seen.append("load"))
    return seen


@pytest.mark.parametrize("side", [9000, 12_000, 100_000], ids=["ours", "Pillow warns", "Pillow refuses"])
def test_a_size_bomb_is_refused_from_its_header(unpacked: list[str], side: int) -> None:
    with pytest.raises(
        DataError, match=rf"^b\.png: ({side}x{side} pixels; 1 to|far more than the) 50,331,648 "
    ):
        decode_image(png([header(side, side), (b"IDAT", bomb(1)), (b"IEND", b"")]), "b.png")
    assert unpacked == []


def test_a_size_bomb_in_a_folder_is_named(tmp_path: Path) -> None:
    sample().save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(HUGE)
    with pytest.raises(DataError, match=r"b\.png: far more than the 50,331,648 pixels"):
        ImageFolder(path=str(tmp_path), size=8).load()


def test_a_size_bomb_in_a_parquet_cell_is_named_with_its_row(tmp_path: Path) -> None:
    sound = {"bytes": encoded(sample(), "PNG"), "path": None}
    (tmp_path / "a").write_bytes(table([sound, sound, {"bytes": HUGE, "path": None}]))
    with pytest.raises(DataError, match=r"a, row 2: far more than the 50,331,648 pixels"):
        read_parquet([tmp_path / "a"])


def test_the_limit_itself_is_read() -> None:
    row = b"\0" + bytes(8192)
    content = png([header(8192, 6144), (b"IDAT", zlib.compress(row * 6144, 1)), (b"IEND", b"")])
    assert decode_image(content, "large").shape == (1, 6144, 8192)


@pytest.mark.parametrize(
    "program",
    [b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n", b"<svg/>", b"%PDF-1.4"],
)
def test_what_is_no_raster_is_given_to_no_interpreter(
    program: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pillow hands PostScript to Ghostscript, whatever the file is called."""
    monkeypatch.setattr("subprocess.Popen", lambda *a, **k: pytest.fail("a program was started"))
    with pytest.raises(DataError, match=r"^a\.png: .* \(its format is none of PNG, JPEG"):
        decode_image(program, "a.png")


def test_odd_images_warn_nobody_and_the_filters_are_as_before() -> None:
    transparent = encoded(sample("P"), "PNG", transparency=bytes(range(200)))
    before = list(warnings.filters)
    threads = [
        threading.Thread(target=lambda: [decode_image(transparent, "p") for _ in range(20)]) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert warnings.filters == before
    with pytest.warns(UserWarning, match="still heard"):
        warnings.warn("still heard", stacklevel=1)


@pytest.mark.parametrize("compression", ["zstd", "gzip", "brotli", "lz4"])
def test_a_compression_that_hides_size_is_refused(tmp_path: Path, compression: str) -> None:
    (tmp_path / "a").write_bytes(
        table([{"bytes": encoded(sample(), "PNG"), "path": None}], compression=compression)
    )
    with pytest.raises(
        DataError, match=rf"a: compressed as {compression.upper()}.* compression none or snappy"
    ):
        read_parquet([tmp_path / "a"])


def _claimed(path: Path, image: Image.Image, count: int) -> Path:
    """A file that says that it holds an image `count` times."""
    cells = pa.DictionaryArray.from_arrays(
        pa.array(np.zeros(count, np.int32)), pa.array([encoded(image, "PNG")], pa.binary())
    )
    path.write_bytes(
        written(pa.table({"image": pa.StructArray.from_arrays([cells], ["bytes"])}), store_schema=False)
    )
    return path


def test_more_images_than_memory_are_refused_before_a_second_is_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = _claimed(tmp_path / "a", Image.new("RGB", (3000, 3000)), 200_000)
    assert file.stat().st_size < 1 << 20
    with pytest.raises(
        DataError,
        match=r"a: 200,000 images of 3000x3000 pixels and 3 channels take 5,400 GB; this machine has",
    ):
        read_parquet([file])
    assert read_parquet([file], 2).shape == (2, 3, 3000, 3000)


def test_a_folder_of_more_images_than_memory_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sample().save(tmp_path / "a.png")
    sample().save(tmp_path / "b.png")
    monkeypatch.setattr("os.sysconf", lambda name: 1 if name == "SC_PAGE_SIZE" else 287)
    with pytest.raises(DataError, match="2 images of 12x12 pixels"):
        ImageFolder(path=str(tmp_path)).load()


def test_a_header_of_safetensors_is_bounded(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes((MOST_HEADER + 1).to_bytes(8, "little") + b"{}")
    with pytest.raises(ValueError, match=f"its header claims {MOST_HEADER + 1:,} bytes"):
        read_tensors(tmp_path / "a")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: &x [1]\nb: *x", "aliases"),
        ("[" * (DEEPEST + 1), f"more than {DEEPEST} lists or mappings"),
        (f"a: {'x' * (LONGEST_SCALAR + 1)}", f"at most {LONGEST_SCALAR:,} are accepted"),
        ("#" * (LONGEST_YAML + 1), f"at most {LONGEST_YAML:,} can be read"),
        ('a: "\\0"', "NUL"),
        ('a: "\\ud800"', "surrogate"),
        ("a: 1\na: 2", "key 'a' occurs twice"),
    ],
)
def test_a_spec_is_bounded(text: str, said: str) -> None:
    with pytest.raises(SpecError, match=r"^a\.yaml: ") as caught:
        read_yaml(text, "a.yaml")
    assert said in str(caught.value)


def test_a_spec_may_nest_as_deep_as_is_said() -> None:
    assert read_yaml("[" * (DEEPEST - 1) + "1" + "]" * (DEEPEST - 1), "a.yaml")


class Record(BaseModel):
    said: Plain = {}
    name: str = ""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (" " * (LARGEST_JSON + 1), "larger than 16,777,216 bytes"),
        ('{"said": {"a": NaN}}', "not JSON"),
        ('{"said": {"a": 1e999}}', "said: must hold finite numbers"),
        (
            '{"said": {"a": 99999999999999999999}}',
            "said: must hold finite numbers, and whole numbers of at most 2^62",
        ),
        ('{"said": {"a": 1' + "0" * 5000 + "}}", "not JSON"),
        ('{"said": ' + '{"a":' * 40 + "1" + "}" * 41, f"said: must nest at most {DEEPEST} deep"),
        ("[" * 100_000, "not JSON"),
        ('{"name": "\\ud800"}', "not JSON"),
        ('{"name": 3}', "name: input should be a valid string; got 3"),
        ("[]", "input should be a valid dictionary"),
    ],
)
def test_a_json_file_is_bounded(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(DataError, match=r"a\.json") as caught:
        read_record(tmp_path / "a.json", Record, DataError)
    assert said in str(caught.value)
    assert len(str(caught.value).replace(str(tmp_path), "")) < 200


def test_letters_of_any_alphabet_are_text(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps({"name": "é 漢 😀"}))
    assert read_record(tmp_path / "a.json", Record, DataError).name == "é 漢 😀"


def test_the_limits_are_the_ones_that_are_promised() -> None:
    assert (codecs.MAX_PIXELS, codecs.MOST_HEADER) == (8192 * 6144, 4 << 20)
    assert (settings.LARGEST_JSON, settings.LONGEST_YAML, settings.LONGEST_SCALAR, settings.DEEPEST) == (
        16 << 20,
        100_000,
        4096,
        32,
    )
