"""A data set of the hub, as a folder that the library reads as it reads the hub."""

import io
import logging
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ganguard.base.errors import DataError, SpecError
from ganguard.data import hub_images
from ganguard.data.dataset import fingerprint, load_dataset, parse_dataset
from ganguard.data.hub_images import HubImages

datasets = pytest.importorskip("datasets")


def _png(number: int) -> bytes:
    content = io.BytesIO()
    Image.fromarray(np.full((8, 6, 3), number, np.uint8)).save(content, "PNG")
    return content.getvalue()


@pytest.fixture
def faces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder `faces` below the current one: six images in two classes, the last without a caption."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    features = datasets.Features(
        {
            "picture": datasets.Image(),
            "side": datasets.ClassLabel(names=["left", "right"]),
            "caption": datasets.Value("string"),
        }
    )
    rows = {
        "picture": [{"bytes": _png(number), "path": None} for number in range(6)],
        "side": [number % 2 for number in range(6)],
        "caption": [*(f"face {number // 3}" for number in range(5)), None],
    }
    held = datasets.Dataset.from_dict(rows, features=features)
    (tmp_path / "faces" / "data").mkdir(parents=True)
    held.to_parquet(tmp_path / "faces" / "data" / "train-00000-of-00001.parquet")
    return tmp_path


def test_images_and_labels(faces: Path) -> None:
    settings = parse_dataset({"kind": "hub", "name": "faces", "label_column": "side", "channels": 3})
    real = load_dataset(settings)
    assert real.images[:, 0, 0, 0].tolist() == list(range(6)) and real.images.shape == (6, 3, 8, 6)
    assert real.classes == ("left", "right")
    assert real.labels is not None and real.labels.tolist() == [0, 1] * 3
    assert fingerprint(settings) == fingerprint(settings) != fingerprint(HubImages(name="faces"))
    assert load_dataset(HubImages(name="faces", size=4)).images.shape == (6, 3, 4, 4)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"name": "nothing/there"}, "cannot be had from the hub"),
        ({"split": "test"}, 'Unknown split "test"'),
        ({"config": "other"}, "cannot be had"),
        (
            {"image_column": "side"},
            r"column side holds no images; its columns of images are picture, of picture, ",
        ),
        ({"label_column": "age"}, "has no column age; it has picture, side, caption"),
        ({"label_column": "caption"}, r"train 5: None in column caption; labels must be"),
    ],
)
def test_what_is_wrong_is_named(
    faces: Path, monkeypatch: pytest.MonkeyPatch, change: dict[str, str], said: str
) -> None:
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    with pytest.raises(DataError, match=said) as raised:
        load_dataset(HubImages.model_validate({"name": "faces", **change}))
    assert "\n" not in str(raised.value)


def test_attempts_to_reach_the_hub_are_not_told_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the library warns of each, and it has a handler of its own."""
    warning = logging.getLogger("huggingface_hub.utils._http")
    told: list[str] = []
    handler = logging.Handler()
    monkeypatch.setattr(handler, "emit", lambda record: told.append(record.getMessage()))

    def unreachable(*asked: object, **how: object) -> None:
        for attempt in range(5):
            warning.warning("Retrying in 1s [Retry %d/5].", attempt)
        raise ConnectionError("nobody answers")

    monkeypatch.setattr(datasets, "load_dataset_builder", unreachable)
    monkeypatch.setattr(datasets, "load_dataset", unreachable)
    logging.getLogger("huggingface_hub").addHandler(handler)
    try:
        for use in (fingerprint, load_dataset):
            with pytest.raises(DataError, match=r"cannot be had from the hub \(nobody answers\)\.") as raised:
                use(HubImages(name="owner/faces"))
            assert "\n" not in str(raised.value) and told == []
        warning.warning("as before")
        assert told == ["as before"]
    finally:
        logging.getLogger("huggingface_hub").removeHandler(handler)


def test_without_the_library_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_images, "find_spec", lambda name: None)
    for use in (fingerprint, load_dataset):
        with pytest.raises(DataError, match=r"library datasets, .* Run: pip install ganguard\[hub\]$"):
            use(HubImages(name="owner/faces"))


@pytest.mark.parametrize("name", ["/etc", "../x", "..", "a/b/c", ""])
def test_a_path_is_no_name(name: str) -> None:
    with pytest.raises(SpecError, match=r"hub\.name"):
        parse_dataset({"kind": "hub", "name": name})


def test_a_cell_may_name_a_file_or_hold_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(_png(3))
    assert hub_images._content({"bytes": None, "path": str(tmp_path / "a.png")}, "x") == tmp_path / "a.png"
    for cell in (None, {"bytes": None, "path": str(tmp_path / "b.png")}):
        with pytest.raises(DataError, match=r"^x: holds no image"):
            hub_images._content(cell, "x")
