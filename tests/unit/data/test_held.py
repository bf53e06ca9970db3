"""What a path is taken for: by what the files hold, at any depth, and the rest is named."""

import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import lmdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from idx_files import write_idx

from ganguard.base.errors import DataError, SpecError
from ganguard.cli.options import dataset_of
from ganguard.data.dataset import RealImages, load_dataset, parse_dataset
from ganguard.data.lsun_lmdb import LsunLmdb
from ganguard.targets.images import ImagesTarget
from ganguard.targets.load import parse_target

Encode = Callable[[np.ndarray], bytes]
Cli = Callable[..., tuple[int, str, str]]


@pytest.fixture
def picture(png: Encode) -> bytes:
    return png(np.full((4, 4), 9, np.uint8))


def pictures(folder: Path, picture: bytes, count: int) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        (folder / f"{number}.png").write_bytes(picture)
    return folder


def table(file: Path, picture: bytes | None, count: int) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    texts = {"caption": [f"{number}" for number in range(count)]}
    images = {"image": [{"bytes": picture, "path": ""}] * count} if picture else {}
    pq.write_table(pa.table({**images, **texts}), file)


def database(folder: Path, entries: dict[bytes, bytes]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with lmdb.open(str(folder), map_size=1 << 20) as opened, opened.begin(write=True) as all_:
        for key, value in entries.items():
            all_.put(key, value)


def load(path: Path, **settings: object) -> RealImages:
    found = dataset_of(str(path), None)
    return load_dataset(found.model_copy(update=settings))


@pytest.mark.parametrize("name", ["metadata.parquet", "tables/captions.parquet", "a/b/c/d.parquet"])
def test_a_table_beside_pictures_is_no_set_of_images(tmp_path: Path, picture: bytes, name: str) -> None:
    table(pictures(tmp_path, picture, 3) / name, None, 50)
    assert dataset_of(str(tmp_path), None).kind == "image_folder"
    found = load(tmp_path)
    assert (len(found.images), found.decided) == (3, ())


def test_more_images_in_tables_than_beside_them_are_the_set_and_the_rest_is_named(
    tmp_path: Path, picture: bytes
) -> None:
    pictures(tmp_path / "assets", picture, 2)
    table(tmp_path / "data" / "train.parquet", picture, 5)
    found = load(tmp_path)
    assert len(found.images) == 5
    taken = f"`{{kind: image_folder, path: {tmp_path}}}` takes them"
    assert found.decided == (f"left out beside them: picture files, 2 in all. {taken}",)


def test_more_pictures_than_images_in_tables_are_the_set(tmp_path: Path, picture: bytes) -> None:
    table(pictures(tmp_path, picture, 4) / "few.parquet", picture, 2)
    found = load(tmp_path)
    assert len(found.images) == 4
    assert f"`{{kind: parquet, path: {tmp_path}}}` takes them" in found.decided[0]


@pytest.mark.parametrize(
    "place", ["a.parquet", "data/a.parquet", "default/train/a.parquet", "a/b/c/d/e.parquet"]
)
def test_a_clone_of_any_depth_is_a_set_of_tables(tmp_path: Path, picture: bytes, place: str) -> None:
    (tmp_path / "README.md").write_text("a data set")
    table(tmp_path / place, picture, 3)
    assert (dataset_of(str(tmp_path), None).kind, len(load(tmp_path).images)) == ("parquet", 3)


def test_a_table_without_images_among_others_is_left_out_and_several_folders_are_named(
    tmp_path: Path, picture: bytes
) -> None:
    for split in ("train", "test"):
        table(tmp_path / "default" / split / "0000.parquet", picture, 2)
    table(tmp_path / "metadata.parquet", None, 9)
    found = load(tmp_path)
    assert len(found.images) == 4
    assert found.decided[0] == "left out: Parquet files without a column of images, 1 in all"
    assert (
        f'`{{kind: parquet, path: "{tmp_path}/default/test/*.parquet"}}` takes those of one'
        in found.decided[1]
    )


def test_a_folder_of_tables_without_images_says_which_columns_there_are(tmp_path: Path) -> None:
    table(tmp_path / "a.parquet", None, 3)
    with pytest.raises(DataError, match="no column image, but caption"):
        load(tmp_path)


def test_a_clone_without_its_large_files_says_what_is_missing(tmp_path: Path, picture: bytes) -> None:
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n"
    (pictures(tmp_path / "clone", picture, 3) / "train.parquet").write_bytes(pointer)
    with pytest.raises(DataError, match=r"train\.parquet: not a Parquet file .* run `git lfs pull`"):
        load(tmp_path / "clone")
    (pictures(tmp_path / "faces", picture, 1) / "0.png").write_bytes(pointer)
    with pytest.raises(DataError, match=r"0\.png: not an image .* run `git lfs pull`"):
        load(tmp_path / "faces")


def test_a_broken_table_beside_pictures_does_not_hide_them(tmp_path: Path, picture: bytes) -> None:
    (pictures(tmp_path, picture, 3) / "half.parquet").write_bytes(b"PAR1")
    assert len(load(tmp_path).images) == 3


@pytest.mark.parametrize("place", ["", "cats", "lsun/cats", "a/b/c"])
def test_databases_of_any_depth_are_found(tmp_path: Path, picture: bytes, place: str) -> None:
    database(tmp_path / place, {b"a": picture, b"b": picture})
    assert (dataset_of(str(tmp_path), None).kind, len(load(tmp_path).images)) == ("lsun_lmdb", 2)


@pytest.mark.parametrize(
    ("places", "classes"),
    [
        (("train/cats", "train/dogs", "val/cats", "val/dogs"), ("cats", "dogs")),
        (("bedroom_train_lmdb", "bedroom_val_lmdb"), ()),
        (("bedroom_train_lmdb", "bedroom_val_lmdb", "church_train_lmdb"), ("bedroom", "church")),
        (("bedroom_train_lmdb", "church_train_lmdb"), ("bedroom_train_lmdb", "church_train_lmdb")),
        (("train_lmdb", "val_lmdb"), ()),
    ],
)
def test_splits_of_databases_are_no_classes(
    tmp_path: Path, picture: bytes, places: tuple[str, ...], classes: tuple[str, ...]
) -> None:
    for place in places:
        database(tmp_path / place, {b"a": picture})
    assert load(tmp_path).classes == classes
    named = tuple(sorted({place.split("/")[0] for place in places}))
    assert load(tmp_path, class_folders="first").classes == named


@pytest.mark.parametrize("sizes", [(4,), (4, 8), (4, 8, 16)])
def test_a_database_of_several_sizes_is_read_in_one(
    tmp_path: Path, png: Encode, sizes: tuple[int, ...]
) -> None:
    """As rosinality's prepare_data.py writes it."""
    entries = {
        f"{size}-{str(number).zfill(5)}".encode(): png(np.full((size, size), number, np.uint8))
        for size in sizes
        for number in range(3)
    }
    database(tmp_path, entries | {b"length": b"3"})
    found = load(tmp_path)
    assert found.images.shape == (3, 1, max(sizes), max(sizes))
    assert found.images[:, 0, 0, 0].tolist() == [0, 1, 2]
    held = ", ".join(map(str, sizes))
    said = (
        f"every picture is held in the sizes {held}, and {max(sizes)} is read. `resolution: 4` of {tmp_path}"
    )
    assert found.decided == ((f"{said} reads another",) if len(sizes) > 1 else ())
    for size in sizes:
        again = load(tmp_path, resolution=size)
        assert (again.images.shape[2:], again.decided) == ((size, size), ())
    assert load(tmp_path, size=3).names == ("/4-00000", "/4-00001", "/4-00002")
    assert load(tmp_path, max_images=2, size=40).names == tuple(f"/{max(sizes)}-0000{n}" for n in (0, 1))
    with pytest.raises(DataError, match=r"no pictures of resolution 5, but 4"):
        LsunLmdb(path=str(tmp_path), resolution=5).load()


def test_keys_with_a_dash_are_no_sizes_without_a_length(tmp_path: Path, picture: bytes) -> None:
    database(tmp_path, {b"12-00001": picture, b"13-00001": picture})
    assert len(load(tmp_path).images) == 2
    with pytest.raises(DataError, match="but one size, which its keys do not name"):
        load(tmp_path, resolution=12)


def test_the_larger_of_a_database_and_pictures_is_the_set(tmp_path: Path, picture: bytes) -> None:
    database(pictures(tmp_path, picture, 3) / "cache", {b"a": b"no image"})
    found = load(tmp_path)
    assert len(found.images) == 3
    assert f"`{{kind: lsun_lmdb, path: {tmp_path}}}` takes them" in found.decided[0]


def test_a_file_is_known_by_its_first_bytes_if_its_name_does_not_tell(tmp_path: Path, picture: bytes) -> None:
    with zipfile.ZipFile(tmp_path / "faces", "w") as archive:
        archive.writestr("a.png", picture)
    table(tmp_path / "table.pq", picture, 2)
    write_idx(tmp_path / "digits.bin", np.zeros((2, 4, 4), np.uint8))
    kinds = [dataset_of(str(tmp_path / name), None).kind for name in ("faces", "table.pq", "digits.bin")]
    assert kinds == ["image_zip", "parquet", "idx"]


def test_what_was_decided_is_said_on_standard_error(cli: Cli, tmp_path: Path, picture: bytes) -> None:
    for split in ("train", "val"):
        pictures(tmp_path / "set" / split, picture, 3)
    code, _, err = cli("measure", "set", "set", "--metrics", "ssim")
    assert code == 0, err
    assert "image_folder: the folders train, val are splits, and no classes. `class_folders: first` of" in err


def one_file(file: Path, entries: dict[bytes, bytes]) -> Path:
    """Write a database that is a file by itself, with its lock beside it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with lmdb.open(str(file), subdir=False, map_size=1 << 20) as opened, opened.begin(write=True) as all_:
        for key, value in entries.items():
            all_.put(key, value)
    return file


@pytest.mark.parametrize("name", ["train.mdb", "bedroom.lmdb", "faces", "a.b.c", "set.DB"])
def test_a_database_may_be_one_file(tmp_path: Path, picture: bytes, name: str) -> None:
    file = one_file(tmp_path / name, {b"1": picture, b"2": picture})
    found = load(file)
    assert (dataset_of(str(file), None).kind, len(found.images), found.labels) == ("lsun_lmdb", 2, None)
    assert parse_dataset(str(file)) == dataset_of(str(file), None)


def test_the_file_of_a_database_is_the_database(tmp_path: Path, picture: bytes) -> None:
    database(tmp_path / "bedroom_train_lmdb", {b"1": picture, b"2": picture})
    whole, file = load(tmp_path / "bedroom_train_lmdb"), load(tmp_path / "bedroom_train_lmdb" / "data.mdb")
    assert torch.equal(whole.images, file.images)
    assert whole.names == file.names


def test_databases_of_one_file_each_are_classes_beside_those_of_a_folder(
    tmp_path: Path, picture: bytes
) -> None:
    one_file(tmp_path / "cat_train.mdb", {b"1": picture})
    one_file(tmp_path / "cat_val.mdb", {b"1": picture})
    database(tmp_path / "dog_train_lmdb", {b"1": picture, b"2": picture})
    (tmp_path / "notes.db").write_bytes(b"of another program" * 20)
    os.mkfifo(tmp_path / "pipe")
    found = load(tmp_path)
    assert (dataset_of(str(tmp_path), None).kind, found.classes) == ("lsun_lmdb", ("cat", "dog"))
    assert found.labels is not None
    assert found.labels.tolist() == [0, 0, 1, 1]


def test_a_file_that_is_no_whole_database_is_refused(tmp_path: Path, picture: bytes) -> None:
    file = one_file(tmp_path / "a.mdb", {b"%d" % n: picture * 40 for n in range(40)})
    file.write_bytes(file.read_bytes()[:9000])
    with pytest.raises(DataError, match=r"a\.mdb: not a whole LMDB"):
        load(file)
    (tmp_path / "b.mdb").write_bytes(b"Standard Jet DB" * 20)
    with pytest.raises(SpecError, match=r"b\.mdb: no file of images"):
        load(tmp_path / "b.mdb")
    with pytest.raises(DataError, match=r"b\.mdb: not a whole LMDB"):
        load_dataset(LsunLmdb(path=str(tmp_path / "b.mdb")))


def test_a_path_is_taken_alike_wherever_images_are_named(tmp_path: Path, picture: bytes) -> None:
    table(pictures(tmp_path / "beside", picture, 3) / "captions.parquet", None, 9)
    table(tmp_path / "deep" / "data" / "train.parquet", picture, 2)
    file = one_file(tmp_path / "faces.lmdb", {b"1": picture})
    write_idx(tmp_path / "train-images-idx3-ubyte", np.zeros((2, 4, 4), np.uint8))
    kinds = {"beside": "image_folder", "deep": "parquet", file.name: "lsun_lmdb"}
    for name, kind in {**kinds, "train-images-idx3-ubyte": "idx"}.items():
        path = str(tmp_path / name)
        assert parse_dataset(path) == dataset_of(path, None)
        target = parse_target({"images": path})
        assert isinstance(target, ImagesTarget)
        assert target.images == parse_dataset({"kind": kind, "path": path})


def test_what_is_no_set_of_images_is_said_wherever_images_are_named(tmp_path: Path) -> None:
    (tmp_path / "checkpoint.json").write_text("{}")
    for value, reason in (
        (str(tmp_path), "a generator, and images are wanted"),
        (str(tmp_path / "absent"), "no such file or folder"),
        (" ", "unknown data set ' '"),
    ):
        with pytest.raises(SpecError, match=reason):
            parse_dataset(value)
        with pytest.raises(SpecError, match=reason):
            parse_target({"images": value})
