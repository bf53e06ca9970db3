"""Which columns of Parquet files are read, and what happens if they are not as the settings say."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ganguard.base.errors import DataError
from ganguard.cli.options import dataset_of
from ganguard.data.dataset import RealImages
from ganguard.data.parquet import read_parquet
from ganguard.data.parquet_images import ParquetImages

Encode = Callable[[np.ndarray], bytes]


def _images(png: Encode, first: int = 0) -> list[dict[str, object]]:
    return [{"bytes": png(np.full((4, 4), first + number, np.uint8)), "path": ""} for number in range(4)]


def _write(folder: Path, **columns: list[object]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), folder / "train-00000-of-00001.parquet")
    return folder


def _load(folder: Path, **values: object) -> RealImages:
    return ParquetImages.model_validate({"path": str(folder), **values}).load()


def test_the_column_image_is_taken_and_else_a_lonely_img(tmp_path: Path, png: Encode) -> None:
    both = _write(tmp_path / "both", img=_images(png, 50), image=_images(png, 10))
    assert _load(both).images[:, 0, 0, 0].tolist() == [10, 11, 12, 13]
    assert _load(both, image_column="img").images[:, 0, 0, 0].tolist() == [50, 51, 52, 53]
    lonely = _write(tmp_path / "lonely", img=_images(png, 50), label=[0, 1, 0, 1])
    found = _load(lonely, label_column="label")
    assert found.images[:, 0, 0, 0].tolist() == [50, 51, 52, 53]
    assert found.classes == ("0", "1")


@pytest.mark.parametrize("names", [("img", "mask"), ("photo",), ("Image",)])
def test_a_column_that_is_not_said_is_not_guessed(
    tmp_path: Path, png: Encode, names: tuple[str, ...]
) -> None:
    folder = _write(tmp_path / "x", **{name: _images(png) for name in names}, label=[0, 1, 0, 1])
    with pytest.raises(
        DataError, match=rf"no column image, but {', '.join(names)}, label\).* `image_column`"
    ):
        _load(folder)
    assert len(_load(folder, image_column=names[0]).images) == 4


@pytest.mark.parametrize(
    ("column", "said"), [("images", "no column images, but image"), ("label", "column label is int64")]
)
def test_a_column_that_holds_no_images_is_refused(
    tmp_path: Path, png: Encode, column: str, said: str
) -> None:
    with pytest.raises(DataError, match=said):
        _load(_write(tmp_path / "x", image=_images(png), label=[0, 1, 0, 1]), image_column=column)


def test_a_harvest_has_its_images_in_the_column_image(tmp_path: Path, png: Encode) -> None:
    _write(tmp_path, img=_images(png))
    with pytest.raises(DataError, match="no column image"):
        read_parquet([tmp_path / "train-00000-of-00001.parquet"])


@pytest.mark.parametrize("skip", ["fail", "skip"])
def test_an_image_without_a_label_is_refused_where_labels_are_asked_for(
    tmp_path: Path, png: Encode, skip: str
) -> None:
    folder = _write(tmp_path / "x", image=_images(png), label=[0, 1, None, None])
    with pytest.raises(
        DataError, match=r"parquet, row 2: no label in column label\. .*, or leave `label_column`"
    ):
        _load(folder, label_column="label", on_bad_image=skip)
    assert len(_load(folder).images) == 4


def test_a_row_without_an_image_needs_no_label(tmp_path: Path, png: Encode) -> None:
    folder = _write(tmp_path / "x", image=[*_images(png), None], label=["a", "b", "b", "a", None])
    assert _load(folder, label_column="label", on_bad_image="skip").classes == ("a", "b")


def test_a_link_to_nothing_is_no_absent_file(tmp_path: Path, png: Encode) -> None:
    """Like a link to a file that the hub's cache lost."""
    folder = _write(tmp_path / "x", image=_images(png))
    (folder / "train-00001-of-00002.parquet").symlink_to("nowhere")
    with pytest.raises(DataError, match="train-00001-of-00002"):
        _load(folder)


def test_a_data_sets_repository_is_no_folder_of_images(tmp_path: Path, png: Encode) -> None:
    _write(tmp_path / "repository" / "data", image=_images(png))
    assert dataset_of(str(tmp_path / "repository"), None).kind == "parquet"
