"""The Fréchet distance without a matrix root, against the textbook formula with scipy's."""

import numpy as np
import pytest
from scipy.linalg import sqrtm

from ganguard.metrics import GaussianStatistics, frechet_distance

# relative; scipy's root and our singular values agree to about 1e-12 where covariances are well conditioned
FULL_RANK = 1e-6
# relative, with the root of the symmetric form: sqrtm of a singular S_a S_b itself loses half its digits
RANK_DEFICIENT = 1e-6


def _with_sqrtm(a: np.ndarray, b: np.ndarray) -> float:
    """|mu_a - mu_b|² + tr(S_a + S_b - 2 (S_a S_b)^½), root by scipy in float64."""
    s_a, s_b = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    root = sqrtm(s_a @ s_b)
    return float(((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(s_a + s_b - 2 * root.real))


def _with_symmetric_root(a: np.ndarray, b: np.ndarray) -> float:
    """Return the same by tr((S_a^½ S_b S_a^½)^½): its matrices are symmetric, so eigenvalues near 0 keep
    their digits.
    """
    s_a, s_b = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    values, vectors = np.linalg.eigh(s_a)
    half = (vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T
    cross = np.sqrt(np.clip(np.linalg.eigvalsh(half @ s_b @ half), 0, None)).sum()
    return float(((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(s_a + s_b) - 2 * cross)


def _sets(n: int, m: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Correlated features with unlike scales, as a network gives them."""
    generator = np.random.default_rng(width)
    mix = generator.normal(size=(width, width)) / np.sqrt(width) + np.eye(width)
    return generator.normal(size=(n, width)) @ mix, generator.normal(size=(m, width)) @ mix.T * 1.5 + 0.3


WIDTHS = [
    8,
    33,
    64,
    256,
    pytest.param(768, marks=pytest.mark.slow),
    pytest.param(2048, marks=pytest.mark.slow),
]


@pytest.mark.parametrize("width", WIDTHS)
def test_full_rank(width: int) -> None:
    a, b = _sets(5 * width // 2, 2 * width, width)
    exact = _with_sqrtm(a, b)
    assert frechet_distance(a, b) == pytest.approx(exact, rel=FULL_RANK)
    assert frechet_distance(GaussianStatistics.of(a), GaussianStatistics.of(b)) == pytest.approx(
        exact, rel=FULL_RANK
    )


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("which", ["a", "b", "both"])
def test_rank_deficient(width: int, which: str) -> None:
    """Fewer images than dimensions, the ordinary case of a small purchase."""
    few, many = width // 2, 5 * width
    a, b = _sets(many if which == "b" else few, many if which == "a" else few, width)
    exact = _with_symmetric_root(a, b)
    assert frechet_distance(a, b) == pytest.approx(exact, rel=RANK_DEFICIENT)
    assert frechet_distance(GaussianStatistics.of(a), GaussianStatistics.of(b)) == pytest.approx(
        exact, rel=RANK_DEFICIENT
    )


def test_a_constant_dimension_is_no_obstacle() -> None:
    a, b = _sets(100, 100, 8)
    a[:, 3] = b[:, 3] = 2.0
    assert frechet_distance(a, b) == pytest.approx(_with_symmetric_root(a, b), rel=RANK_DEFICIENT)


def test_the_oracles_agree_where_both_are_sound() -> None:
    a, b = _sets(200, 200, 16)
    assert _with_sqrtm(a, b) == pytest.approx(_with_symmetric_root(a, b), rel=1e-9)
