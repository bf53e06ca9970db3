"""Zip files, LMDBs and Parquet files that are cut off, of another type, or made to do harm: one clear line
each."""

import io
import json
import os
import zipfile
from pathlib import Path

import lmdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from ganguard.base.errors import DataError
from ganguard.data import image_folder, image_zip
from ganguard.data.dataset import RealImages
from ganguard.data.image_folder import ImageFolder
from ganguard.data.image_zip import ImageZip
from ganguard.data.lsun_lmdb import LsunLmdb
from ganguard.data.parquet_images import ParquetImages


def _png(value: int = 0) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.full((6, 6), value, dtype=np.uint8)).save(buffer, format="PNG")
    return buffer.getvalue()


def _zip(path: Path, members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def _lmdb(path: Path, values: list[bytes]) -> Path:
    with lmdb.open(str(path), map_size=1 << 22) as environment, environment.begin(write=True) as transaction:
        for number, value in enumerate(values):
            transaction.put(f"{number:04d}".encode(), value)
    return path


def _table(path: Path, rows: list[dict[str, object]], **options: object) -> Path:
    pq.write_table(pa.Table.from_pylist(rows), path, **options)
    return path


def _refused(found: ImageFolder | ImageZip | LsunLmdb | ParquetImages, said: str = ".") -> None:
    with pytest.raises(DataError, match=said) as caught:
        found.load()
    assert "\n" not in str(caught.value)


def _labels(path: Path, value: object) -> RealImages:
    members = {
        "a/0.png": _png(0),
        "b/1.png": _png(1),
        "b/2.png": _png(2),
        "dataset.json": json.dumps(value).encode(),
    }
    return ImageZip(path=str(_zip(path / "x.zip", members))).load()


def test_labels_of_dataset_json_come_before_folders(tmp_path: Path) -> None:
    real = _labels(tmp_path, {"labels": [["a/0.png", 7], ["b/1.png", 7], ["b/2.png", 10]]})
    assert real.classes == ("7", "10")
    assert real.labels is not None
    assert real.labels.tolist() == [0, 0, 1]


@pytest.mark.parametrize("value", [{"labels": None}, {}, None], ids=["labels of null", "no labels", "null"])
def test_a_dataset_json_without_labels_says_that_there_are_none(tmp_path: Path, value: object) -> None:
    """dataset_tool's folders, 00000, 00001 …, are shards of an unlabelled set, and no classes."""
    real = _labels(tmp_path, value)
    assert (real.labels, real.classes) == (None, ())


@pytest.mark.parametrize(
    "value", [{"labels": None}, {"labels": [["a/0.png", 7], ["b/1.png", 7], ["b/2.png", 10]]}]
)
def test_what_dataset_tool_wrote_is_read_unpacked_as_zipped(tmp_path: Path, value: object) -> None:
    zipped = _labels(tmp_path, value)
    with zipfile.ZipFile(tmp_path / "x.zip") as archive:
        archive.extractall(tmp_path / "unpacked")
    folder = ImageFolder(path=str(tmp_path / "unpacked"))
    assert (folder.load().digest(), folder.load().classes) == (zipped.digest(), zipped.classes)
    before = folder.fingerprint()
    (tmp_path / "unpacked" / "dataset.json").unlink()
    assert folder.load().classes == ("a", "b")
    assert folder.fingerprint() != before


@pytest.mark.parametrize(
    "value", ["{", json.dumps({"labels": [["a.png", "cat"]]}), json.dumps({"labels": []})]
)
def test_a_folders_bad_labels_are_refused(
    tmp_path: Path, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.png").write_bytes(_png())
    (tmp_path / "dataset.json").write_text(value)
    _refused(ImageFolder(path=str(tmp_path)), r"dataset\.json: ")
    monkeypatch.setattr(image_folder, "MOST_LABELS", 0)
    _refused(ImageFolder(path=str(tmp_path)), r"dataset\.json: larger than 0 bytes")


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"labels": [["a/0.png", 1]]}, r"no label for b/1\.png"),
        ({"labels": [["a/0.png", "cat"]]}, "whole number"),
        ({"labels": [["a/0.png", [0.5, 0.5]]]}, "whole number"),
        ({"labels": [["a/0.png", -1]]}, "whole number"),
        ({"labels": 3}, "whole number"),
    ],
)
def test_bad_labels_are_refused(tmp_path: Path, value: object, said: str) -> None:
    with pytest.raises(DataError, match=rf"dataset\.json: .*{said}"):
        _labels(tmp_path, value)


@pytest.mark.parametrize("text", [b"{", b"\xff", b"[" * 100_000])
def test_labels_that_are_no_json_are_refused(tmp_path: Path, text: bytes) -> None:
    _refused(
        ImageZip(path=str(_zip(tmp_path / "x.zip", {"a.png": _png(), "dataset.json": text}))), "not JSON"
    )


@pytest.mark.parametrize("name", ["../a.png", "/a.png", "x/../../a.png", "a\n.png", "a\x7f.png", "a\x85.png"])
def test_names_that_lead_out_are_refused(tmp_path: Path, name: str) -> None:
    _refused(ImageZip(path=str(_zip(tmp_path / "x.zip", {name: _png()}))), "no relative path")
    assert [file.name for file in tmp_path.iterdir()] == ["x.zip"]


@pytest.mark.parametrize(
    "name",
    ["写真\u3000一.png", "a\u00a0b.png", "👨\u200d👩.png"],
    ids=["wide space", "narrow space", "emoji"],
)
def test_names_in_any_script_are_names(tmp_path: Path, name: str) -> None:
    real = ImageZip(
        path=str(_zip(tmp_path / "x.zip", {f"{name[0]}/{name}": _png(), "b/b.png": _png()}))
    ).load()
    assert real.classes == tuple(sorted((name[0], "b")))


