import math
from collections.abc import Callable
from functools import cache
from itertools import permutations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ganguard.base.compute import use_threads
from ganguard.base.errors import MetricError
from ganguard.metrics import MeanStd, kernel, kernel_distance, kernel_distance_full
from ganguard.metrics.kernel_error import KernelVariance, kernel_error


def _slow(x: np.ndarray, y: np.ndarray) -> float:
    """The definition, pair by pair."""

    def k(p: np.ndarray, q: np.ndarray) -> float:
        return float((p @ q / len(p) + 1) ** 3)

    n, m = len(x), len(y)
    within_x = np.mean([k(x[i], x[j]) for i in range(n) for j in range(n) if i != j])
    within_y = np.mean([k(y[i], y[j]) for i in range(m) for j in range(m) if i != j])
    return float(within_x + within_y - 2 * np.mean([k(p, q) for p in x for q in y]))


def _sets(n: int = 30, m: int = 20, width: int = 5, shift: float = 0.3) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(n + m + width)
    return generator.normal(size=(n, width)), generator.normal(size=(m, width)) + shift


@pytest.mark.parametrize("rows", [1, 7, 256])
def test_the_full_form_is_the_definition_in_blocks_of_any_size(
    monkeypatch: pytest.MonkeyPatch, rows: int
) -> None:
    monkeypatch.setattr(kernel, "BLOCK_ROWS", rows)
    x, y = _sets()
    assert kernel_distance_full(x, y) == pytest.approx(_slow(x, y), rel=1e-11)


@pytest.mark.parametrize("gram_rows", [0, 10_000])
def test_subsets_of_everything_are_the_full_form(monkeypatch: pytest.MonkeyPatch, gram_rows: int) -> None:
    monkeypatch.setattr(kernel, "GRAM_ROWS", gram_rows)
    x, y = _sets(n=25, m=25)
    found = kernel_distance(x, y, subsets=3, subset_size=25)
    assert found.mean == pytest.approx(_slow(x, y), rel=1e-11)
    assert found.std == kernel_error(x, y)


@pytest.mark.parametrize("rows", [100, 101, 250, 300, 301, 1000])
def test_the_deviation_of_subsets_means_one_thing_for_sets_of_any_size(rows: int) -> None:
    """It is that of fresh sets of 100 rows; subsets of 100 of 101 rows hardly differ from each other."""
    found = [kernel_distance(*_normal(rows, [seed, 2]), subset_size=100).std for seed in range(12)]
    assert np.sqrt(np.mean(np.square(found))) == pytest.approx(_really(), rel=0.25)


@cache
def _really() -> float:
    return float(np.std([kernel_distance_full(*_normal(100, [seed, 1])) for seed in range(300)]))


def _normal(rows: int, seed: list[int], width: int = 16) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng([*seed, rows])
    x, y = generator.normal(size=(2, rows, width)).astype(np.float32)
    return x + np.float32(0.3), y


@pytest.mark.parametrize("sizes", [(5, 4), (7, 9)])
def test_the_error_is_that_of_sums_over_different_rows(sizes: tuple[int, int]) -> None:
    """Of a slow twin, which writes out every mean of products of kernels."""
    x, y = (np.random.default_rng(size).normal(size=(size, 3)) for size in sizes)
    k = {"aa": _slow_kernel(x, x), "ab": _slow_kernel(x, y)}
    found = KernelVariance.of(x, y)
    assert found is not None
    n, m = sizes
    within = [k["aa"][i, j] ** 2 for i, j in permutations(range(n), 2)]
    chains = [k["aa"][i, j] * k["aa"][i, h] for i, j, h in permutations(range(n), 3)]
    apart = [k["aa"][i, j] * k["aa"][g, h] for i, j, g, h in permutations(range(n), 4)]
    expected = np.mean(within) - 2 * np.mean(chains) + np.mean(apart)
    assert found.within_a == pytest.approx(expected, rel=1e-9)
    between = [k["ab"][i, j] ** 2 for i in range(n) for j in range(m)]
    rows = [k["ab"][i, j] * k["ab"][i, h] for i in range(n) for j, h in permutations(range(m), 2)]
    columns = [k["ab"][i, j] * k["ab"][h, j] for j in range(m) for i, h in permutations(range(n), 2)]
    none = [
        k["ab"][i, j] * k["ab"][g, h]
        for i, g in permutations(range(n), 2)
        for j, h in permutations(range(m), 2)
    ]
    expected = np.mean(between) - np.mean(rows) - np.mean(columns) + np.mean(none)
    assert found.between == pytest.approx(expected, rel=1e-9)


def _slow_kernel(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return (x @ y.T / x.shape[1] + 1) ** 3


def test_there_is_no_error_of_three_rows() -> None:
    x, y = _sets(n=3, m=9)
    assert kernel_error(x, y) is None and kernel_error(y, x) is None


def test_the_error_of_equal_and_of_constant_sets_is_a_number() -> None:
    x, _ = _sets(n=30, m=9)
    same = kernel_error(x, x)
    assert same is not None and same > 0 and same == pytest.approx(kernel_error(x, x.copy()))
    assert kernel_error(np.ones((9, 3)), np.ones((8, 3))) == 0


def test_all_ways_of_taking_subsets_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = _sets(n=60, m=50)
    gram = kernel_distance(x, y, subsets=8, subset_size=20, seed=3)
    monkeypatch.setattr(kernel, "GRAM_ROWS", 0)
    for rows in (20, 19):  # all with all at once, and in blocks
        monkeypatch.setattr(kernel, "SUBSET_ROWS", rows)
        direct = kernel_distance(x, y, subsets=8, subset_size=20, seed=3)
        assert (direct.mean, direct.std) == pytest.approx((gram.mean, gram.std), rel=1e-10)
    assert gram.std > 0
    assert kernel_distance(x, y, subsets=8, subset_size=20, seed=4) != gram


def test_subsets_one_by_one_are_the_same_for_any_number_of_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel, "GRAM_ROWS", 0)
    x, y = (rows.astype(np.float32) for rows in _sets(n=300, m=200, width=40))
    found = [
        _with_threads(threads, lambda: kernel_distance(x, y, subsets=5, subset_size=150))
        for threads in (1, 2, 3)
    ]
    assert found[0] == found[1] == found[2]
    in_double = kernel_distance(x.astype(np.float64), y.astype(np.float64), subsets=5, subset_size=150)
    assert found[0].mean == pytest.approx(in_double.mean, rel=1e-4)


