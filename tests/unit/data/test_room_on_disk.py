"""Sets that are large for memory lie in a file, and give the same images and numbers."""

from pathlib import Path

import numpy as np
import pytest
import torch
from idx_files import write_idx
from PIL import Image

from ganguard.base.compute import Compute
from ganguard.base.errors import DataError
from ganguard.base.image_rows import ImageRows
from ganguard.base.progress import silent
from ganguard.comparison.image_sets import ImageSet
from ganguard.comparison.measure_sets import measured_sets
from ganguard.comparison.watch import watch_by_distance
from ganguard.data import room as rooms
from ganguard.data.idx import IdxImages
from ganguard.data.image_folder import ImageFolder
from ganguard.data.room import room


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Let 100 bytes be a quarter of memory, and hold none of a set; return where the files are made."""
    monkeypatch.setattr(rooms, "MOST_HELD", 100)
    monkeypatch.setattr(rooms, "room_for", None)
    monkeypatch.setenv("GANGUARD_IMAGE_CACHE", "off")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "files"))
    return tmp_path / "files"


def _folder(folder: Path, count: int = 9) -> ImageFolder:
    folder.mkdir()
    for number in range(count):
        pixels = np.random.default_rng(number).integers(0, 256, (8, 8), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    return ImageFolder(path=str(folder))


def test_a_file_without_a_name_holds_them(small: Path) -> None:
    pixels = room(5, (1, 8, 8), "x")
    pixels.fill_(7)
    assert pixels.shape == (5, 1, 8, 8) and pixels.unique().tolist() == [7]
    assert list(small.iterdir()) == []


def test_a_set_is_the_same_without_a_cache(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = _folder(tmp_path / "a")
    mapped = settings.load()
    monkeypatch.undo()
    assert mapped.digest() == settings.load().digest()


def test_idx(small: Path, tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (9, 8, 8), dtype=np.uint8)
    path = str(write_idx(tmp_path / "x-images-idx3-ubyte.gz", images))
    assert np.array_equal(IdxImages(path=path).load().images[:, 0].numpy(), images)
    assert IdxImages(path=path, size=16).load().images.shape == (9, 1, 16, 16)


def test_the_bins_of_ndb(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = (torch.randint(0, 256, (500, 1, 4, 4), dtype=torch.uint8) for _ in range(2))
    found = measured_sets(ImageSet.of(a), ImageSet.of(b), "random_network", "ndb,jsd", Compute(), silent)
    monkeypatch.setattr(rooms, "MOST_HELD", 1 << 30)
    monkeypatch.setattr(rooms, "room_for", lambda count, shape, _: torch.empty(count, *shape).byte())
    again = measured_sets(ImageSet.of(a), ImageSet.of(b), "random_network", "ndb,jsd", Compute(), silent)
    assert found == again


def test_held_out_images_are_read_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    images, rows = torch.randint(0, 256, (40, 1, 8, 8), dtype=torch.uint8), torch.arange(0, 40, 2)
    whole = watch_by_distance(images[rows], "random_network", Compute(), every=1)
    monkeypatch.setattr("ganguard.base.image_rows.PART", 3)
    parts = watch_by_distance(ImageRows(images, rows), "random_network", Compute(), every=1)
    assert parts.judge(images) == whole.judge(images) and parts.judged_by == whole.judged_by


def test_a_disk_without_room_is_said(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.posix_fallocate", full)
    with pytest.raises(DataError, match=r"x: 5 images take .*No space left on device"):
        room(5, (1, 8, 8), "x")


def test_a_false_claim_fills_no_disk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("os.posix_fallocate", None)
    with pytest.raises(DataError, match="of memory"):
        room(rooms.MEMORY // 64 + 1, (1, 8, 8), "x")
