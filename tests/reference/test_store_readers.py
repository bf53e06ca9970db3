"""A store opens as it is in pandas, DuckDB and Hugging Face datasets."""

import io
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ganguard.queries.store import Store

COUNT = 5


@pytest.fixture(params=["provider", "client"])
def store(tmp_path: Path, request: pytest.FixtureRequest) -> Store:
    store = Store(tmp_path / "store", "ramp", "us", 7, request.param)
    store.create()
    codes = torch.arange(2.0 * COUNT).view(COUNT, 2) if request.param == "client" else None
    for start, stop in ((0, 3), (3, COUNT)):
        store.write(start, _images()[start:stop], None if codes is None else codes[start:stop])
    return store


def _images() -> torch.Tensor:
    return torch.arange(COUNT * 48, dtype=torch.uint8).view(COUNT, 3, 4, 4)


def _columns(store: Store) -> list[str]:
    return ["index", "seed", "image", *(["latent"] if store.codes == "client" else [])]


def _same(image: Image.Image, index: int) -> bool:
    return np.array_equal(np.asarray(image), _images()[index].permute(1, 2, 0).numpy())


def test_pandas(store: Store) -> None:
    pandas = pytest.importorskip("pandas")
    table = pandas.read_parquet(store.directory / "data").sort_values("index")
    assert list(table.columns) == _columns(store)
    assert table["index"].tolist() == list(range(COUNT))
    assert set(table["seed"]) == {7}
    assert all(_same(Image.open(io.BytesIO(cell["bytes"])), row) for row, cell in enumerate(table["image"]))
    if store.codes == "client":
        assert table["latent"].map(list).tolist() == [[2.0 * row, 2.0 * row + 1] for row in range(COUNT)]


def test_duckdb(store: Store) -> None:
    duckdb = pytest.importorskip("duckdb")
    with duckdb.connect() as connection:
        relation = connection.sql(f"SELECT * FROM '{store.directory}/data/*.parquet' ORDER BY \"index\"")
        names, types = relation.columns, [str(kind) for kind in relation.types]
        rows = relation.fetchall()
    assert names == _columns(store)
    assert types[:3] == ["BIGINT", "BIGINT", "STRUCT(bytes BLOB, path VARCHAR)"]
    assert types[3:] == (["FLOAT[]"] if store.codes == "client" else [])
    assert all(_same(Image.open(io.BytesIO(row[2]["bytes"])), number) for number, row in enumerate(rows))


def test_datasets(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "HF_HOME": str(tmp_path / "hf"),
        "HF_DATASETS_CACHE": str(tmp_path / "hf" / "datasets"),
    }.items():
        monkeypatch.setenv(name, value)
    for name in (
        "HF_HUB_OFFLINE",
        "HF_DATASETS_OFFLINE",
        "HF_HUB_DISABLE_TELEMETRY",
        "HF_DATASETS_DISABLE_PROGRESS_BARS",
    ):
        monkeypatch.setenv(name, "1")
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # of datasets and what it imports, only while they are imported and run
        datasets = pytest.importorskip("datasets")
        files = [str(file) for _, _, file in store.shards()]
        found = datasets.load_dataset(
            "parquet", data_files=files, split="train", cache_dir=str(tmp_path / "cache")
        )
        rows = list(found)
    assert found.column_names == _columns(store)
    assert isinstance(found.features["image"], datasets.Image)
    assert found.features["index"].dtype == "int64"
    assert [row["index"] for row in rows] == list(range(COUNT))
    assert all(_same(row["image"], row["index"]) for row in rows)
    if store.codes == "client":
        assert rows[2]["latent"] == [4.0, 5.0]
