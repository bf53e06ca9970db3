import numpy as np
import pytest
import torch

from ganguard.base.errors import MetricError
from ganguard.metrics import frechet_distance


def _whitened(count: int, width: int, seed: int = 0) -> np.ndarray:
    """Rows whose sample mean is exactly 0 and whose sample covariance is exactly I: closed forms then hold
    exactly."""
    rows = np.random.default_rng(seed).normal(size=(count, width))
    rows -= rows.mean(0)
    return rows @ np.linalg.inv(np.linalg.cholesky(np.atleast_2d(np.cov(rows, rowvar=False)))).T


def test_a_shift_costs_its_squared_length() -> None:
    base = _whitened(100, 3)
    assert frechet_distance(base, base + np.array([1.0, -2.0, 0.5])) == pytest.approx(1 + 4 + 0.25, rel=1e-9)


def test_a_scale_costs_the_squared_difference_of_standard_deviations() -> None:
    a, b = _whitened(100, 3), _whitened(80, 3, seed=1) * np.array([2.0, 0.5, 1.0])
    assert frechet_distance(a, b) == pytest.approx(1 + 0.25 + 0, rel=1e-9)


def test_a_rotation_of_a_round_gaussian_costs_nothing() -> None:
    turn = np.linalg.qr(np.random.default_rng(3).normal(size=(4, 4)))[0]
    assert frechet_distance(_whitened(50, 4), _whitened(50, 4, seed=2) @ turn) == pytest.approx(0, abs=1e-10)


def test_one_dimension_is_enough() -> None:
    a, b = _whitened(50, 1), 3 * _whitened(50, 1) + 4
    assert frechet_distance(a, b) == pytest.approx(16 + 4, rel=1e-9)


@pytest.mark.parametrize(("count", "width"), [(5, 40), (40, 5), (41, 40)])
def test_equal_sets_are_0_apart_in_any_order(count: int, width: int) -> None:
    rows = np.random.default_rng(0).normal(size=(count, width)) * 100
    assert 0 <= frechet_distance(rows, rows[::-1].copy()) < 1e-9 * 1e4 * width


@pytest.mark.parametrize(("n", "m", "width"), [(30, 50, 6), (8, 50, 20), (8, 9, 20)])
def test_it_is_symmetric(n: int, m: int, width: int) -> None:
    generator = np.random.default_rng(0)
    a, b = generator.normal(size=(n, width)), 2 * generator.normal(size=(m, width)) + 1
    assert frechet_distance(a, b) == pytest.approx(frechet_distance(b, a), rel=1e-10)


def test_float32_features_are_measured_in_float64() -> None:
    """Far from the origin a float32 covariance has no correct digit left."""
    rows = torch.from_numpy(_whitened(200, 3)).float() + 1000
    assert frechet_distance(rows, rows + 1) == pytest.approx(3, rel=1e-3)


def test_tensors_and_arrays_are_read_alike_and_left_alone() -> None:
    rows = np.random.default_rng(0).normal(size=(20, 3))
    before = rows.copy()
    assert frechet_distance(rows, 2 * rows) == frechet_distance(
        torch.from_numpy(rows), torch.from_numpy(2 * rows)
    )
    assert np.array_equal(rows, before)


def test_a_better_copy_is_closer() -> None:
    generator = np.random.default_rng(0)
    real = generator.normal(size=(500, 8))
    distances = [frechet_distance(real, generator.normal(size=(500, 8)) * scale) for scale in (1, 1.3, 2, 4)]
    assert distances == sorted(distances)


GOOD = np.random.default_rng(0).normal(size=(9, 3))


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (GOOD[:1], "b must hold at least 2 rows; got 1"),
        (GOOD[:0], "b must hold at least 2 rows; got 0"),
        (GOOD[:, :2], "the same width; got 3 and 2"),
        (GOOD[0], r"b must be features \(N, D\); got shape \(3,\)"),
        (GOOD[None], r"got shape \(1, 9, 3\)"),
        (GOOD[:, :0], r"got shape \(9, 0\)"),
        (np.where(GOOD > 1, np.nan, GOOD), "b holds NaN or infinity"),
        (np.where(GOOD > 1, np.inf, GOOD), "b holds NaN or infinity"),
    ],
    ids=["one row", "no row", "width", "vector", "cube", "no width", "NaN", "infinity"],
)
def test_what_cannot_be_measured_is_refused(bad: np.ndarray, said: str) -> None:
    with pytest.raises(MetricError, match=said):
        frechet_distance(GOOD, bad)
