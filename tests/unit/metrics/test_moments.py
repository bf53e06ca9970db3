"""Mean and covariance that others computed: what they must be, and the distances that they give."""

import numpy as np
import pytest
import torch

from ganguard.base.errors import MetricError
from ganguard.metrics import GaussianStatistics, frechet_distance


def _rows(count: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, width)) * (seed + 1) + seed


def _moments(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return rows.mean(0), np.cov(rows, rowvar=False)


@pytest.mark.parametrize(("count", "width"), [(500, 20), (12, 20), (600, 300)])
@pytest.mark.parametrize("form", [np.float64, np.float32])
def test_moments_give_the_distance_of_the_rows(count: int, width: int, form: type) -> None:
    a, b = _rows(count, width), _rows(count + 7, width, 1)
    of = [GaussianStatistics.of_moments(*(part.astype(form) for part in _moments(rows))) for rows in (a, b)]
    wanted, near = frechet_distance(a, b), 1e-9 if form is np.float64 else 1e-3
    assert frechet_distance(*of) == pytest.approx(wanted, rel=near)
    assert frechet_distance(of[1], of[0]) == pytest.approx(frechet_distance(*of), rel=1e-9)
    assert frechet_distance(of[0], b) == pytest.approx(wanted, rel=near)


def test_a_count_makes_them_a_part_of_more_rows() -> None:
    rows = _rows(50, 4)
    parts = [GaussianStatistics.of_moments(*_moments(part), len(part)) for part in (rows[:20], rows[20:])]
    whole = GaussianStatistics.of(rows)
    assert torch.allclose((parts[0] + parts[1]).covariance(), whole.covariance(), rtol=1e-12)
    unknown = GaussianStatistics.of_moments(*_moments(rows))
    for wrong in (lambda: unknown + whole, lambda: whole + unknown):
        with pytest.raises(MetricError, match="unknown number of rows cannot be added"):
            wrong()
    with pytest.raises(MetricError, match="count must be at least 2; got 1"):
        GaussianStatistics.of_moments(*_moments(rows), 1)


def test_numpys_arrays_are_statistics() -> None:
    rows = _rows(30, 3)
    of = GaussianStatistics.of(rows)
    again = GaussianStatistics(30, of.mean.numpy().astype(np.float32), of.scatter.numpy())
    assert frechet_distance(again, rows) == pytest.approx(0, abs=1e-6)
    of_arrays = GaussianStatistics(30, of.mean.numpy(), of.scatter.numpy())
    of_arrays.scatter[0, 0] = 0
    assert of.scatter[0, 0] != 0


INDEFINITE = np.array([[1.0, 2.0], [2.0, 1.0]])
LOPSIDED = np.array([[1.0, 0.5], [0.1, 1.0]])


@pytest.mark.parametrize(
    ("covariance", "said"),
    [
        (INDEFINITE, "no negative eigenvalue, as every covariance; its least is -1"),
        (np.diag([1.0, -1e-4]), "no negative eigenvalue"),
        (-np.eye(2), "no negative eigenvalue"),
        (LOPSIDED, "must be symmetric; two entries .* differ by 0.4"),
        (np.diag([1.0, np.nan]), "hold NaN or infinity"),
        (np.diag([1.0, np.inf]), "hold NaN or infinity"),
        (np.eye(3), r"of shapes \(D,\) and \(D, D\)"),
        (np.eye(2, dtype=complex), "must be an array of real numbers"),
        (np.ma.masked_array(np.eye(2)), "must be an array of real numbers"),
        ([["a", "b"], ["c", "d"]], "must be an array of real numbers"),
    ],
)
def test_what_is_no_covariance_is_refused(covariance: np.ndarray, said: str) -> None:
    """In either place, with a count or without."""
    for count in (None, 100):
        with pytest.raises(MetricError, match=said) as raised:
            GaussianStatistics.of_moments(np.zeros(2), covariance, count)
        assert "\n" not in str(raised.value)


@pytest.mark.parametrize("scatter", [INDEFINITE, LOPSIDED])
def test_the_constructor_refuses_them_too(scatter: np.ndarray) -> None:
    with pytest.raises(MetricError, match=r"symmetric|negative eigenvalue"):
        GaussianStatistics(9, torch.zeros(2).double(), torch.from_numpy(scatter))


def test_rounding_is_no_fault() -> None:
    """A covariance of few rows has eigenvalues a little below 0, and float32 rounds more."""
    mean, covariance = _moments(_rows(9, 40))
    for tilt in (0, 1e-9):
        rounded = covariance.astype(np.float32).astype(float)
        rounded[0, 1] += tilt
        of = GaussianStatistics.of_moments(mean, rounded)
        assert torch.equal(of.scatter, of.scatter.T)
        assert frechet_distance(of, of) == pytest.approx(0, abs=1e-4)
