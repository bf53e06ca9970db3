import errno
import json
import os
import time
import warnings
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageFile

from ganguard.base import settings
from ganguard.base.errors import DataError, InputError, StepError
from ganguard.data import image_cache, opacity
from ganguard.data.dataset import RealImages
from ganguard.data.image_cache import cached_images, keep_images
from ganguard.data.image_folder import ImageFolder


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(image_cache, "SMALLEST_KEPT", 1)
    monkeypatch.setenv("GANGUARD_IMAGE_CACHE", str(tmp_path / "kept"))
    return tmp_path / "kept"


@pytest.fixture
def folder(tmp_path: Path) -> ImageFolder:
    for number in range(8):
        file = tmp_path / "faces" / f"class{number % 2}" / f"{number}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((6, 6), number, dtype=np.uint8)).save(file)
    return ImageFolder(path=str(tmp_path / "faces"))


def _entry(kept: Path) -> Path:
    (entry,) = kept.iterdir()
    return entry


def test_images_come_out_of_the_entry(kept: Path, folder: ImageFolder) -> None:
    folder.load()
    before = _entry(kept) / "images"
    stamp = before.stat().st_mtime_ns
    real = folder.load()
    assert before.stat().st_mtime_ns == stamp
    assert real.images[:, 0, 0, 0].tolist() == [0, 2, 4, 6, 1, 3, 5, 7]
    assert real.labels is not None
    assert real.labels.tolist() == [0, 0, 0, 0, 1, 1, 1, 1]


def test_what_is_written_to_the_images_never_reaches_the_entry(kept: Path, folder: ImageFolder) -> None:
    with warnings.catch_warnings(action="error"):  # of a tensor that must not be written to
        real = folder.load()
    digest = real.digest()
    real.images.zero_()
    assert folder.load().digest() == digest


@pytest.mark.parametrize(
    "damage", ["shorter", "flipped", "labels", "no labels", "no description", "another shape", "nonsense"]
)
def test_a_damaged_entry_is_made_anew(kept: Path, folder: ImageFolder, damage: str) -> None:
    digest = folder.load().digest()
    entry = _entry(kept)
    content = bytearray((entry / "images").read_bytes())
    described = json.loads((entry / "description.json").read_text())
    if damage == "shorter":
        (entry / "images").write_bytes(content[:-1])
    elif damage == "flipped":
        content[9] ^= 1
        (entry / "images").write_bytes(content)
    elif damage == "labels":
        (entry / "labels").write_bytes((1).to_bytes(8, "little") * 8)
    elif damage == "no labels":
        (entry / "labels").unlink()
    elif damage == "no description":
        (entry / "description.json").unlink()
    elif damage == "another shape":
        (entry / "description.json").write_text(json.dumps({**described, "shape": [9, 1, 6, 6]}))
    else:
        (entry / "description.json").write_text("[[[")
    assert folder.load().digest() == digest
    assert [path.name for path in kept.iterdir()] == [entry.name]


def test_a_changed_file_or_setting_is_another_entry(kept: Path, folder: ImageFolder) -> None:
    folder.load()
    folder.model_copy(update={"size": 3}).load()
    Image.fromarray(np.full((6, 6), 99, dtype=np.uint8)).save(
        Path(folder.path) / "class0" / "0.png", compress_level=0
    )
    assert 99 in folder.load().images
    assert len(list(kept.iterdir())) == 3