def _with_threads(threads: int, measured: Callable[[], MeanStd]) -> MeanStd:
    with use_threads(threads):
        return measured()


def test_it_is_unbiased() -> None:
    """For two samples of one distribution the mean is 0, however few the rows; the biased form gives 0.2
    here.
    """
    generator = np.random.default_rng(0)
    values = [
        kernel_distance_full(generator.normal(size=(20, 3)), generator.normal(size=(20, 3)))
        for _ in range(400)
    ]
    assert abs(np.mean(values)) < 3 * np.std(values) / np.sqrt(len(values))
    assert min(values) < 0


def test_a_set_and_itself() -> None:
    """Pairs of a row and itself count between the sets but not within, so the diagonal's excess is
    subtracted.
    """
    x, _ = _sets()
    gram = (x @ x.T / 5 + 1) ** 3
    off = (gram.sum() - np.trace(gram)) / (30 * 29)
    assert kernel_distance_full(x, x) == pytest.approx(2 * off - 2 * gram.mean(), rel=1e-10)


@given(st.integers(0, 2**32 - 1))
def test_it_is_symmetric_and_blind_to_the_order_of_rows(seed: int) -> None:
    generator = np.random.default_rng(seed)
    x, y = generator.normal(size=(12, 3)), generator.normal(size=(9, 3)) * 2
    wanted = kernel_distance_full(x, y)
    assert kernel_distance_full(y, x) == pytest.approx(wanted, rel=1e-9, abs=1e-12)
    assert kernel_distance_full(generator.permutation(x), generator.permutation(y)) == pytest.approx(
        wanted, rel=1e-9, abs=1e-12
    )


def test_float32_is_close_to_float64() -> None:
    x, y = _sets(n=300, m=300, width=64, shift=0.1)
    found = kernel_distance_full(torch.from_numpy(x).float(), torch.from_numpy(y).float())
    assert found == pytest.approx(kernel_distance_full(x, y), rel=1e-4)


GOOD, OTHER = _sets()


@pytest.mark.parametrize(
    ("b", "options", "said"),
    [
        (OTHER, {"subset_size": 25}, "b must hold at least 25 rows; got 20"),
        (OTHER, {"subset_size": 1}, "at least 2 rows; got 100 of 1"),
        (OTHER, {"subsets": 0}, "at least 1 subset"),
        (OTHER[:, :2], {"subset_size": 5}, "the same width; got 5 and 2"),
        (np.full_like(OTHER, np.nan), {"subset_size": 5}, "b holds NaN"),
    ],
)
def test_what_cannot_be_measured_is_refused(b: np.ndarray, options: dict[str, int], said: str) -> None:
    with pytest.raises(MetricError, match=said):
        kernel_distance(GOOD, b, **options)


def test_features_too_large_for_float32_are_summed_in_float64() -> None:
    x = torch.tensor([[1e9, 0.0], [0.0, 1e9], [1e9, 1e9]])
    assert kernel_distance_full(x, x.flip(0)) == pytest.approx(
        kernel_distance_full(x.double(), x.double().flip(0)), rel=1e-5
    )
    assert math.isfinite(kernel_distance_full(x, 2 * x))


def test_features_whose_kernel_no_float_holds_are_refused() -> None:
    x = torch.full((3, 2), 1e60, dtype=torch.float64)
    with pytest.raises(MetricError, match="reach 1e\\+60, whose kernel exceeds the range of a float"):
        kernel_distance_full(x, x)


def test_the_spread_of_sets_clearly_apart_is_not_cut_by_the_noise_of_equal_ones() -> None:
    """Two mixtures of three clusters in other shares: intervals held the expectation in 83 % of 200."""
    centres = np.zeros((3, 8))
    centres[0, :4], centres[1, 4:] = 2, -2
    values, spreads = [], []
    for seed in range(200):
        generator = np.random.default_rng(seed)
        x, y = (
            torch.from_numpy(centres[generator.choice(3, 100, p=p)] + generator.normal(size=(100, 8)) * 0.6)
            for p in ((0.8, 0.2, 0.0), (0.5, 0.3, 0.2))
        )
        values.append(kernel_distance_full(x, y))
        spreads.append(kernel_error(x, y))
    covered = np.abs(np.array(values) - np.mean(values)) <= 1.96 * np.array(spreads)
    assert 0.86 <= covered.mean() <= 0.98, covered.mean()


def test_one_subset_of_all_rows_is_computed_once() -> None:
    x, y = torch.randn(2, 50, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    found = kernel_distance(x, y, subsets=3, subset_size=50)
    assert found.mean == pytest.approx(kernel_distance_full(x, y), rel=1e-12)
    assert found.std == pytest.approx(kernel_error(x, y), rel=1e-12)
