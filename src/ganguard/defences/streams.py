"""Random numbers for defences: a key for each image, and as many numbers from it as a defence needs."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.random import Generator, Philox
from torch import Tensor

from ganguard.targets.prior import NORMAL, PriorSettings

KEY_BYTES = 16


@dataclass(frozen=True)
class Streams:
    """One stream of random numbers for each row.

    Attributes:
        keys: KEY_BYTES for each row; equal keys give equal numbers.
        prior: how the target draws its codes.
    """

    keys: Sequence[bytes]
    prior: PriorSettings = NORMAL

    def __len__(self) -> int:
        return len(self.keys)

    def __getitem__(self, rows: slice) -> "Streams":
        return Streams(self.keys[rows], self.prior)

    @staticmethod
    def keyed(secret: bytes, rows: Sequence[bytes], prior: PriorSettings = NORMAL) -> "Streams":
        """Return a stream for each of some texts, which nobody can predict without the secret.

        Args:
            secret: at most 64 bytes.
            rows: the texts.
            prior: how the target draws its codes.
        """
        keys = [hashlib.blake2b(row, key=secret, digest_size=KEY_BYTES).digest() for row in rows]
        return Streams(keys, prior)

    @staticmethod
    def drawn(count: int, generator: torch.Generator) -> "Streams":
        """Return streams that an adversary draws for its own guess of a defence."""
        drawn = torch.randint(0, 256, (count, KEY_BYTES), dtype=torch.uint8, generator=generator)
        return Streams([row.tobytes() for row in drawn.numpy()])

    def named(self, name: str) -> "Streams":
        """Return other streams from the same keys, so that two defences of a chain draw different numbers."""
        return Streams.keyed(name.encode(), self.keys, self.prior)

    def codes(self, width: int) -> Tensor:
        """Return codes (N, width) float32 from the target's prior."""
        return self.prior.draw(self, width)

    def seeds(self) -> list[int]:
        """Return N seeds in [0, 2^62)."""
        return [int.from_bytes(key[:8], "little") >> 2 for key in self.keys]

    def normal(self, width: int) -> Tensor:
        """Return (N, width) float32, N(0, 1)."""
        found = np.empty((len(self), width), np.float32)
        for row, generator in zip(found, self._generators(), strict=True):
            generator.standard_normal(out=row, dtype=np.float32)
        return torch.from_numpy(found)

    def uniform(self, width: int) -> Tensor:
        """Return (N, width) float64, uniform in [0, 1)."""
        found = np.empty((len(self), width))
        for row, generator in zip(found, self._generators(), strict=True):
            generator.random(out=row)
        return torch.from_numpy(found)

    def _generators(self) -> Iterator[Generator]:
        """Yield the generator of each row, to be used before the next one is requested.

        It is a single generator, reset each time to the start of `Philox(key=…)`: that takes a tenth of the
        time of making another.
        """
        philox = Philox(key=0)
        generator, beginning = Generator(philox), philox.state
        for key in self.keys:
            beginning["state"]["key"] = np.frombuffer(key, dtype="<u8")
            philox.state = beginning
            yield generator