@pytest.mark.parametrize("cached", [True, False])
def test_a_class_whose_name_is_no_text_is_refused_before_anything_is_decoded(
    kept: Path, folder: ImageFolder, cached: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An entry's description could not hold it: whether the set loads must not depend on its size."""
    monkeypatch.setattr(image_cache, "SMALLEST_KEPT", 1 if cached else 1 << 40)
    monkeypatch.setattr(opacity, "decode_image", None)
    (Path(folder.path) / "class1").rename(Path(folder.path) / os.fsdecode(b"\xff"))
    with pytest.raises(DataError, match=r"faces: the name of the class '\\udcff' is not UTF-8"):
        folder.load()


def test_a_file_that_another_of_its_size_and_time_replaced_is_another(
    kept: Path, folder: ImageFolder
) -> None:
    """As `cp -p`, `rsync -t` and `tar` replace files."""
    file = Path(folder.path) / "class0" / "0.bmp"
    Image.fromarray(np.full((6, 6), 9, dtype=np.uint8)).save(file)
    before, state, found = folder.fingerprint(), file.stat(), folder.load().images
    time.sleep(0.05)  # the clock of a file system ticks every few milliseconds
    Image.fromarray(np.full((6, 6), 99, dtype=np.uint8)).save(file)
    os.utime(file, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert file.stat().st_size == state.st_size
    assert folder.fingerprint() != before
    assert 99 not in found
    assert 99 in folder.load().images


def test_a_bad_image_leaves_nothing_behind(kept: Path, folder: ImageFolder) -> None:
    (Path(folder.path) / "class1" / "7.png").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"7\.png: not an image"):
        folder.load()
    assert not list(kept.iterdir())


@pytest.mark.parametrize("number", [errno.EIO, errno.EACCES])
def test_a_disk_that_fails_skips_no_image(
    kept: Path, folder: ImageFolder, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An image that could not be read this once would otherwise be absent from the entry for good."""
    skipping, load = folder.model_copy(update={"on_bad_image": "skip"}), ImageFile.ImageFile.load

    def fails(self: ImageFile.ImageFile) -> object:
        if "5.png" in str(self.filename):
            raise OSError(number, os.strerror(number))
        return load(self)

    with (
        monkeypatch.context() as failing,
        pytest.raises(InputError, match=r"5\.png: cannot be read") as raised,
    ):
        failing.setattr(ImageFile.ImageFile, "load", fails)
        skipping.load()
    assert not isinstance(raised.value, DataError)
    assert not list(kept.iterdir())
    assert len(skipping.load().images) == 8


def test_too_little_memory_skips_no_image(
    kept: Path, folder: ImageFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none_left(file: object, name: str, channels: int | None, **_: str) -> None:
        raise MemoryError

    monkeypatch.setattr(opacity, "decode_image", none_left)
    with pytest.raises(StepError, match="too little memory to read it"):
        folder.model_copy(update={"on_bad_image": "skip"}).load()
    assert not kept.exists()


def test_there_may_be_more_labels_than_json_is_read_of(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "LARGEST_JSON", 4096)
    count, image = 5000, torch.zeros(1, 1, 1, dtype=torch.uint8)
    labels = torch.arange(count) * 2**40
    made = keep_images("key", (1, 1, 1), [image] * count, lambda images: RealImages(images, labels, ()), "x")
    again = cached_images("key")
    assert again is not None
    assert again.labels is not None
    assert made.labels is not None
    assert torch.equal(again.labels, labels)
    assert torch.equal(made.labels, labels)


def test_skipped_images_are_remembered(kept: Path, folder: ImageFolder) -> None:
    (Path(folder.path) / "class1" / "7.png").write_bytes(b"no image")
    skipping = folder.model_copy(update={"on_bad_image": "skip"})
    assert skipping.load().skipped == skipping.load().skipped is not None


def test_a_place_that_cannot_be_written_is_named(folder: ImageFolder, kept: Path) -> None:
    kept.write_text("a file")
    with pytest.raises(DataError, match=r"cannot be written to .*GANGUARD_IMAGE_CACHE"):
        folder.load()


def _digest(folder: ImageFolder) -> str:
    image_cache.SMALLEST_KEPT = 1
    return folder.load().digest()


@pytest.mark.slow
def test_several_processes_make_one_entry(kept: Path, folder: ImageFolder) -> None:
    with ProcessPoolExecutor(3, get_context("spawn")) as pool:
        digests = set(pool.map(_digest, [folder] * 6))
    assert digests == {folder.load().digest()}
    assert len(list(kept.iterdir())) == 1


def test_large_sets_are_kept_and_small_ones_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GANGUARD_IMAGE_CACHE", raising=False)
    assert image_cache.worth_keeping(1_000_000, (3, 64, 64))
    assert not image_cache.worth_keeping(1_797, (1, 8, 8))
    monkeypatch.setenv("GANGUARD_IMAGE_CACHE", "off")
    assert not image_cache.worth_keeping(1_000_000, (3, 64, 64))


def test_the_place_is_the_users_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("GANGUARD_IMAGE_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert image_cache.cache_place() == tmp_path / "ganguard" / "images"


def test_rows_of_a_map_are_rows(kept: Path, folder: ImageFolder) -> None:
    images = folder.load().images
    assert images[torch.tensor([1, 4])][:, 0, 0, 0].tolist() == [2, 1]
