"""What every data set must do."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ganguard.base.errors import SpecError
from ganguard.data import DATASETS
from ganguard.data.dataset import DatasetSettings, fingerprint, load_dataset, parse_dataset
from ganguard.data.splits import split


def _digits(folder: Path) -> dict[str, object]:
    return {"kind": "digits"}


def _image_folder(folder: Path) -> dict[str, object]:
    generator = np.random.default_rng(0)
    for number in range(6):
        path = folder / "faces" / ("left", "right")[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(generator.integers(0, 256, (9, 7 + number, 3), dtype=np.uint8)).save(path)
    return {"kind": "image_folder", "path": str(folder / "faces"), "size": 8}


def _photo_patches(folder: Path) -> dict[str, object]:
    return {"kind": "photo_patches", "count": 45, "size": 16}


SOURCES: dict[str, Callable[[Path], dict[str, object]]] = {
    "digits": _digits,
    "image_folder": _image_folder,
    "photo_patches": _photo_patches,
}


def test_every_data_set_is_under_contract() -> None:
    assert set(SOURCES) == set(DATASETS.builtin)


@pytest.fixture(params=SOURCES)
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> DatasetSettings:
    return parse_dataset(SOURCES[request.param](tmp_path))


def test_it_gives_images_and_labels_that_belong_together(settings: DatasetSettings) -> None:
    real = load_dataset(settings)
    assert real.images.dtype == torch.uint8
    assert real.images.ndim == 4
    assert real.images.shape[1] in (1, 3)
    assert real.images.is_contiguous()
    assert (real.labels is None) == (real.classes == ())
    if real.labels is not None:
        assert real.labels.dtype == torch.int64
        assert real.labels.shape == (len(real.images),)
        assert sorted(real.labels.unique().tolist()) == list(range(len(real.classes)))


def test_groups_are_numbered_from_0(settings: DatasetSettings) -> None:
    real = load_dataset(settings)
    if real.groups is not None:
        assert real.groups.dtype == torch.int64
        assert real.groups.shape == (len(real.images),)
        assert sorted(real.groups.unique().tolist()) == list(range(len(real.groups.unique())))


def test_loading_twice_gives_the_same_images(settings: DatasetSettings) -> None:
    assert load_dataset(settings).digest() == load_dataset(settings).digest()
    assert fingerprint(settings) == fingerprint(settings)


def test_the_digest_sees_images_labels_and_groups(settings: DatasetSettings) -> None:
    real, other = load_dataset(settings), load_dataset(settings)
    other.images[-1, -1, -1, -1] ^= 1
    assert other.digest() != real.digest()
    other.images[-1, -1, -1, -1] ^= 1
    assert other.digest() == real.digest()
    for part in (other.labels, other.groups):
        if part is not None:
            part[0] += 1
            assert other.digest() != real.digest()
            part[0] -= 1


def test_progress_ends_at_its_end(settings: DatasetSettings) -> None:
    calls: list[tuple[int, int]] = []
    real = load_dataset(settings, lambda done, total, note="": calls.append((done, total)))
    assert calls[-1] == (len(real.images), len(real.images))
    assert all(0 < done <= total for done, total in calls)


def test_it_can_be_split(settings: DatasetSettings) -> None:
    real = load_dataset(settings)
    parts = split(real)
    assert len(parts.train) + len(parts.reference) == len(real.images)
    if real.labels is not None:
        assert set(real.labels[parts.train].tolist()) == set(range(len(real.classes)))
    if real.groups is not None:
        assert not set(real.groups[parts.train].tolist()) & set(real.groups[parts.reference].tolist())


def test_settings_come_back_from_json(settings: DatasetSettings) -> None:
    assert parse_dataset(settings.model_dump(mode="json")) == settings


def test_an_unknown_key_is_refused_by_name(settings: DatasetSettings) -> None:
    with pytest.raises(SpecError, match=rf"^{settings.kind}\.colour: unknown key"):
        parse_dataset({**settings.model_dump(), "colour": True})


def test_an_unknown_data_set_names_the_nearest() -> None:
    with pytest.raises(SpecError, match=r"unknown data set 'digit'; did you mean 'digits'\?"):
        parse_dataset("digit")
