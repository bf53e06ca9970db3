"""FD from running statistics, and what FD tends to with more images."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ganguard.base.errors import MetricError
from ganguard.metrics import GaussianStatistics, frechet_distance, frechet_distance_infinity


def _rows(count: int, width: int, seed: int = 0, scale: float = 1.0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, width)) * scale + seed


def _of_chunks(rows: np.ndarray, cuts: list[int]) -> GaussianStatistics:
    first, *others = (GaussianStatistics.of(part) for part in np.split(rows, cuts) if len(part))
    return sum(others, start=first)


@given(st.lists(st.integers(1, 59), max_size=6))
def test_chunks_do_not_matter(cuts: list[int]) -> None:
    rows = _rows(60, 4) * 100 + 1000
    whole, parts = GaussianStatistics.of(rows), _of_chunks(rows, sorted(cuts))
    assert parts.count == 60
    assert torch.allclose(parts.mean, whole.mean, rtol=1e-13)
    assert torch.allclose(parts.scatter, whole.scatter, rtol=1e-11, atol=1e-6)


def test_they_are_mean_and_unbiased_covariance() -> None:
    rows = _rows(30, 5)
    found = GaussianStatistics.of(rows)
    assert np.allclose(found.mean, rows.mean(0), rtol=1e-13)
    assert np.allclose(found.covariance(), np.cov(rows, rowvar=False), rtol=1e-12)


@pytest.mark.parametrize(
    ("n", "m", "width"), [(80, 90, 6), (20, 90, 40), (90, 20, 40), (10, 12, 40), (2, 50, 3), (700, 800, 260)]
)
def test_statistics_give_the_distance_of_the_features(n: int, m: int, width: int) -> None:
    a, b = _rows(n, width), _rows(m, width, seed=1, scale=1.5)
    wanted = frechet_distance(a, b)
    of_a, of_b = GaussianStatistics.of(a), GaussianStatistics.of(b)
    assert frechet_distance(of_a, of_b) == pytest.approx(wanted, rel=1e-9)
    assert frechet_distance(of_b, of_a) == pytest.approx(wanted, rel=1e-9)
    assert frechet_distance(of_a, b) == pytest.approx(wanted, rel=1e-9)


def test_constant_features_differ_by_their_means() -> None:
    a, b = np.full((9, 3), 2.0), np.full((9, 3), 5.0)
    assert frechet_distance(GaussianStatistics.of(a), GaussianStatistics.of(b)) == pytest.approx(
        27, rel=1e-12
    )
    assert frechet_distance(a, b) == pytest.approx(27, rel=1e-12)
    mixed = np.concatenate([_rows(9, 2), np.full((9, 1), 4.0)], 1)
    assert frechet_distance(GaussianStatistics.of(mixed), GaussianStatistics.of(mixed)) == pytest.approx(
        0, abs=1e-9
    )


def test_equal_statistics_are_0_apart() -> None:
    for count in (5, 500):
        found = GaussianStatistics.of(_rows(count, 30))
        assert frechet_distance(found, found) == pytest.approx(0, abs=1e-7)


def test_what_cannot_be_measured_is_refused() -> None:
    good, one = GaussianStatistics.of(_rows(9, 3)), GaussianStatistics.of(_rows(1, 3))
    with pytest.raises(MetricError, match="at least 2 rows; got 1"):
        frechet_distance(good, one)
    for wrong in (
        lambda: frechet_distance(good, GaussianStatistics.of(_rows(9, 2))),
        lambda: good + GaussianStatistics.of([[1.0]]),
    ):  # type: ignore[arg-type]
        with pytest.raises(MetricError, match="the same width; got 3 and"):
            wrong()


def test_infinity_takes_the_bias_of_small_samples_away() -> None:
    """Two samples of one distribution: FD is about D²/N-ish, its limit 0."""
    biased, limits = [], []
    for seed in range(8):
        a, b = (np.random.default_rng([seed, side]).normal(size=(600, 10)) for side in (0, 1))
        biased.append(frechet_distance(a, b))
        limits.append(frechet_distance_infinity(a, b))
    assert np.mean(biased) > 0.05
    assert abs(np.mean(limits)) < 0.2 * np.mean(biased)
    assert min(limits) < 0


def test_infinity_of_sets_far_apart_is_their_distance() -> None:
    a, b = _rows(2000, 3), _rows(1000, 3, seed=1) + 2
    exact = 3 * 9.0  # one seed's mean is 0, the other's 1 + 2
    assert frechet_distance_infinity(a, b) == pytest.approx(exact, rel=0.05)
    assert frechet_distance_infinity(a, b, seed=1) != frechet_distance_infinity(a, b, seed=2)
    assert frechet_distance_infinity(a, b, seed=1) == frechet_distance_infinity(a, b, seed=1)


def test_infinity_needs_two_points() -> None:
    with pytest.raises(MetricError, match="points must be at least 2"):
        frechet_distance_infinity(_rows(99, 2), _rows(100, 2), points=1)


@pytest.mark.parametrize(
    ("rows", "dimensions", "fewest"),
    [
        ((59, 100), 2, 60),
        ((100, 59), 2, 60),
        ((79, 80), 4, 80),
        ((100, 100), 64, 1280),
        ((1250, 1250), 512, 10240),
    ],
)
def test_infinity_refuses_sets_of_too_few_rows_for_their_width(
    rows: tuple[int, int], dimensions: int, fewest: int
) -> None:
    """The last two gave -3.8 and 82, and the truth is 0."""
    with pytest.raises(MetricError) as refused:
        frechet_distance_infinity(*(_rows(count, dimensions, seed) for seed, count in enumerate(rows)))
    assert str(refused.value) == (
        f"frechet_distance_infinity needs at least {fewest:,} images in each set for features of "
        f"{dimensions:,} dimensions; got {min(rows):,}. Measure more images."
    )


@pytest.mark.parametrize(
    ("mean", "scatter"),
    [
        (torch.zeros(3).double(), torch.eye(2).double()),
        (torch.zeros(1, 3).double(), torch.eye(3).double()),
        (torch.zeros(3).double(), torch.eye(3)),
        (torch.zeros(0).double(), torch.zeros(0, 0).double()),
    ],
)
def test_what_are_no_statistics_is_refused(mean: torch.Tensor, scatter: torch.Tensor) -> None:
    with pytest.raises(MetricError, match=r"must be float64 of shapes \(D,\) and \(D, D\); got torch\.float"):
        GaussianStatistics(10, mean, scatter)


def test_statistics_that_hold_nan_are_refused() -> None:
    sound = GaussianStatistics.of(torch.randn(9, 3, generator=torch.Generator().manual_seed(0)))
    for damaged in (
        replace(sound, mean=sound.mean * math.nan),
        replace(sound, scatter=sound.scatter * math.inf),
    ):
        for pair in ((sound, damaged), (damaged, sound)):
            with pytest.raises(MetricError, match="hold NaN or infinity"):
                frechet_distance(*pair)
