"""Files that operating systems and editors leave behind are no images, no classes, and refuse nothing."""

import zipfile
from collections.abc import Callable
from pathlib import Path

import lmdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ganguard.base.errors import DataError
from ganguard.cli.options import dataset_of
from ganguard.data.dataset import load_dataset, parse_dataset
from ganguard.data.image_folder import ImageFolder
from ganguard.data.stray import is_stray, stray_files

Encode = Callable[[np.ndarray], bytes]
STRAY = (
    ".ipynb_checkpoints/a-checkpoint.png",
    ".Trash-1000/files/a.png",
    "cat/@eaDir/a.png/SYNOPHOTO_THUMB_M.png",
    "__MACOSX/cat/._a.png",
    "cat/._a.png",
    ".goutputstream-XYZ123",
    ".DS_Store",
    "cat/Thumbs.db",
    "$RECYCLE.BIN/a.png",
    ".git/a.png",
)
SOUND = ("cat/a.png", "dog/a.png")


@pytest.fixture
def image(png: Encode) -> bytes:
    return png(np.zeros((6, 6), np.uint8))


def _fill(folder: Path, image: bytes) -> Path:
    for name in (*SOUND, *STRAY):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(image if name in SOUND else b"\0\5\x16\7 no image")
    return folder


def test_a_folder(tmp_path: Path, image: bytes) -> None:
    real = ImageFolder(path=str(_fill(tmp_path / "set", image))).load()
    assert (real.names, real.classes, real.stray) == (SOUND, ("cat", "dog"), len(STRAY))
    assert real.skipped is None


def test_a_zip(tmp_path: Path, image: bytes) -> None:
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        for name in (*SOUND, *STRAY):
            archive.writestr(name, image if name in SOUND else b"no image")
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr(STRAY[3], b"twice")
    real = load_dataset(dataset_of(str(tmp_path / "set.zip"), None))
    assert (real.names, real.classes, real.stray) == (SOUND, ("cat", "dog"), len(STRAY) + 1)


def test_a_zip_whose_name_leads_out_is_refused_as_before(tmp_path: Path, image: bytes) -> None:
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        archive.writestr("a/../../b.png", image)
    with pytest.raises(DataError, match="no relative path inside the zip"):
        load_dataset(dataset_of(str(tmp_path / "set.zip"), None))


def test_parquet_and_lmdb(tmp_path: Path, image: bytes) -> None:
    rows = pa.Table.from_pylist([{"image": {"bytes": image, "path": "a.png"}}])
    folder = tmp_path / "parquet" / "data"
    (folder / ".cache").mkdir(parents=True)
    pq.write_table(rows, folder / "train.parquet")
    pq.write_table(rows, folder / ".cache" / "train.parquet")
    (folder / "._train.parquet").write_bytes(b"no Parquet")
    real = load_dataset(dataset_of(str(tmp_path / "parquet"), None))
    assert (len(real.images), real.stray) == (1, 2)
    for name in ("left", "right", ".hidden"):
        (tmp_path / "lsun" / name).mkdir(parents=True)
        with (
            lmdb.open(str(tmp_path / "lsun" / name), map_size=1 << 20) as environment,
            environment.begin(write=True) as opened,
        ):
            opened.put(b"key", image)
    assert load_dataset(dataset_of(str(tmp_path / "lsun"), None)).classes == ("left", "right")


def test_a_hidden_file_does_not_say_what_a_folder_holds(tmp_path: Path, image: bytes) -> None:
    folder = _fill(tmp_path / "set", image)
    (folder / ".cache").mkdir()
    (folder / ".cache" / "x.parquet").write_bytes(b"")
    (folder / "._x.parquet").write_bytes(b"")
    assert dataset_of(str(folder), None).kind == "image_folder"


def test_the_folder_that_is_named_may_be_hidden(tmp_path: Path, image: bytes) -> None:
    assert len(ImageFolder(path=str(_fill(tmp_path / ".cache" / "set", image))).load().images) == 2


def test_a_set_of_stray_files_alone_says_so(tmp_path: Path, image: bytes) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "._a.png").write_bytes(image)
    with pytest.raises(DataError, match="besides 1 file hidden or of an operating system"):
        ImageFolder(path=str(tmp_path / "set")).load()


def test_hidden_files_come_and_go_without_another_fingerprint(tmp_path: Path, image: bytes) -> None:
    settings = ImageFolder(path=str(_fill(tmp_path / "set", image)))
    before = settings.fingerprint()
    (tmp_path / "set" / "cat" / "._b.png").write_bytes(b"")
    assert settings.fingerprint() == before and settings.load().stray == len(STRAY) + 1


@pytest.mark.parametrize(
    "name", ["a.b.png", "a/..png"[:2] + "b.png", "MACOSX/a.png", "trash/a.png", "~a.png"]
)
def test_other_names_are_no_strays(name: str) -> None:
    assert not is_stray(Path(name).parts)


def test_a_set_says_how_many(cli: Callable[..., tuple[int, str, str]], tmp_path: Path, image: bytes) -> None:
    _fill(tmp_path / "set", image)
    assert stray_files(tmp_path / "set") == len(STRAY)
    code, _, err = cli("measure", "set", "set", "--metrics", "ssim")
    assert code == 0, err
    assert f"image_folder: {len(STRAY)} hidden files, or files of an operating system, are left out" in err
    assert parse_dataset({"kind": "image_folder", "path": "set"}).kind == "image_folder"
