"""Which folders are classes: splits, shards and sizes are none, and a setting decides otherwise."""

import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ganguard.base.errors import DataError
from ganguard.data.dataset import RealImages
from ganguard.data.folder_classes import ClassFolders, folder_classes
from ganguard.data.image_folder import ImageFolder
from ganguard.data.image_zip import ImageZip

Encode = Callable[[np.ndarray], bytes]


def classes_of(*names: str, wanted: ClassFolders | None = None) -> list[str | None]:
    found = folder_classes(names, wanted, "set").labels
    return [found[name] for name in names]


def written(folder: Path, png: Encode, *names: str) -> Path:
    for number, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(png(np.full((4, 4), number, np.uint8)))
    return folder


SPLIT = ("train/cat/1.png", "train/dog/2.png", "val/cat/3.png", "val/dog/4.png")


@pytest.mark.parametrize(
    ("names", "wanted"),
    [
        (("cat/1.png", "dog/1.png"), ["cat", "dog"]),
        (("train/1.png", "val/2.png"), [None, None]),
        (("Train/1.png", "TEST/2.png", "validation/3.png"), [None] * 3),
        (("train2017/1.jpg", "val2017/2.jpg"), [None, None]),
        (("train_images/1.jpg", "test-images/2.jpg"), [None, None]),
        (SPLIT, ["cat", "dog", "cat", "dog"]),
        (("train/cat/1.png", "train/dog/2.png"), ["cat", "dog"]),
        (("data/train/cat/1.png", "data/test/dog/2.png"), ["cat", "dog"]),
        (("train/1.png", "val/2.png", "assets/logo.png"), [None] * 3),
        (("train/1.png", "bus/2.png", "car/3.png"), ["train", "bus", "car"]),  # three things with wheels
        (("train/1.png", "2.png"), [None, None]),
    ],
)
def test_splits_are_no_classes(names: tuple[str, ...], wanted: list[str | None]) -> None:
    assert classes_of(*names) == wanted


@pytest.mark.parametrize(
    "names",
    [
        ("00000/00000.png", "00000/00999.png", "01000/01000.png", "02000/02001.png"),  # FFHQ
        ("00000/img00000000.png", "00001/img00001000.png"),  # StyleGAN's, whose dataset.json is lost
        ("images1024x1024/00000/00007.png", "images1024x1024/01000/01000.png"),
        ("0/0.png", "1000/1000.png", "2000/2999.png"),
        ("images_001/images/00000001_000.png", "images_002/images/00001336_000.png"),
        ("shard-00/a.png", "shard-01/a.png"),
        ("part1/x.png", "part2/y.png"),
        ("train/00000/00001.png", "val/01000/01000.png"),
        ("0a/0a11223344556677.jpg", "f3/f311223344556677.jpg"),
    ],
)
def test_shards_are_no_classes(names: tuple[str, ...]) -> None:
    assert set(classes_of(*names)) == {None}


@pytest.mark.parametrize(
    "names",
    [
        ("0/0.png", "0/1.png", "1/0.png", "1/1.png"),
        ("0/0.png", "1/1.png", "2/2.png"),  # exported one after the other
        ("00/000.png", "01/000.png"),
        ("00/000.png", "01/001.png"),
        ("7/7_123.png", "8/8_124.png"),
        ("n01440764/n01440764_18.JPEG", "n01443537/n01443537_2.JPEG"),
        ("class1/0001.png", "class2/0002.png"),
        ("2019/a.png", "2020/b.png"),
        ("64x64/1.png", "cat/1.png"),
    ],
)
def test_folders_that_may_be_classes_are(names: tuple[str, ...]) -> None:
    assert classes_of(*names) == [name.split("/")[0] for name in names]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ("first", ["train", "train", "val", "val"]),
        ("last", ["cat", "dog", "cat", "dog"]),
        ("none", [None] * 4),
    ],
)
def test_a_setting_decides_otherwise(wanted: ClassFolders, found: list[str | None]) -> None:
    assert classes_of(*SPLIT, wanted=wanted) == found
    assert folder_classes(SPLIT, wanted, "set").decided == ""


def test_the_same_pictures_in_several_sizes_are_not_taken_together(tmp_path: Path, png: Encode) -> None:
    names = ("images1024x1024/00000/00000.png", "thumbnails128x128/00000/00000.png")
    folder = written(tmp_path, png, *names)
    with pytest.raises(DataError, match=r"several sizes \(images1024x1024, thumbnails128x128\)"):
        ImageFolder(path=str(folder)).load()
    assert ImageFolder(path=str(folder), class_folders="none").load().labels is None


@pytest.mark.parametrize("kind", ["folder", "zip"])
def test_a_set_says_what_was_decided_and_what_decides_otherwise(
    tmp_path: Path, png: Encode, kind: str
) -> None:
    names = ("00000/00000.png", "00000/00001.png", "01000/01000.png")
    folder = written(tmp_path / "ffhq", png, *names)

    def load(**settings: object) -> RealImages:
        if kind == "folder":
            return ImageFolder.model_validate({"path": str(folder), **settings}).load()
        with zipfile.ZipFile(tmp_path / "ffhq.zip", "w") as archive:
            for name in names:
                archive.write(folder / name, name)
        return ImageZip.model_validate({"path": str(tmp_path / "ffhq.zip"), **settings}).load()

    found = load()
    assert (found.labels, found.classes) == (None, ())
    assert found.decided[0].startswith(
        "the folders 00000, 01000 are shards, and no classes. `class_folders: first`"
    )
    assert load(class_folders="first").classes == ("00000", "01000")
    assert load(class_folders="first").decided == ()


def test_folders_decide_before_a_dataset_json_if_they_are_named(tmp_path: Path, png: Encode) -> None:
    folder = written(tmp_path, png, "cat/1.png", "dog/2.png")
    (folder / "dataset.json").write_text('{"labels": null}')
    assert ImageFolder(path=str(folder)).load().classes == ()
    assert ImageFolder(path=str(folder), class_folders="first").load().classes == ("cat", "dog")
