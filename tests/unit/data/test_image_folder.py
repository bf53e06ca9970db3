import errno
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ganguard.base.errors import DataError, InputError, SpecError
from ganguard.base.settings import parse
from ganguard.data.crops import centre_crop_resize
from ganguard.data.image_folder import ImageFolder, image_files


def _write(path: Path, value: int = 0, *, width: int = 6, height: int = 6, colour: bool = False) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    shape = (height, width, 3) if colour else (height, width)
    Image.fromarray(np.full(shape, value, dtype=np.uint8)).save(path)
    return path


def _load(folder: Path, **values: object) -> object:
    return parse(ImageFolder, {"path": str(folder), **values}, "real").load()


def test_images_come_in_the_order_of_their_paths(tmp_path: Path) -> None:
    for name, value in (("b.png", 2), ("a.png", 1), ("c.bmp", 3)):
        _write(tmp_path / name, value)
    found = _load(tmp_path)
    assert found.images[:, 0, 0, 0].tolist() == [1, 2, 3]
    assert (found.labels, found.classes) == (None, ())


def test_subfolders_are_classes(tmp_path: Path) -> None:
    for name, value in (("dog/1.png", 30), ("cat/1.png", 10), ("cat/deep/2.png", 20)):
        _write(tmp_path / name, value)
    found = _load(tmp_path)
    assert found.classes == ("cat", "dog")
    by_value = dict(zip(found.images[:, 0, 0, 0].tolist(), found.labels.tolist(), strict=True))
    assert by_value == {10: 0, 20: 0, 30: 1}


@pytest.mark.parametrize(
    "names", [("cat/1.png", "cat/2.png"), ("cat/1.png", "2.png")], ids=["one folder", "a stray image"]
)
def test_without_two_whole_classes_there_are_no_labels(tmp_path: Path, names: tuple[str, ...]) -> None:
    for name in names:
        _write(tmp_path / name)
    assert _load(tmp_path).labels is None


def test_other_files_are_passed_over(tmp_path: Path) -> None:
    _write(tmp_path / "a.PNG")
    (tmp_path / "notes.txt").write_text("no image")
    assert len(_load(tmp_path).images) == 1


def test_mixed_sizes_need_a_size(tmp_path: Path) -> None:
    _write(tmp_path / "a.png", width=6)
    _write(tmp_path / "b.png", width=9)
    with pytest.raises(DataError, match=r"b\.png: 9x6 pixels, but a\.png has 6x6. Set `size`"):
        _load(tmp_path)
    assert _load(tmp_path, size=4).images.shape == (2, 1, 4, 4)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere: no such folder"):
        _load(tmp_path / "nowhere")


