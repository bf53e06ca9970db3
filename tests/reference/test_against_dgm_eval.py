"""Numbers of features against the figures that dgm-eval gives (Stein et al. 2023).

Its package asks for torchvision, and its repository has no figures of features that could be made again. So
the figures below were computed once, with the functions compute_FD_with_reps, compute_mmd (1 subset),
compute_vendi_score, compute_prdc (nearest_k=5) and compute_authpct of
https://github.com/layer6ai-labs/dgm-eval at commit 74c79f7527fbf38fdccfbac51f25d759bc02ab07, of the two sets
that `_features` makes (NumPy 2.4, SciPy 1.17, scikit-learn 1.9): a is real, b is generated.
"""

import numpy as np
import pytest

from ganguard.metrics import (
    frechet_distance,
    kid,
    memorisation,
    precision_recall_density_coverage,
    vendi_score,
)

FD, MMD, VENDI = 0.762408621554691, 0.547491688360644, 3.958530342048107
PRECISION, RECALL, DENSITY, COVERAGE = 0.885, 0.97, 0.853, 0.9375
AUTHENTIC = 69.0  # percent
EQUAL = 1e-6  # relative


def _features(seed: int) -> np.ndarray:
    rows = np.random.Generator(np.random.PCG64(seed)).standard_normal((400, 24))
    return np.maximum(rows * np.linspace(0.2, 2, 24) + 0.1 * seed, -0.5) + 1


A, B = _features(1), _features(2)


def test_distances_and_the_vendi_score() -> None:
    assert frechet_distance(A, B) == pytest.approx(FD, rel=EQUAL)
    assert kid(A, B).mean == pytest.approx(MMD, rel=EQUAL)
    assert vendi_score(B) == pytest.approx(VENDI, rel=EQUAL)


def test_shares() -> None:
    found = precision_recall_density_coverage(A, B, k=5)
    wanted = (PRECISION, RECALL, DENSITY, COVERAGE)
    assert (found.precision, found.recall, found.density, found.coverage) == pytest.approx(wanted, rel=EQUAL)
    assert memorisation(A, B).authentic == pytest.approx(AUTHENTIC / 100, rel=EQUAL)
