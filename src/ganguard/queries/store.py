"""Bought images on disk: Parquet shards of PNG bytes in the Hugging Face `Image` layout.

A store holds the images of one account from one target under one seed, as a prefix 0, 1, 2 ... of the image
index. pandas, DuckDB and `datasets` open `data/*.parquet` as it is. Columns: index, seed, image {bytes,
path}, latent if the client sent the codes, and condition if the target is asked for one.

A shard's name says which images it holds and how its SHA-256 begins: `<start>-<stop>-<digest>.parquet`.
Images that no shard holds are bought when they are wanted. A damaged shard is refused, and so are two shards
that hold the same image.
"""

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import ClassVar, Self

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import Tensor

from ganguard.base.cache import write_bytes, write_json
from ganguard.base.codecs import encode_png, images_a_task
from ganguard.base.errors import DataError
from ganguard.base.settings import NonNegative, Positive, Sparse, read_record
from ganguard.data.parquet import SHARD_NAME, has_column, read_parquet, read_texts, read_vectors, shard_name
from ganguard.targets.ask import Ask
from ganguard.targets.protocol import Codes

DESCRIPTION = "store.json"


class StoreDescription(Sparse):
    """What store.json says; see `Store`."""

    unsaid: ClassVar[frozenset[str]] = frozenset({"ask"})
    target: str
    account: str
    seed: NonNegative
    codes: Codes
    queries_an_image: Positive = 1
    ask: Ask | None = None


@dataclass(frozen=True)
class Store:
    """A directory of shards.

    Attributes:
        directory: where it lies.
        target: identity of the target.
        account: the account that the images are bought by.
        seed: the seed that they are bought under.
        codes: "provider" if the target draws the codes, "client" if they are sent to it and stored.
        queries_an_image: how many queries the account pays for each image.
        ask: how the target is asked; None for one without conditions that gets codes of its own prior. The
            shards of a conditional target have the column condition.
    """

    directory: Path
    target: str
    account: str
    seed: int
    codes: Codes = "provider"
    queries_an_image: int = 1
    ask: Ask | None = None

    @classmethod
    def open(cls, directory: Path) -> Self:
        """Return the store in a directory. Raises DataError if its description is absent or damaged."""
        path = directory / DESCRIPTION
        try:
            said = read_record(path, StoreDescription, DataError)
        except DataError as problem:
            reason = str(problem).removeprefix(f"{path}: ").rstrip(".")
            raise DataError(
                f"{path}: not the description of a store, or a damaged one ({reason}). Remove it if this "
                "harvest filled the directory, or choose another directory."
            ) from None
        return cls(
            directory, said.target, said.account, said.seed, said.codes, said.queries_an_image, said.ask
        )

    def create(self) -> None:
        """Make the directory and its description, or check that the store there is this one.

        Raises DataError if it is another, or its description is damaged.
        """
        path = self.directory / DESCRIPTION
        said = self._said()
        if not path.exists():
            (self.directory / "data").mkdir(parents=True, exist_ok=True)
            write_json(path, said)
        elif (found := Store.open(self.directory)._said()) != said:
            keys = dict.fromkeys([*said, *found])
            different = ", ".join(
                f"{key} {found.get(key)!r}" for key in keys if found.get(key) != said.get(key)
            )
            raise DataError(
                f"{self.directory}: holds another harvest ({different}). Choose another directory."
            )

    def _said(self) -> dict[str, object]:
        """Return what store.json says of this store; nothing of `ask` if the target takes no conditions."""
        fields = {name: getattr(self, name) for name in StoreDescription.model_fields}
        return StoreDescription.model_construct(**fields).model_dump(mode="json")

    def shards(self) -> list[tuple[int, int, Path]]:
        """Return (start, stop, file) of every shard, in the order of the image index.

        Raises DataError if two overlap.
        """
        return shards_of(self.directory)

    def write(
        self, start: int, images: Tensor, latents: Tensor | None, conditions: Sequence[str] | None = None
    ) -> Path:
        """Write images as one shard, atomically, and return its path.

        Args:
            start: index of the first image; the others follow it.
            images: (N, C, H, W) uint8.
            latents: their codes (N, latent_dim) if the client sent them, else None.
            conditions: names of what each was asked for; None if the target takes no conditions.
        """
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
        if conditions is not None:
            columns["condition"] = pa.array(conditions, pa.string())
        table = pa.table(columns).replace_schema_metadata(_hugging_face(list(columns)))
        stream = pa.BufferOutputStream()
        pq.write_table(table, stream, write_page_checksum=True, compression="none")
        content = stream.getvalue().to_pybytes()
        path = self.directory / "data" / shard_name(start, stop, content)
        write_bytes(path, content)
        return path

    def read(self, count: int) -> Tensor:
        """Return the first `count` images, (count, C, H, W) uint8.

        Raises DataError if there are fewer, or if a shard is damaged.
        """
        images = read_parquet(self._files(count), count)
        if len(images) < count:
            raise DataError(
                f"{self.directory}: its shards hold fewer images than their names say. Choose another "
                "directory."
            )
        return images

    def read_conditions(self, count: int) -> list[str]:
        """Return the names of what the first `count` images were asked for.

        Raises DataError if there are fewer, or if a shard is damaged or has no such column.
        """
        found: list[str] = []
        for file in self._files(count):
            found += read_texts(file, "condition")
        if len(found) < count:
            raise DataError(
                f"{self.directory}: its shards name fewer conditions than they hold images. Choose another "
                "directory."
            )
        return found[:count]

    def asked(self, count: int) -> list[str] | None:
        """Return the names of what the first `count` images were asked for; None if the target takes no
        conditions. Raises DataError as `read_conditions` does."""
        if self.ask is None:
            return None
        # A target without conditions may be sent codes of another law: then the ask says no more than that.
        if self.ask.sends_codes and not all(has_column(file, "condition") for file in self._files(count)):
            return None
        return self.read_conditions(count)

    def read_codes(self, count: int) -> Tensor:
        """Return the codes of the first `count` images, (count, latent_dim) float32.

        Raises DataError if there are fewer, or if a shard is damaged or holds no codes.
        """
        found = torch.cat([read_vectors(file, "latent") for file in self._files(count)])
        if len(found) < count:
            raise DataError(
                f"{self.directory}: its shards hold fewer codes than images. Choose another directory."
            )
        return found[:count]

    def _files(self, count: int) -> list[Path]:
        """Return the shards of the first `count` images. Raises DataError if there are fewer."""
        held = 0
        files: list[Path] = []
        for start, stop, file in self.shards():
            if start == held:
                held, files = stop, [*files, file]
        if held < count:
            raise DataError(
                f"{self.directory}: holds the first {held} images; {count} were asked for. Harvest on."
            )
        return files


