import hashlib
import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from ganguard.base.errors import DataError
from ganguard.data.parquet import read_vectors
from ganguard.queries.store import Store, shards_of


def _store(tmp_path: Path, **values: object) -> Store:
    said = {"directory": tmp_path / "store", "target": "ramp", "account": "us", "seed": 7}
    store = Store(**(said | values))
    store.create()
    return store


def _images(start: int, stop: int) -> torch.Tensor:
    return torch.arange(start, stop, dtype=torch.uint8).view(-1, 1, 1, 1).expand(-1, 1, 3, 3).contiguous()


def test_what_is_written_is_read_in_the_order_of_the_index(tmp_path: Path) -> None:
    store = _store(tmp_path)
    store.write(2, _images(2, 5), None)
    store.write(0, _images(0, 2), None)
    assert torch.equal(store.read(5), _images(0, 5))
    assert torch.equal(store.read(3), _images(0, 3))
    assert [(start, stop) for start, stop, _ in store.shards()] == [(0, 2), (2, 5)]


def test_a_gap_ends_what_is_held(tmp_path: Path) -> None:
    store = _store(tmp_path)
    store.write(0, _images(0, 2), None)
    store.write(3, _images(3, 5), None)
    with pytest.raises(DataError, match="holds the first 2 images; 5 were asked for"):
        store.read(5)


def test_columns_say_which_image_it_is(tmp_path: Path) -> None:
    table = pq.read_table(_store(tmp_path).write(3, _images(3, 5), None))
    assert table.column_names == ["index", "seed", "image"]
    assert [str(field.type) for field in table.schema] == [
        "int64",
        "int64",
        "struct<bytes: binary, path: string>",
    ]
    assert table["index"].to_pylist() == [3, 4]
    assert table["seed"].to_pylist() == [7, 7]


def test_codes_are_kept_where_the_client_sent_them(tmp_path: Path) -> None:
    codes = torch.tensor([[0.1, -2.5], [3.0, 1e-7]])
    table = pq.read_table(_store(tmp_path, codes="client").write(0, _images(0, 2), codes))
    assert table.column_names == ["index", "seed", "image", "latent"]
    assert str(table.schema.field("latent").type) == "list<element: float>"
    assert torch.equal(torch.tensor(table["latent"].to_pylist()), codes)


def test_codes_are_read_back_as_they_were_sent(tmp_path: Path) -> None:
    store, codes = _store(tmp_path, codes="client"), torch.randn(5, 3)
    store.write(2, _images(2, 5), codes[2:])
    store.write(0, _images(0, 2), codes[:2])
    assert torch.equal(store.read_codes(5), codes)
    assert torch.equal(store.read_codes(3), codes[:3])
    assert store.read_codes(4).dtype == torch.float32


def test_a_store_without_codes_says_so(tmp_path: Path) -> None:
    store = _store(tmp_path)
    store.write(0, _images(0, 2), None)
    with pytest.raises(DataError, match=r"has no column latent\. Its columns: index, seed, image"):
        store.read_codes(2)


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        (pa.array([1.0, 2.0], pa.float32()), "must hold lists of float32"),
        (pa.array([[1.0], None], pa.list_(pa.float32())), "must hold lists of float32"),
        (pa.array([[1.0], [2.0, 3.0]], pa.list_(pa.float32())), "must be equally long"),
        (pa.array([[1.0, 2.0], [None, 3.0]], pa.list_(pa.float32())), "must be equally long"),
    ],
)
def test_a_column_that_holds_no_codes_is_refused(tmp_path: Path, cells: pa.Array, said: str) -> None:
    file = tmp_path / "some.parquet"
    pq.write_table(pa.table({"latent": cells}), file, compression="none")
    with pytest.raises(DataError, match=said):
        read_vectors(file, "latent")


def test_the_largest_seed_fits(tmp_path: Path) -> None:
    path = _store(tmp_path, seed=2**62 - 1).write(0, _images(0, 1), None)
    assert pq.read_table(path)["seed"].to_pylist() == [2**62 - 1]


def test_the_same_store_is_opened_again(tmp_path: Path) -> None:
    _store(tmp_path).write(0, _images(0, 2), None)
    assert len(_store(tmp_path).read(2)) == 2


