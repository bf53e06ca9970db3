from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ganguard.base.errors import DataError
from ganguard.data.parquet import read_parquet

LAYOUT = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
Encode = Callable[[np.ndarray], bytes]


def _grey(png: Encode, value: int, side: int = 4) -> dict[str, object]:
    return {"bytes": png(np.full((side, side), value, dtype=np.uint8)), "path": None}


def _write(path: Path, rows: list[dict[str, object] | None]) -> Path:
    pq.write_table(
        pa.table({"image": pa.array(rows, LAYOUT)}), path, write_page_checksum=True, compression="none"
    )
    return path


def test_images_come_in_the_order_of_files_and_rows(tmp_path: Path, png: Encode) -> None:
    files = [
        _write(tmp_path / "b", [_grey(png, 1), _grey(png, 2)]),
        _write(tmp_path / "a", [_grey(png, 3)]),
    ]
    assert read_parquet(files)[:, 0, 0, 0].tolist() == [1, 2, 3]


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_a_count_takes_the_first_ones(tmp_path: Path, png: Encode, count: int) -> None:
    files = [_write(tmp_path / str(start), [_grey(png, start), _grey(png, start + 1)]) for start in (0, 2)]
    assert read_parquet(files, count)[:, 0, 0, 0].tolist() == list(range(count))


def test_files_beyond_the_count_are_not_opened(tmp_path: Path, png: Encode) -> None:
    files = [_write(tmp_path / "a", [_grey(png, 7)]), tmp_path / "absent"]
    assert len(read_parquet(files, 1)) == 1


def test_many_row_groups_are_one_table(tmp_path: Path, png: Encode) -> None:
    table = pa.table({"image": pa.array([_grey(png, value) for value in range(5)], LAYOUT)})
    pq.write_table(table, tmp_path / "a", row_group_size=2)
    assert read_parquet([tmp_path / "a"])[:, 0, 0, 0].tolist() == [0, 1, 2, 3, 4]


def test_no_images_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no image"):
        read_parquet([_write(tmp_path / "a", [])])
    with pytest.raises(DataError, match="no image"):
        read_parquet([])


def test_two_sizes_are_refused(tmp_path: Path, png: Encode) -> None:
    with pytest.raises(DataError, match=r"\(1, 5, 5\) and \(1, 4, 4\)"):
        read_parquet([_write(tmp_path / "a", [_grey(png, 0, 4), _grey(png, 0, 5)])])


def test_a_broken_image_names_file_and_row(tmp_path: Path, png: Encode) -> None:
    file = _write(tmp_path / "shard", [_grey(png, 0), {"bytes": b"broken", "path": None}])
    with pytest.raises(DataError, match="shard, row 1: not an image"):
        read_parquet([file])


@pytest.mark.parametrize(
    "row", [None, {"bytes": None, "path": "elsewhere.png"}], ids=["null image", "path only"]
)
def test_an_image_that_is_not_in_the_file_is_refused(tmp_path: Path, row: dict[str, object] | None) -> None:
    """The Hugging Face layout lets an image lie beside the file; then there are no bytes here."""
    with pytest.raises(DataError, match="shard"):
        read_parquet([_write(tmp_path / "shard", [row])])


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="absent"):
        read_parquet([tmp_path / "absent"])


def test_what_is_no_parquet_is_refused(tmp_path: Path) -> None:
    (tmp_path / "shard").write_bytes(b"PAR1 not really PAR1")
    with pytest.raises(DataError, match="shard: not a Parquet file of images"):
        read_parquet([tmp_path / "shard"])


@pytest.mark.parametrize(
    "table",
    [
        pa.table({"picture": pa.array([1])}),
        pa.table({"image": pa.array([{"path": "a.png"}])}),
        pa.table({"image": pa.array([b"png"])}),
        pa.table({"image": pa.array([1.5])}),
    ],
    ids=["no image column", "no bytes field", "bare bytes", "numbers"],
)
def test_another_layout_is_refused(tmp_path: Path, table: pa.Table) -> None:
    pq.write_table(table, tmp_path / "shard")
    with pytest.raises(DataError, match="shard: not a Parquet file of images"):
        read_parquet([tmp_path / "shard"])


def test_a_flipped_bit_is_noticed(tmp_path: Path, png: Encode) -> None:
    """A PNG may survive a flipped bit as another image; the page's checksum does not."""
    row = _grey(png, 7, side=16)
    file = _write(tmp_path / "shard", [row])
    content = bytearray(file.read_bytes())
    content[content.index(row["bytes"]) + len(row["bytes"]) // 2] ^= 1
    file.write_bytes(content)
    with pytest.raises(DataError, match="shard"):
        read_parquet([file])
