"""Bought images on disk: Parquet shards of PNG bytes in the Hugging Face `Image` layout.

A store holds the images of one account from one target under one seed, as a prefix 0, 1, 2 ... of the image
index. pandas, DuckDB and `datasets` open `data/*.parquet` as it is. Columns: index, seed, image {bytes,
path}, and latent where the client sent the codes.

A shard's name says which images it holds and how its SHA-256 begins: `<start>-<stop>-<digest>.parquet`. A
stretch that no shard holds is bought when it is wanted; a shard that is damaged is refused, and two that hold
the same image are too.
"""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.parquet as pq
from torch import Tensor

from ganguard.base.cache import write_bytes, write_json
from ganguard.base.codecs import encode_png, images_a_task
from ganguard.base.errors import DataError
from ganguard.base.settings import read_json
from ganguard.data.parquet import SHARD_NAME, read_parquet, shard_name

Codes = Literal["provider", "client"]
DESCRIPTION = "store.json"


@dataclass(frozen=True)
class Store:
    """A directory of shards.

    target: identity of the target. account, seed: whose images, under which seed.
    codes: "provider" drew them, or the "client" sent them.
    """

    directory: Path
    target: str
    account: str
    seed: int
    codes: Codes = "provider"

    def create(self) -> None:
        """Make the directory, or see that the one there is this store. Raises DataError where it is
        another."""
        path = self.directory / DESCRIPTION
        said = {"target": self.target, "account": self.account, "seed": self.seed, "codes": self.codes}
        if not path.exists():
            (self.directory / "data").mkdir(parents=True, exist_ok=True)
            write_json(path, said)
        elif (found := _description(path)) != said:
            different = ", ".join(f"{key} {found.get(key)!r}" for key in said if found.get(key) != said[key])
            raise DataError(
                f"{self.directory}: holds another harvest ({different}). Choose another directory."
            )

    def shards(self) -> list[tuple[int, int, Path]]:
        """(start, stop, file) of every shard, in the order of the image index. Raises DataError where two
        overlap."""
        return shards_of(self.directory)

    def write(self, start: int, images: Tensor, latents: Tensor | None) -> Path:
        """Write images start, start + 1, ... (N, C, H, W) as one shard, atomically."""
        with ThreadPoolExecutor() as pool:
            parts = pool.map(_encode, images.split(images_a_task(images.shape[1:])))
            encoded = [png for part in parts for png in part]
        stop = start + len(images)
        columns = {
            "index": pa.array(range(start, stop), pa.int64()),
            "seed": pa.array([self.seed] * len(images), pa.int64()),
            "image": pa.array([{"bytes": png, "path": None} for png in encoded], _IMAGE),
        }
        if latents is not None:
            columns["latent"] = pa.array(latents.tolist(), pa.list_(pa.float32()))
        table = pa.table(columns).replace_schema_metadata(_hugging_face(list(columns)))
        stream = pa.BufferOutputStream()
        pq.write_table(table, stream, write_page_checksum=True, compression="none")
        content = stream.getvalue().to_pybytes()
        path = self.directory / "data" / shard_name(start, stop, content)
        write_bytes(path, content)
        return path

    def read(self, count: int) -> Tensor:
        """The first `count` images, (count, C, H, W) uint8. Raises DataError where fewer are there, or a
        shard is damaged."""
        held = 0
        files: list[Path] = []
        for start, stop, file in self.shards():
            if start == held:
                held, files = stop, [*files, file]
        if held < count:
            raise DataError(
                f"{self.directory}: holds the first {held} images; {count} were asked for. Harvest on."
            )
        images = read_parquet(files, count)
        if len(images) < count:
            raise DataError(
                f"{self.directory}: its shards hold fewer images than their names say. Choose another "
                "directory."
            )
        return images


def shards_of(directory: Path) -> list[tuple[int, int, Path]]:
    """(start, stop, file) of every shard below a store's directory, in the order of the image index. Raises
    DataError where two hold the same image: one of them is from elsewhere, and which one is not known."""
    found = list_shards(directory)
    for (_, stop, file), (start, _, other) in pairwise(found):
        if start < stop:
            raise DataError(
                f"{directory}: image {start} lies in two shards, {file.name} and {other.name}. Keep the one "
                "that belongs here, and remove the other."
            )
    return found


def list_shards(directory: Path) -> list[tuple[int, int, Path]]:
    """(start, stop, file) of every file whose name is a shard's, in the order of the image index."""
    found: list[tuple[int, int, Path]] = []
    for file in (directory / "data").glob("*.parquet"):
        name = SHARD_NAME.fullmatch(file.name)
        if name and int(name["start"]) < int(name["stop"]):
            found.append((int(name["start"]), int(name["stop"]), file))
    return sorted(found)


_IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def _hugging_face(columns: list[str]) -> dict[bytes, bytes]:
    """Schema metadata by which `datasets` shows the struct as an image."""
    kinds = {
        "index": {"dtype": "int64", "_type": "Value"},
        "seed": {"dtype": "int64", "_type": "Value"},
        "image": {"_type": "Image"},
        "latent": {"feature": {"dtype": "float32", "_type": "Value"}, "_type": "List"},
    }
    return {
        b"huggingface": json.dumps({"info": {"features": {name: kinds[name] for name in columns}}}).encode()
    }


def _encode(images: Tensor) -> list[bytes]:
    return [encode_png(image) for image in images]


def _description(path: Path) -> dict[str, object]:
    try:
        found = read_json(path)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise DataError(
            f"{path}: not the description of a store, or a damaged one. Remove it if this harvest filled "
            "the directory, or choose another directory."
        )
    return found  # pyright: ignore[reportUnknownVariableType]
