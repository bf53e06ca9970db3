"""MNIST's format: what is read, and that no damaged or hostile file is."""

import gzip
import os
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from idx_files import idx_bytes, write_idx

from ganguard.base.errors import DataError, SpecError
from ganguard.cli.options import dataset_of
from ganguard.data.idx import IdxImages

IMAGES = np.random.default_rng(0).integers(0, 256, (12, 6, 5), dtype=np.uint8)
LABELS = np.array([9, 1, 4] * 4, np.uint8)


@pytest.mark.parametrize("ending", ["", ".gz"])
@pytest.mark.parametrize("form", ["train-{}s-idx{}-ubyte", "train-{}s.idx{}-ubyte"])
def test_images_and_labels(tmp_path: Path, ending: str, form: str) -> None:
    path = write_idx(tmp_path / (form.format("image", 3) + ending), IMAGES)
    assert IdxImages(path=str(path)).load().labels is None
    write_idx(tmp_path / form.format("label", 1), LABELS)
    settings = dataset_of(str(path), None)
    assert settings == IdxImages(path=str(path))
    real = settings.load()
    assert np.array_equal(real.images[:, 0].numpy(), IMAGES)
    assert real.classes == ("1", "4", "9") and real.labels.tolist() == [2, 0, 1] * 4


def test_labels_may_lie_elsewhere_and_one_class_is_none(tmp_path: Path) -> None:
    path = write_idx(tmp_path / "images", IMAGES)
    labels = write_idx(tmp_path / "y.gz", LABELS * 0)
    assert IdxImages(path=str(path), labels=str(labels)).load().classes == ()
    write_idx(labels, LABELS[:5])
    with pytest.raises(DataError, match="5 labels, but images has 12 images"):
        IdxImages(path=str(path), labels=str(labels)).load()


def test_a_size_crops_and_resizes(tmp_path: Path) -> None:
    path = write_idx(tmp_path / "x-images-idx3-ubyte", np.full((3, 6, 5), 77, np.uint8))
    real = IdxImages(path=str(path), size=10).load()
    assert real.images.shape == (3, 1, 10, 10) and real.images.unique().tolist() == [77]


def _head(*numbers: int) -> bytes:
    return struct.pack(">BBBBIII", 0, 0, 8, 3, *numbers)


CONTENT = idx_bytes(IMAGES)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "empty"),
        (CONTENT[:9], "not an idx file of images"),
        (idx_bytes(LABELS), "not an idx file of images .* it begins with 0, 0, 8, 1"),
        (b"\0\0\x0d\3" + CONTENT[4:], "begins with 0, 0, 13, 3"),
        (b"\x89PNG" + CONTENT[4:], "not an idx file"),
        (CONTENT[:-1], "claims 360 bytes|360 bytes"),
        (CONTENT + b"\0", "holds more than the 360 bytes"),
        (_head(0, 6, 5), "0 entries of 6x5"),
        (_head(12, 0, 5), "12 entries of 0x5"),
        (_head(1, 2**20, 1), "8192 pixels a side"),
        (_head(2**32 - 1, 8192, 8192), "more than it can hold"),
    ],
)
def test_a_malformed_file_is_refused_plain_or_compressed(tmp_path: Path, content: bytes, said: str) -> None:
    for name, written in (("plain", content), ("zipped", gzip.compress(content))):
        (tmp_path / name).write_bytes(written)
        with pytest.raises(DataError, match=said) as raised:
            IdxImages(path=str(tmp_path / name)).load()
        assert name in str(raised.value) and "\n" not in str(raised.value)


@pytest.mark.parametrize("damage", ["cut", "flipped", "checksum"])
def test_a_damaged_gzip_is_refused(tmp_path: Path, damage: str) -> None:
    content = bytearray(gzip.compress(CONTENT))
    if damage == "cut":
        del content[-20:]
    else:
        content[len(content) // 2 if damage == "flipped" else -6] ^= 255
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(DataError, match=r"damaged|360 bytes"):
        IdxImages(path=str(tmp_path / "x")).load()


def test_a_bomb_fills_no_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A few bytes that claim a terabyte are refused unread; those that would give one too, by the memory."""
    (tmp_path / "x").write_bytes(gzip.compress(_head(2**32 - 1, 16, 16)))
    monkeypatch.setattr("ganguard.data.idx.room", None)
    with pytest.raises(DataError, match="more than it can hold"):
        IdxImages(path=str(tmp_path / "x")).load()
    monkeypatch.undo()
    pages = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    monkeypatch.setattr("ganguard.data.idx.MOST_EXPANDED", 2**60)
    (tmp_path / "x").write_bytes(gzip.compress(_head(pages // 4096 + 1, 64, 64)))
    with pytest.raises(DataError, match=r"of memory\. Take fewer"):
        IdxImages(path=str(tmp_path / "x")).load()


def test_what_a_path_names(tmp_path: Path, cli: Callable[..., tuple[int, str, str]]) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        IdxImages(path=str(tmp_path / "absent")).fingerprint()
    path = write_idx(tmp_path / "train-images-idx3-ubyte.gz", IMAGES)
    with pytest.raises(SpecError, match=r"holds idx files. Name the one .*train-images-idx3-ubyte\.gz"):
        dataset_of(str(tmp_path), None)
    code, out, _ = cli("measure", str(path), "digits", "--size", "8", "--metrics", "precision")
    assert code == 0 and '"kind": "idx"' in out


def test_the_fingerprint_sees_labels_come(tmp_path: Path) -> None:
    settings = IdxImages(path=str(write_idx(tmp_path / "a-images-idx3-ubyte", IMAGES)))
    before = settings.fingerprint()
    write_idx(tmp_path / "a-labels-idx1-ubyte.gz", LABELS)
    assert settings.fingerprint() != before
