"""What every data set must do."""

import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import datasets
import lmdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from cifar_files import write_cifar
from idx_files import write_idx
from PIL import Image

from ganguard.base.errors import DataError, SpecError
from ganguard.data import DATASETS, image_cache
from ganguard.data.dataset import DatasetSettings, fingerprint, load_dataset, parse_dataset
from ganguard.data.splits import split


def _digits(folder: Path) -> dict[str, object]:
    return {"kind": "digits"}


def _cifar(folder: Path) -> dict[str, object]:
    return {"kind": "cifar", "path": str(write_cifar(folder / "cifar", count=8))}


def _fashion_mnist(folder: Path) -> dict[str, object]:
    images = np.random.default_rng(0).integers(0, 256, (30, 28, 28), dtype=np.uint8)
    write_idx(folder / "train-images-idx3-ubyte", images)
    write_idx(folder / "train-labels-idx1-ubyte", np.arange(30, dtype=np.uint8) % 10)
    return {"kind": "fashion_mnist", "path": str(folder), "pool": 2}


def _idx(folder: Path) -> dict[str, object]:
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (20, 7, 9), dtype=np.uint8)
    write_idx(folder / "train-images-idx3-ubyte", images)
    write_idx(folder / "train-labels-idx1-ubyte.gz", np.arange(20, dtype=np.uint8) % 3 + 4)
    return {"kind": "idx", "path": str(folder / "train-images-idx3-ubyte"), "size": 8}