def test_a_folder_without_images_is_named(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no image")
    with pytest.raises(DataError, match=rf"{tmp_path.name}: holds no image files"):
        _load(tmp_path)


@pytest.mark.parametrize("name", ["a.png", "m.png"], ids=["first", "in the middle"])
def test_a_broken_file_is_named(tmp_path: Path, name: str) -> None:
    for sound in ("b.png", "z.png"):
        _write(tmp_path / sound)
    (tmp_path / name).write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    with pytest.raises(DataError, match=name):
        _load(tmp_path)


def test_the_path_is_made_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The settings are part of cache keys: two folders called `faces` are two data sets."""
    monkeypatch.chdir(tmp_path)
    assert ImageFolder(path="faces").path == str(tmp_path.resolve() / "faces")


@pytest.mark.parametrize(
    "values", [{"size": 0}, {"size": 8193}, {"size": 2**40}, {"channels": 2}, {"colour": True}]
)
def test_bad_settings_are_refused_by_name(tmp_path: Path, values: dict[str, object]) -> None:
    with pytest.raises(SpecError, match=rf"^real\.{next(iter(values))}: "):
        _load(tmp_path, **values)


@pytest.mark.parametrize(("height", "width"), [(8, 5), (5, 8), (8, 8), (9, 4)])
def test_a_crop_without_resizing_is_the_centre(height: int, width: int) -> None:
    image = torch.arange(height * width, dtype=torch.uint8).view(1, height, width)
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    wanted = [[(top + row) * width + left + column for column in range(side)] for row in range(side)]
    assert centre_crop_resize(image, side)[0].tolist() == wanted


def test_the_border_outside_the_square_does_not_bleed_in() -> None:
    image = torch.full((1, 8, 20), 255, dtype=torch.uint8)
    image[:, :, 6:14] = 10
    assert centre_crop_resize(image, 4).unique().tolist() == [10]
    assert centre_crop_resize(image, 16).unique().tolist() == [10]


def test_channels_keep_their_places() -> None:
    image = torch.tensor([10, 20, 30], dtype=torch.uint8).view(3, 1, 1).expand(3, 6, 8)
    assert centre_crop_resize(image, 3)[:, 1, 1].tolist() == [10, 20, 30]


def test_shrinking_averages_instead_of_skipping() -> None:
    """Without antialiasing a fine chequerboard shrinks to all black or all white."""
    board = ((torch.arange(64)[:, None] + torch.arange(64)) % 2 * 255).to(torch.uint8)[None]
    small = centre_crop_resize(board, 8).double()
    assert (small - 127.5).abs().max() < 8


def test_the_fingerprint_sees_added_changed_and_renamed_files(tmp_path: Path) -> None:
    settings = ImageFolder(path=str(tmp_path))
    file = _write(tmp_path / "a.png")
    found = [settings.fingerprint()]
    assert settings.fingerprint() == found[0]
    _write(tmp_path / "b.png")
    found.append(settings.fingerprint())
    os.utime(file, ns=(0, 0))
    found.append(settings.fingerprint())
    file.rename(tmp_path / "c.png")
    found.append(settings.fingerprint())
    assert len(set(found)) == 4


def test_a_missing_folder_has_no_fingerprint(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such folder"):
        ImageFolder(path=str(tmp_path / "nowhere")).fingerprint()


@pytest.mark.parametrize("name", ["a.jpe", "a.JFIF", "a.pbm", "a.pnm", "a.avif"])
def test_every_common_name_of_a_format_is_an_image(tmp_path: Path, name: str) -> None:
    _write(tmp_path / "a.png").rename(tmp_path / name)
    assert len(_load(tmp_path).images) == 1


@pytest.mark.parametrize("name", ["b.heic", "b.HEIF", "b.jxl", "b.jp2"])
def test_an_image_of_a_format_that_is_not_read_is_bad_and_not_passed_over(tmp_path: Path, name: str) -> None:
    _write(tmp_path / "a.png")
    (tmp_path / name).write_bytes(b"\0\0\0\x1cftypheic" + bytes(99))
    with pytest.raises(DataError, match=rf"{name}: not an image that can be read \(its format is none of"):
        _load(tmp_path)
    assert _load(tmp_path, on_bad_image="skip").skipped.count == 1


def test_linked_folders_are_classes(tmp_path: Path) -> None:
    _write(tmp_path / "set" / "a" / "1.png", 1)
    _write(tmp_path / "elsewhere" / "deep" / "2.png", 2)
    (tmp_path / "set" / "b").symlink_to(tmp_path / "elsewhere")
    found = _load(tmp_path / "set")
    assert found.classes == ("a", "b")
    assert found.images[:, 0, 0, 0].tolist() == [1, 2]


def test_a_folder_is_entered_once_however_many_links_lead_to_it(tmp_path: Path) -> None:
    """A circle ends, and no image lies in two classes, or in both splits."""
    _write(tmp_path / "set" / "v2" / "1.png")
    _write(tmp_path / "elsewhere" / "2.png")
    (tmp_path / "set" / "a latest").symlink_to(tmp_path / "set" / "v2")
    (tmp_path / "set" / "v2" / "up").symlink_to(tmp_path / "set")
    for name in ("y", "x"):
        (tmp_path / "set" / name).symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "back").symlink_to(tmp_path / "set")
    root = tmp_path / "set"
    assert [str(file.relative_to(root)) for file in image_files(root)] == ["v2/1.png", "x/2.png"]


@pytest.mark.parametrize("name", ["b.png", "class b"], ids=["an image", "a folder"])
@pytest.mark.parametrize("goal", ["nowhere", "class b"], ids=["absent", "perhaps itself"])
def test_a_link_to_nothing_is_a_bad_image(tmp_path: Path, name: str, goal: str) -> None:
    _write(tmp_path / "a.png")
    (tmp_path / "notes.txt").symlink_to("nowhere")
    (tmp_path / name).symlink_to(goal)
    with pytest.raises(DataError, match=rf"{name}: a link to nothing"):
        _load(tmp_path)
    found = _load(tmp_path, on_bad_image="skip")
    assert len(found.images) == 1
    assert [Path(bad).name for bad, _ in found.skipped.listed] == [name]


def test_the_fingerprint_sees_that_a_link_leads_somewhere_again(tmp_path: Path) -> None:
    _write(tmp_path / "set" / "a.png")
    (tmp_path / "set" / "b.png").symlink_to(tmp_path / "b.png")
    before = ImageFolder(path=str(tmp_path / "set")).fingerprint()
    _write(tmp_path / "b.png")
    assert ImageFolder(path=str(tmp_path / "set")).fingerprint() != before


def test_a_folder_that_cannot_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _write(tmp_path / "a.png")
    (tmp_path / "closed").mkdir()
    scan = os.scandir

    def closed(path: str) -> object:
        if str(path).endswith("closed"):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", closed)
    with pytest.raises(InputError, match=r"closed: cannot be read \(Permission denied\)"):
        _load(tmp_path)
