"""Fashion-MNIST, from small files of its form."""

from pathlib import Path

import numpy as np
import pytest
from idx_files import write_idx

from ganguard.base.errors import DataError
from ganguard.data import fashion_mnist
from ganguard.data.dataset import fingerprint, load_dataset
from ganguard.data.fashion_mnist import CLASSES, FashionMnist

IMAGES = np.random.default_rng(0).integers(0, 256, (20, 28, 28), dtype=np.uint8)
LABELS = np.arange(20, dtype=np.uint8) % 10


def _written(folder: Path, beginning: str = "train", ending: str = ".gz") -> Path:
    write_idx(folder / f"{beginning}-images-idx3-ubyte{ending}", IMAGES)
    write_idx(folder / f"{beginning}-labels-idx1-ubyte{ending}", LABELS)
    return folder


def test_pictures_and_the_names_of_their_classes(tmp_path: Path) -> None:
    settings = FashionMnist(path=str(_written(tmp_path)), pool=2)
    real = load_dataset(settings)
    assert real.images.shape == (20, *(settings.image_shape() or ())) == (20, 1, 14, 14)
    assert real.classes == CLASSES and real.labels is not None and real.labels.tolist() == LABELS.tolist()
    with pytest.raises(DataError, match="t10k-images-idx3-ubyte"):
        load_dataset(FashionMnist(path=str(tmp_path), part="test"))
    _written(tmp_path, "t10k", "")
    assert len(load_dataset(FashionMnist(path=str(tmp_path), part="test")).images) == 20


def test_debians_folder_is_taken_without_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fashion_mnist, "DEBIAN", tmp_path)
    for use in (fingerprint, load_dataset):
        with pytest.raises(DataError, match=r"apt-get install dataset-fashion-mnist.*set `path`") as raised:
            use(FashionMnist())
        assert "\n" not in str(raised.value)
    _written(tmp_path)
    assert len(load_dataset(FashionMnist()).images) == 20


@pytest.mark.parametrize("what", ["other size", "no labels", "other labels"])
def test_other_files_of_its_names_are_refused(tmp_path: Path, what: str) -> None:
    _written(tmp_path)
    if what == "other size":
        write_idx(tmp_path / "train-images-idx3-ubyte.gz", IMAGES[:, :14])
    else:
        write_idx(tmp_path / "train-labels-idx1-ubyte.gz", LABELS // 2)
        if what == "no labels":
            (tmp_path / "train-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(DataError, match="not Fashion-MNIST"):
        load_dataset(FashionMnist(path=str(tmp_path)))
