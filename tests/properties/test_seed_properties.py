"""Row i of a stream is a pure function of (seed, stream, i), however ranges are cut."""

from itertools import pairwise

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from ganguard.base.seeds import normal, uniform

SEEDS, WIDTHS, STARTS = st.integers(0, 2**62 - 1), st.integers(1, 13), st.integers(0, 10**12)
CUTS = st.lists(st.integers(0, 40), min_size=0, max_size=5)


def _slow(seed: int, indices: range, width: int) -> np.ndarray:
    """The obvious twin: one row at a time."""
    return np.concatenate([uniform(seed, "latents", range(index, index + 1), width) for index in indices])


@given(seed=SEEDS, start=STARTS, width=WIDTHS)
def test_many_rows_are_those_that_come_one_by_one(seed: int, start: int, width: int) -> None:
    indices = range(start, start + 9)
    assert np.array_equal(uniform(seed, "latents", indices, width), _slow(seed, indices, width))


@given(seed=SEEDS, start=STARTS, width=WIDTHS, cuts=CUTS)
def test_cuts_do_not_show(seed: int, start: int, width: int, cuts: list[int]) -> None:
    edges = sorted({0, 40, *cuts})
    parts = [normal(seed, "latents", range(start + a, start + b), width) for a, b in pairwise(edges)]
    assert torch.equal(torch.cat(parts), normal(seed, "latents", range(start, start + 40), width))


@given(seed=SEEDS, other=SEEDS, width=WIDTHS)
def test_two_seeds_share_no_number(seed: int, other: int, width: int) -> None:
    shared = np.intersect1d(
        uniform(seed, "latents", range(20), width), uniform(other, "latents", range(20), width)
    )
    assert len(shared) == (20 * width if seed == other else 0)


@given(seed=SEEDS, width=WIDTHS)
def test_codes_are_finite(seed: int, width: int) -> None:
    rows = normal(seed, "latents", range(50), width)
    assert rows.shape == (50, width)
    assert rows.dtype == torch.float32
    assert torch.isfinite(rows).all()
