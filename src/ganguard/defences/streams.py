"""Random numbers for defences: a key for each image, and from it as many numbers as a defence wants."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.random import Generator, Philox
from torch import Tensor

KEY_BYTES = 16


@dataclass(frozen=True)
class Streams:
    """One stream of random numbers a row. keys: KEY_BYTES for each row; equal keys give equal numbers."""

    keys: Sequence[bytes]

    def __len__(self) -> int:
        return len(self.keys)

    def __getitem__(self, rows: slice) -> "Streams":
        return Streams(self.keys[rows])

    @staticmethod
    def keyed(secret: bytes, rows: Sequence[bytes]) -> "Streams":
        """A stream for each of some texts, which nobody can tell who does not hold the secret (at most 64
        bytes)."""
        return Streams([hashlib.blake2b(row, key=secret, digest_size=KEY_BYTES).digest() for row in rows])

    @staticmethod
    def drawn(count: int, generator: torch.Generator) -> "Streams":
        """Streams that an adversary draws for its own guess of a defence."""
        drawn = torch.randint(0, 256, (count, KEY_BYTES), dtype=torch.uint8, generator=generator)
        return Streams([row.tobytes() for row in drawn.numpy()])

    def named(self, name: str) -> "Streams":
        """Other streams, by the same keys: two defences of a chain do not draw the same numbers."""
        return Streams.keyed(name.encode(), self.keys)

    def normal(self, width: int) -> Tensor:
        """(N, width) float32, N(0, 1)."""
        found = np.empty((len(self), width), np.float32)
        for row, generator in zip(
            found, self._generators(), strict=True
        ):  # numpy fills a row at once, not rows of many keys
            generator.standard_normal(out=row, dtype=np.float32)
        return torch.from_numpy(found)

    def uniform(self, width: int) -> Tensor:
        """(N, width) float64, uniform in [0, 1)."""
        found = np.empty((len(self), width))
        for row, generator in zip(found, self._generators(), strict=True):
            generator.random(out=row)
        return torch.from_numpy(found)

    def _generators(self) -> Iterator[Generator]:
        """The generator of each row, of use until the next one is asked for: it is one, set anew to where
        `Philox(key=…)` begins, which takes a tenth of the time of making another."""
        philox = Philox(key=0)
        generator, beginning = Generator(philox), philox.state
        for key in self.keys:
            beginning["state"]["key"] = np.frombuffer(key, dtype="<u8")
            philox.state = beginning
            yield generator
