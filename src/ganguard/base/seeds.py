"""Counter-based random numbers: row i of a stream is a pure function of (seed, stream, i).

A stream is Philox-4x64 under a key that is hashed from its seed and name. It is read from the counter at
which row i begins, so shards, resumed runs and several machines draw the same rows, however they ask for
them, and carry no state. Training draws numbers that have no index; it uses a `torch.Generator` that is
seeded from the same hash and saved with the checkpoint.
"""

import hashlib
from collections.abc import Generator
from contextlib import contextmanager

import numpy as np
import torch
from numpy.random import Philox
from scipy.special import ndtri
from torch import Tensor

# The largest double below 1. A word with all bits set would round to 1, and the normal of 1 is infinite.
_BELOW_ONE = 1 - 2.0**-53
_WORDS_PER_COUNTER = 4  # Philox-4x64 gives four 64-bit words for each value of its counter


def stream_key(seed: int, *names: str) -> bytes:
    """Return the identity of a stream: 16 bytes that depend on the seed and on every name."""
    text = "\x1f".join([str(int(seed)), *names])
    return hashlib.blake2b(text.encode(), digest_size=16).digest()


def uniform(seed: int, stream: str, indices: range, width: int) -> np.ndarray:
    """Return rows of a stream of uniform numbers.

    Args:
        seed: seed of the stream.
        stream: name of the stream.
        indices: the rows, a range of step 1.
        width: numbers in each row.

    Returns:
        (len(indices), width) float64 in the open interval (0, 1).
    """
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
    """Return rows `indices` of the named stream as N(0, I): (len(indices), width) float32, by the inverse
    normal distribution function."""
    return torch.from_numpy(ndtri(uniform(seed, stream, indices, width)).astype(np.float32))


def torch_generator(seed: int, *names: str) -> torch.Generator:
    """Return a CPU generator whose state depends on the seed and the names alone."""
    generator = torch.Generator()
    generator.manual_seed(int.from_bytes(stream_key(seed, *names)[:8], "little") >> 1)
    return generator


def derived_seed(seed: int, *names: str) -> int:
    """Return a seed in [0, 2^62) that depends on the seed and the names, so that two purposes never share
    random numbers."""
    return int.from_bytes(stream_key(seed, "derived", *names)[:8], "little") >> 2


@contextmanager
def seeded_weights(seed: int) -> Generator[None]:
    """Make the weights that are initialised in the body depend on the seed alone.

    torch's global generator keeps its state.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(torch_generator(seed, "weights").initial_seed())
        yield
