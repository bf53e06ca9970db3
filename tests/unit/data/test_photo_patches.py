import re
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ganguard.base.errors import DataError, SpecError
from ganguard.data import photo_patches
from ganguard.data.dataset import RealImages, fingerprint, load_dataset, parse_dataset
from ganguard.data.photo_patches import SHORTEST_SIDE, PhotoPatches
from ganguard.data.splits import split

FILES = photo_patches._files()


@pytest.fixture(scope="module")
def patches() -> RealImages:
    return PhotoPatches(count=200).load()


def _pixels(number: int, downscale: int) -> np.ndarray:
    """A photograph as Pillow reads it, with each pixel the mean of a square, (H, W, 3) float64."""
    pixels = np.asarray(Image.open(FILES[number]).convert("RGB"), dtype=np.float64)
    height, width = (side // downscale for side in pixels.shape[:2])
    rows = pixels[: height * downscale].reshape(height, downscale, -1, 3).mean(1)
    return rows[:, : width * downscale].reshape(height, width, downscale, 3).mean(2)


def test_there_are_ten_photographs_in_colour_and_the_smallest_is_known() -> None:
    assert len(FILES) == 10
    sides = []
    for file in FILES:
        with Image.open(file) as image:
            assert image.mode == "RGB"
            sides += image.size
    assert min(sides) == SHORTEST_SIDE


@pytest.mark.parametrize(("size", "downscale"), [(32, 4), (64, 4), (16, 2)])
def test_crop_i_is_a_piece_of_photograph_i_modulo_10(size: int, downscale: int) -> None:
    real = PhotoPatches(size=size, downscale=downscale, count=20).load()
    assert tuple(real.images.shape) == (20, 3, size, size)
    assert real.groups.tolist() == [*range(10), *range(10)]
    for i in (2, 7, 18):  # coffee, rocket, china
        wanted = real.images[i].permute(1, 2, 0).numpy()
        photograph = _pixels(i % 10, downscale)
        windows = np.lib.stride_tricks.sliding_window_view(photograph, (size, size), axis=(0, 1))
        corners = np.abs(windows[..., 0, 0] - wanted[0, 0]).max(2) <= 0.5
        found = [
            np.abs(windows[y, x].transpose(1, 2, 0) - wanted).max() <= 0.5 for y, x in np.argwhere(corners)
        ]
        assert any(found)


def test_no_two_crops_of_a_photograph_lie_at_one_place() -> None:
    """With 380 crops, every place of the smallest photograph is used once."""
    most = PhotoPatches(size=75, downscale=4, count=380)  # the cat is 112 x 75 then: 38 places
    cat = most.load().images[1::10]
    assert len(cat.flatten(1).unique(dim=0)) == 38
    with pytest.raises(
        DataError,
        match="382 crops were asked for, but at 75x75 pixels and downscale 4 there are places for 381",
    ):
        most.model_copy(update={"count": 382}).load()


def test_the_seed_moves_the_crops_and_nothing_else(patches: RealImages) -> None:
    torch.manual_seed(3)
    assert torch.equal(PhotoPatches(count=200).load().images, patches.images)
    other = PhotoPatches(count=200, seed=1).load()
    assert (other.images != patches.images).flatten(1).any(1).float().mean() > 0.95
    assert torch.equal(other.groups, patches.groups)


def test_photographs_of_one_size_are_cropped_at_different_places() -> None:
    places = torch.arange(3 * 40 * 40).view(3, 40, 40)
    china, flower = (
        PhotoPatches(size=8)._crops(places, name, 6)[:, 0, 0, 0].tolist() for name in ("china", "flower")
    )
    assert len(set(china)) == len(set(flower)) == 6
    assert china != flower


def test_fewer_crops_are_the_first_of_more(patches: RealImages) -> None:
    assert torch.equal(PhotoPatches(count=33).load().images, patches.images[:33])


def test_fewer_crops_than_photographs_are_possible() -> None:
    assert PhotoPatches(count=3).load().groups.tolist() == [0, 1, 2]


@pytest.mark.parametrize("count", [10, 200, 203])
def test_seven_photographs_are_trained_on_and_three_grade(count: int) -> None:
    real = PhotoPatches(count=count, size=8).load()
    parts = split(real)
    trained, grading = (set(real.groups[rows].tolist()) for rows in (parts.train, parts.reference))
    assert (len(trained), len(grading), trained & grading) == (7, 3, set())
    assert abs(len(parts.train) - 0.7 * count) < 1


def test_the_photographs_that_grade_do_not_depend_on_settings(patches: RealImages) -> None:
    other = PhotoPatches(count=50, size=16, downscale=2, seed=9).load()
    assert set(other.groups[split(other).reference].tolist()) == set(
        patches.groups[split(patches).reference].tolist()
    )


def test_halves_hold_out_three_tenths_of_each_photograph() -> None:
    real = PhotoPatches(split="halves", count=205, size=16).load()
    parts = split(real)
    assert real.groups is not None and sorted(real.groups.unique().tolist()) == list(range(20))
    assert set((real.groups[parts.train] % 10).tolist()) == set((real.groups[parts.reference] % 10).tolist())
    assert abs(len(parts.reference) - 0.3 * 205) < 5
    fewer = PhotoPatches(split="halves", count=100, size=16).load()
    assert torch.equal(real.images[:100], fewer.images)
    assert torch.equal(real.groups[:100], fewer.groups)


def test_no_crop_of_one_half_holds_a_pixel_of_the_other() -> None:
    parts = photo_patches._halves([torch.arange(60).view(1, 6, 10), torch.arange(70).view(1, 10, 7)])
    assert [tuple(part.shape) for part in parts] == [(1, 6, 5), (1, 5, 7)] * 2
    for number in range(2):
        assert not set(parts[number].flatten().tolist()) & set(parts[2 + number].flatten().tolist())
    real = PhotoPatches(split="halves", count=30, size=16, downscale=2).load()
    motorcycle = _pixels(5, 2)  # wider than high; of every second photograph the right half is trained on
    for number, trained in ((5, True), (15, True), (25, False)):
        wanted = real.images[number].permute(1, 2, 0).numpy()
        windows = np.lib.stride_tricks.sliding_window_view(motorcycle, (16, 16), axis=(0, 1))
        corners = np.argwhere(np.abs(windows[..., 0, 0] - wanted[0, 0]).max(2) <= 0.5)
        found = [x for y, x in corners if np.abs(windows[y, x].transpose(1, 2, 0) - wanted).max() <= 0.5]
        assert any(x >= 185 if trained else x <= 185 - 16 for x in found)


def test_halves_with_too_few_places_or_crops_are_refused() -> None:
    with pytest.raises(SpecError, match="must be at most 225, half the width of the smallest photograph"):
        parse_dataset({"kind": "photo_patches", "split": "halves", "size": 64})
    with pytest.raises(SpecError, match=r"at least 21; got 20\. Raise count, or leave split out"):
        parse_dataset({"kind": "photo_patches", "split": "halves", "count": 20})
    assert len(split(PhotoPatches(split="halves", count=21).load()).reference) == 1


@pytest.mark.parametrize("places", [1, 2, 3, 7, 10, 60])
def test_a_half_is_full_when_it_has_given_as_many_crops_as_it_has_places(places: int) -> None:
    for held_out in (False, True):
        first = photo_patches._first_beyond(places, held_out=held_out)
        of_half = [number for number in range(first + 1) if (number % 10 in (2, 5, 8)) == held_out]
        assert of_half[-1] == first and len(of_half) == places + 1


@pytest.mark.parametrize("which", ["halves", "photographs"])
def test_as_many_crops_as_the_message_says_are_given_and_no_more(which: str) -> None:
    asked = {"split": which, "size": 56}
    with pytest.raises(DataError, match=r"there are places for [\d,]+") as raised:
        PhotoPatches.model_validate({**asked, "count": 10**6}).load()
    assert "\n" not in str(raised.value)
    most = int(re.findall(r"places for ([\d,]+)", str(raised.value))[0].replace(",", ""))
    settings = PhotoPatches.model_validate({**asked, "count": most})
    real = settings.load()
    assert real.groups is not None and len(real.images) == most
    with pytest.raises(DataError, match=f"places for {most:,}"):
        settings.model_copy(update={"count": most + 1}).load()


def test_without_halves_settings_are_written_as_before() -> None:
    assert PhotoPatches().model_dump().keys() == {"kind", "size", "count", "downscale", "seed"}


def test_there_are_no_labels(patches: RealImages) -> None:
    assert (patches.labels, patches.classes) == (None, ())


@pytest.mark.parametrize(
    "change", [{"size": 64}, {"count": 4999}, {"downscale": 3}, {"seed": 1}, {"split": "halves"}]
)
def test_the_fingerprint_sees_every_setting(change: dict[str, object]) -> None:
    assert fingerprint(PhotoPatches(**change)) != fingerprint(PhotoPatches())


def test_the_fingerprint_sees_the_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    before = fingerprint(PhotoPatches())
    other = tmp_path / "astronaut.png"
    other.write_bytes(b"another")
    monkeypatch.setattr(photo_patches, "_files", lambda: [other, *FILES[1:]])
    assert fingerprint(PhotoPatches()) != before


def test_nothing_of_the_packages_is_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "skimage"]:
        monkeypatch.delitem(sys.modules, name)
    PhotoPatches(count=10).load()
    assert "skimage" not in sys.modules


