"""Counter-based random numbers: row i of a stream is a pure function of (seed, stream, i).

A stream is Philox-4x64 under a key hashed from its seed and name, and is read from the counter that row i
begins at. So shards, resumed runs and several machines draw the same rows however they are asked for, with no
state to carry. Training, whose draws have no index, uses a `torch.Generator` seeded from the same hash and
saved with the checkpoint.
"""

import hashlib

import numpy as np
import torch
from numpy.random import Philox
from scipy.special import ndtri
from torch import Tensor

_BELOW_ONE = (
    1 - 2.0**-53
)  # the largest double below 1: all bits set would round to 1, whose normal is infinite
_WORDS_PER_COUNTER = 4  # Philox-4x64 gives four 64-bit words a counter value


def stream_key(seed: int, *names: str) -> bytes:
    """16 bytes that depend on the seed and every name: the identity of a stream."""
    text = "\x1f".join([str(int(seed)), *names])
    return hashlib.blake2b(text.encode(), digest_size=16).digest()


def uniform(seed: int, stream: str, indices: range, width: int) -> np.ndarray:
    """Rows `indices` (step 1) of the named stream: (len(indices), width) float64, uniform in the open
    interval (0, 1)."""
    if indices.step != 1 or indices.start < 0:
        raise ValueError(f"indices must be a range of step 1 from 0 up; got {indices}")
    if not indices:
        return np.empty((0, width))
    counters_per_row = -(-width // _WORDS_PER_COUNTER)
    key = np.frombuffer(stream_key(seed, stream), dtype="<u8").copy()
    bits = Philox(counter=indices.start * counters_per_row, key=key)
    words = bits.random_raw(len(indices) * counters_per_row * _WORDS_PER_COUNTER)
    rows = words.reshape(len(indices), -1)[:, :width]
    return np.minimum(((rows >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53, _BELOW_ONE)


def normal(seed: int, stream: str, indices: range, width: int) -> Tensor:
    """Rows `indices` of the named stream as N(0, I): (len(indices), width) float32, by the inverse normal
    distribution."""
    return torch.from_numpy(ndtri(uniform(seed, stream, indices, width)).astype(np.float32))


def torch_generator(seed: int, *names: str) -> torch.Generator:
    """A CPU generator whose state depends on the seed and the names alone."""
    generator = torch.Generator()
    generator.manual_seed(int.from_bytes(stream_key(seed, *names)[:8], "little") >> 1)
    return generator


def derived_seed(seed: int, *names: str) -> int:
    """A seed in [0, 2^62) that depends on the seed and the names: one person's draws are not another's."""
    return int.from_bytes(stream_key(seed, "derived", *names)[:8], "little") >> 2