def _image_folder(folder: Path) -> dict[str, object]:
    if (folder / "faces").is_dir():
        return {"kind": "image_folder", "path": str(folder / "faces"), "size": 8}
    generator = np.random.default_rng(0)
    for number in range(6):
        path = folder / "faces" / ("left", "right")[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(generator.integers(0, 256, (9, 7 + number, 3), dtype=np.uint8)).save(path)
    return {"kind": "image_folder", "path": str(folder / "faces"), "size": 8}


def _damage(folder: Path, places: set[int]) -> None:
    """Truncate the files at `places`, in the order of their names."""
    for place, file in enumerate(sorted(Path(str(_image_folder(folder)["path"])).rglob("*.png"))):
        if place in places:
            file.write_bytes(file.read_bytes()[:40])


def _files(folder: Path) -> list[tuple[str, bytes]]:
    """Names and content of the same images."""
    path = Path(str(_image_folder(folder)["path"]))
    return [(str(file.relative_to(path)), file.read_bytes()) for file in sorted(path.rglob("*.png"))]


def _image_zip(folder: Path) -> dict[str, object]:
    with zipfile.ZipFile(folder / "faces.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in _files(folder):
            archive.writestr(name, content)
    return {"kind": "image_zip", "path": str(folder / "faces.zip"), "size": 8}


def _lsun_lmdb(folder: Path) -> dict[str, object]:
    for category in ("left", "right"):
        (folder / "lsun").mkdir(exist_ok=True)
        with (
            lmdb.open(str(folder / "lsun" / category), map_size=1 << 20) as environment,
            environment.begin(write=True) as all_,
        ):
            for name, content in _files(folder):
                if name.startswith(category):
                    all_.put(name.encode(), content)
    return {"kind": "lsun_lmdb", "path": str(folder / "lsun"), "size": 8}


def _parquet(folder: Path) -> dict[str, object]:
    rows = [
        {"image": {"bytes": content, "path": name}, "label": name.split("/")[0]}
        for name, content in _files(folder)
    ]
    pq.write_table(pa.Table.from_pylist(rows), folder / "faces.parquet")
    return {"kind": "parquet", "path": str(folder / "faces.parquet"), "size": 8, "label_column": "label"}


def _hub(folder: Path) -> dict[str, object]:
    """The Parquet file, in a folder that the library `datasets` reads as it reads the hub; it is the current
    one, since a path is no name."""
    held = folder / "faces-of-a-hub" / "data"
    held.mkdir(parents=True, exist_ok=True)
    shutil.move(str(_parquet(folder)["path"]), held / "train-0.parquet")
    features = datasets.Features({"image": datasets.Image(), "label": datasets.Value("string")})
    datasets.Dataset.from_parquet(str(held / "train-0.parquet"), features=features).to_parquet(
        held / "train-0.parquet"
    )
    return {"kind": "hub", "name": "faces-of-a-hub", "size": 8, "label_column": "label"}


def _photo_patches(folder: Path) -> dict[str, object]:
    return {"kind": "photo_patches", "count": 45, "size": 16}


SOURCES: dict[str, Callable[[Path], dict[str, object]]] = {
    "cifar": _cifar,
    "digits": _digits,
    "fashion_mnist": _fashion_mnist,
    "hub": _hub,
    "idx": _idx,
    "image_folder": _image_folder,
    "image_zip": _image_zip,
    "lsun_lmdb": _lsun_lmdb,
    "parquet": _parquet,
    "photo_patches": _photo_patches,
}

FORMATS = ("hub", "image_folder", "image_zip", "lsun_lmdb", "parquet")


def test_every_data_set_is_under_contract() -> None:
    assert set(SOURCES) == set(DATASETS.builtin)


@pytest.fixture(autouse=True)
def _in_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")


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


def test_every_format_gives_the_same_images(tmp_path: Path) -> None:
    found = {kind: load_dataset(parse_dataset(SOURCES[kind](tmp_path))) for kind in FORMATS}
    assert len({real.digest() for real in found.values()}) == 1
    assert {real.classes for real in found.values()} == {("left", "right")}


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("place", [0, 3, 5], ids=["first", "middle", "last"])
def test_a_bad_image_is_refused_or_listed(tmp_path: Path, kind: str, place: int) -> None:
    _damage(tmp_path, {place})
    values = SOURCES[kind](tmp_path)
    with pytest.raises(DataError, match="not an image that can be read"):
        load_dataset(parse_dataset(values))
    real = load_dataset(parse_dataset({**values, "on_bad_image": "skip"}))
    assert real.images.shape == (5, 3, 8, 8)
    assert real.labels is not None
    assert len(real.labels) == 5
    assert real.skipped is not None
    assert real.skipped.count == len(real.skipped.listed) == 1
    assert "not an image that can be read" in real.skipped.listed[0][1]


@pytest.mark.parametrize("kind", FORMATS)
def test_all_bad_is_refused(tmp_path: Path, kind: str) -> None:
    _damage(tmp_path, set(range(6)))
    with pytest.raises(DataError, match="none of its 6 images can be read"):
        load_dataset(parse_dataset({**SOURCES[kind](tmp_path), "on_bad_image": "skip"}))


@pytest.mark.parametrize("kind", FORMATS)
def test_decoded_images_are_kept_and_found(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image_cache, "SMALLEST_KEPT", 1)
    monkeypatch.setenv("GANGUARD_IMAGE_CACHE", str(tmp_path / "kept"))
    settings = parse_dataset(SOURCES[kind](tmp_path))
    first, again = load_dataset(settings), load_dataset(settings)
    assert len(list((tmp_path / "kept").iterdir())) == 1
    assert first.digest() == again.digest()
    assert first.classes == again.classes
    monkeypatch.setenv("GANGUARD_IMAGE_CACHE", "off")
    assert load_dataset(settings).digest() == first.digest()


@pytest.mark.parametrize("path", ["", "  "])
@pytest.mark.parametrize("kind", DATASETS.table())
def test_an_empty_path_is_refused_in_one_line(kind: str, path: str) -> None:
    if "path" not in DATASETS.load(kind).model_fields:
        return
    with pytest.raises(SpecError, match=r"path: must be a path; got '.*' \('?it is empty'?\)") as raised:
        parse_dataset({"kind": kind, "path": path})
    assert "\n" not in str(raised.value)