def test_a_member_that_says_too_much_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_zip, "MOST_BYTES", 1000)
    _refused(ImageZip(path=str(_zip(tmp_path / "x.zip", {"a.png": bytes(1001)}))), "1,001 bytes unpacked")


def test_an_encrypted_member_is_refused(tmp_path: Path) -> None:
    path = _zip(tmp_path / "x.zip", {"a.png": _png()})
    content = bytearray(path.read_bytes())
    content[content.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(content)
    _refused(ImageZip(path=str(path)), "encrypted")


def test_another_compression_is_refused(tmp_path: Path) -> None:
    _refused(ImageZip(path=str(_zip(tmp_path / "x.zip", {"a.png": _png()}, zipfile.ZIP_LZMA))), "compression")


def test_a_member_of_too_many_pixels_is_refused(tmp_path: Path) -> None:
    head = b"P5 100000 100000 255\n"
    _refused(ImageZip(path=str(_zip(tmp_path / "x.zip", {"a.pgm": head}))), "pixels")


@pytest.mark.parametrize("kind", [ImageZip, LsunLmdb, ParquetImages])
def test_what_is_absent_or_of_another_type_is_refused(
    tmp_path: Path, kind: type[ImageZip | LsunLmdb | ParquetImages]
) -> None:
    _refused(kind(path=str(tmp_path / "absent")))
    path = tmp_path / ("data.mdb" if kind is LsunLmdb else "x")
    for content in (b"", b"hello", _png(), bytes(10_000)):
        path.write_bytes(content)
        _refused(kind(path=str(tmp_path if kind is LsunLmdb else path)))


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_a_changed_zip_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = _zip(tmp_path_factory.mktemp("zip") / "x.zip", {"a.png": _png(), "b/c.png": _png(1)})
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content[: data.draw(st.integers(1, len(content)))])
    for values in ({}, {"on_bad_image": "skip"}):
        try:
            ImageZip.model_validate({"path": str(path), **values}).load()
        except DataError as problem:
            assert "\n" not in str(problem)


@pytest.mark.parametrize("share", [0.01, 0.3, 0.6, 0.95])
def test_an_lmdb_that_is_cut_off_is_refused(tmp_path: Path, share: float) -> None:
    file = _lmdb(tmp_path / "x", [_png(n) * 50 for n in range(20)]) / "data.mdb"
    content = file.read_bytes()
    file.write_bytes(content[: int(share * len(content))])
    _refused(LsunLmdb(path=str(tmp_path / "x")), "not a whole LMDB: truncated")


def test_an_lmdb_without_images_is_refused(tmp_path: Path) -> None:
    _refused(LsunLmdb(path=str(_lmdb(tmp_path / "x", []))), "holds no images")


def test_the_first_images_of_each_category_are_taken(tmp_path: Path) -> None:
    for category, count in (("kitchen", 5), ("classroom", 2)):
        _lmdb(tmp_path / category, [_png(n) for n in range(count)])
    real = LsunLmdb(path=str(tmp_path), max_images=3).load()
    assert real.classes == ("classroom", "kitchen")
    assert real.images[:, 0, 0, 0].tolist() == [0, 1, 0, 1, 2]


def test_a_category_whose_name_is_no_text_is_refused(tmp_path: Path) -> None:
    _lmdb(tmp_path / "kitchen", [_png()])
    _lmdb(tmp_path / "z", [_png()]).rename(tmp_path / os.fsdecode(b"z\xff"))
    _refused(LsunLmdb(path=str(tmp_path)), r"the name of the class 'z\\udcff' is not UTF-8")


def _rows(count: int = 3) -> list[dict[str, object]]:
    return [{"image": {"bytes": _png(n), "path": ""}, "label": n % 2} for n in range(count)]


def test_class_labels_have_their_names(tmp_path: Path) -> None:
    features = {"info": {"features": {"label": {"names": ["cat", "dog"], "_type": "ClassLabel"}}}}
    table = pa.Table.from_pylist(_rows()).replace_schema_metadata({"huggingface": json.dumps(features)})
    pq.write_table(table, tmp_path / "x.parquet")
    assert ParquetImages(path=str(tmp_path / "*.parquet"), label_column="label").load().classes == (
        "cat",
        "dog",
    )
    assert ParquetImages(path=str(tmp_path)).load().classes == ()


@pytest.mark.parametrize("column", ["labels", "image"])
def test_a_label_column_that_is_none_is_refused(tmp_path: Path, column: str) -> None:
    _table(tmp_path / "x.parquet", _rows())
    _refused(ParquetImages(path=str(tmp_path), label_column=column), "label")


def test_a_parquet_compression_that_blows_up_is_refused(tmp_path: Path) -> None:
    _refused(ParquetImages(path=str(_table(tmp_path / "x.parquet", _rows(), compression="zstd"))), "ZSTD")


def test_a_row_without_bytes_is_bad(tmp_path: Path) -> None:
    _table(tmp_path / "x.parquet", [*_rows(), {"image": {"bytes": None, "path": "a.png"}, "label": 0}])
    _refused(ParquetImages(path=str(tmp_path)), "holds no bytes")
    real = ParquetImages(path=str(tmp_path), on_bad_image="skip").load()
    assert len(real.images) == 3


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.99])
def test_a_parquet_file_that_is_cut_off_is_refused(tmp_path: Path, share: float) -> None:
    content = _table(tmp_path / "x.parquet", _rows()).read_bytes()
    (tmp_path / "x.parquet").write_bytes(content[: int(share * len(content))])
    _refused(ParquetImages(path=str(tmp_path)), "not a Parquet file")