@pytest.mark.parametrize("use", [fingerprint, load_dataset])
def test_without_the_package_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, use: object) -> None:
    monkeypatch.setitem(sys.modules, "skimage", None)
    with pytest.raises(
        DataError, match=r"package skimage, which is not installed\. Run: pip install ganguard\[photos\]$"
    ):
        use(PhotoPatches())


def test_a_package_without_the_photograph_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(photo_patches.PHOTOGRAPHS, "skimage", ("data/gone.png",))
    with pytest.raises(
        DataError, match=r"skimage/data/gone\.png: .* the installed package lacks it\. Run: pip install"
    ):
        load_dataset(PhotoPatches())


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"size": 7}, r"^photo_patches\.size: .* 8; got 7"),
        (
            {"size": 64, "downscale": 5},
            r"^photo_patches: size x downscale must be at most 300.* got 64 x 5 = 320\.$",
        ),
        ({"size": 301, "downscale": 1}, r"got 301 x 1 = 301"),
        ({"count": 0}, r"^photo_patches\.count"),
        ({"downscale": 1.5}, r"^photo_patches\.downscale: must be a whole number; got 1\.5"),
        ({"seed": -1}, r"^photo_patches\.seed"),
    ],
)
def test_settings_that_do_not_fit_are_refused(settings: dict[str, object], said: str) -> None:
    with pytest.raises(SpecError, match=said):
        parse_dataset({"kind": "photo_patches", **settings})


def test_a_huge_count_is_refused_before_memory_is_taken() -> None:
    with pytest.raises(DataError, match=r"Lower count"):
        PhotoPatches(count=2**60).load()
