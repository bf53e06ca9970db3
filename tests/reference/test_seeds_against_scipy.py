"""Streams against the distributions that they claim, and against numpy's Philox read from the beginning."""

import numpy as np
import pytest
from numpy.random import Philox
from scipy import stats

from ganguard.base.seeds import normal, stream_key, uniform

NOT_TOO_UNLIKELY = 1e-3  # streams are fixed, so the tests below either always pass or never


@pytest.mark.parametrize("seed", [0, 1, 2**61])
def test_uniform_numbers_are_uniform(seed: int) -> None:
    rows = uniform(seed, "latents", range(2000), 5)
    assert stats.kstest(rows.ravel(), "uniform").pvalue > NOT_TOO_UNLIKELY


@pytest.mark.parametrize("width", [1, 3, 8])
def test_normal_numbers_are_normal(width: int) -> None:
    rows = normal(0, "latents", range(3000), width).numpy().astype(np.float64)
    assert stats.kstest(rows.ravel(), "norm").pvalue > NOT_TOO_UNLIKELY


def test_neighbouring_rows_columns_seeds_and_streams_are_unrelated() -> None:
    rows = normal(0, "latents", range(3001), 4).numpy()
    others = [normal(1, "latents", range(3000), 4).numpy(), normal(0, "noise", range(3000), 4).numpy()]
    pairs = [(rows[:-1], rows[1:]), (rows[:, :-1], rows[:, 1:]), *((rows[:-1], other) for other in others)]
    for a, b in pairs:
        assert stats.pearsonr(a.ravel(), b.ravel()).pvalue > NOT_TOO_UNLIKELY


@pytest.mark.parametrize("width", [1, 4, 6])
def test_rows_are_philox_read_in_order(width: int) -> None:
    key = np.frombuffer(stream_key(9, "latents"), dtype="<u8").copy()
    per_row = -(-width // 4) * 4
    words = Philox(key=key, counter=0).random_raw(per_row * 10).reshape(10, per_row)[:, :width]
    assert np.allclose(uniform(9, "latents", range(10), width), words / 2.0**64, atol=2.0**-52)