def test_a_store_is_opened_as_it_was_made(tmp_path: Path) -> None:
    for store in (_store(tmp_path), _store(tmp_path, directory=tmp_path / "b", queries_an_image=4)):
        assert Store.open(store.directory) == store


def test_a_description_that_says_no_price_is_of_images_that_cost_one_query(tmp_path: Path) -> None:
    store = _store(tmp_path)
    path = store.directory / "store.json"
    path.write_text('{"target": "ramp", "account": "us", "seed": 7, "codes": "provider"}')
    assert Store.open(store.directory) == store


OTHERS = [
    {"target": "x"},
    {"account": "them"},
    {"seed": 8},
    {"codes": "client"},
    {"queries_an_image": 4},
]


@pytest.mark.parametrize("other", OTHERS)
def test_another_harvest_in_the_directory_is_named(tmp_path: Path, other: dict[str, object]) -> None:
    _store(tmp_path)
    with pytest.raises(DataError, match=rf"holds another harvest \({next(iter(other))} "):
        _store(tmp_path, **other)


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"not json", b"{}", b'{"target":"t","account":"a","seed":0,"codes":"ours"}']
)
def test_a_description_that_is_none_is_refused(tmp_path: Path, content: bytes) -> None:
    _store(tmp_path)
    (tmp_path / "store" / "store.json").write_bytes(content)
    with pytest.raises(DataError, match=r"store\.json: not the description of a store"):
        _store(tmp_path)


def test_files_of_other_names_are_no_shards(tmp_path: Path) -> None:
    store = _store(tmp_path)
    store.write(0, _images(0, 2), None)
    for name in (
        "notes.parquet",
        ".0000000002-0000000004.parquet.x.tmp",
        "a-b.parquet",
        "0000000001-0000000004.parquet",
    ):
        (store.directory / "data" / name).write_bytes(b"")
    assert len(store.shards()) == 1


def test_the_name_of_a_shard_says_what_it_holds_and_its_digest(tmp_path: Path) -> None:
    path = _store(tmp_path).write(3, _images(3, 5), None)
    assert path.name == f"0000000003-0000000005-{hashlib.sha256(path.read_bytes()).hexdigest()[:16]}.parquet"
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_a_flipped_bit_anywhere_is_found_and_the_file_named(tmp_path: Path) -> None:
    store = _store(tmp_path)
    store.write(0, _images(0, 2), None)
    path = store.write(2, _images(2, 5), None)
    sound = path.read_bytes()
    for place in [*range(0, len(sound) - 600, 61), *range(len(sound) - 600, len(sound), 7)]:
        path.write_bytes(sound[:place] + bytes([sound[place] ^ 1 << place % 8]) + sound[place + 1 :])
        with pytest.raises(
            DataError, match=rf"{re.escape(str(path))}: damaged: .* Remove it .* costs no further queries"
        ):
            store.read(5)
        assert len(store.read(2)) == 2


@pytest.mark.parametrize("share", [0, 0.5, 0.999])
def test_a_truncated_shard_is_named(tmp_path: Path, share: float) -> None:
    store = _store(tmp_path)
    path = store.write(0, _images(0, 2), None)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(DataError, match=rf"{path.name}: damaged"):
        store.read(2)


@pytest.mark.parametrize("other", [range(2), range(1), range(1, 3), range(4, 5), range(5)])
def test_two_shards_with_the_same_image_are_refused_and_named(tmp_path: Path, other: range) -> None:
    store = _store(tmp_path)
    for start, stop in ((0, 2), (2, 5)):
        store.write(start, _images(start, stop), None)
    twin = store.write(other.start, _images(other.start + 1, other.stop + 1), None)
    for reading in (store.shards, lambda: store.read(2), lambda: shards_of(store.directory)):
        with pytest.raises(
            DataError, match=rf"image {max(other.start, 0)} lies in two shards, .*{twin.name}|.*{twin.name}.*"
        ):
            reading()
    twin.unlink()
    assert torch.equal(store.read(5), _images(0, 5))


def test_shards_that_hold_fewer_than_their_names_say_are_refused(tmp_path: Path) -> None:
    store = _store(tmp_path)
    path = store.write(0, _images(0, 2), None)
    path.rename(path.with_name(path.name.replace("0000000002", "0000000003")))
    with pytest.raises(DataError, match="fewer images than their names say"):
        store.read(3)