def shards_of(directory: Path) -> list[tuple[int, int, Path]]:
    """Return (start, stop, file) of every shard below a store's directory, in the order of the image index.

    Raises DataError if two hold the same image: one of them is from elsewhere, and which one is not known.
    """
    found = list_shards(directory)
    for (_, stop, file), (start, _, other) in pairwise(found):
        if start < stop:
            raise DataError(
                f"{directory}: image {start} lies in two shards, {file.name} and {other.name}. Keep the one "
                "that belongs here, and remove the other."
            )
    return found


def list_shards(directory: Path) -> list[tuple[int, int, Path]]:
    """Return (start, stop, file) of every file that is named as a shard, in the order of the image index."""
    found: list[tuple[int, int, Path]] = []
    for file in (directory / "data").glob("*.parquet"):
        name = SHARD_NAME.fullmatch(file.name)
        if name and int(name["start"]) < int(name["stop"]):
            found.append((int(name["start"]), int(name["stop"]), file))
    return sorted(found)


_IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def _hugging_face(columns: list[str]) -> dict[bytes, bytes]:
    """Return the schema metadata by which `datasets` shows the struct as an image."""
    kinds = {
        "index": {"dtype": "int64", "_type": "Value"},
        "seed": {"dtype": "int64", "_type": "Value"},
        "image": {"_type": "Image"},
        "latent": {"feature": {"dtype": "float32", "_type": "Value"}, "_type": "List"},
        "condition": {"dtype": "string", "_type": "Value"},
    }
    return {
        b"huggingface": json.dumps({"info": {"features": {name: kinds[name] for name in columns}}}).encode()
    }


def _encode(images: Tensor) -> list[bytes]:
    return [encode_png(image) for image in images]
