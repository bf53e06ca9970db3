"""Authenticity from blocks of one matrix product, against the definition pair by pair, and against published
AuthPct.
"""

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist

from ganguard.metrics.memorisation import memorisation

ROUNDING = 1e-9  # relative: both are float64, ours after a matrix product


def _slow(training: np.ndarray, generated: np.ndarray) -> tuple[float, list[float]]:
    """Return the share of authentic rows, and distances, in whole numbers of squared units, without any
    rounding.
    """

    def squared(a: np.ndarray, b: np.ndarray) -> int:
        return sum((int(x) - int(y)) ** 2 for x, y in zip(a, b, strict=True))

    authentic, distances = 0, []
    for row in generated:
        to_training = [squared(row, t) for t in training]
        nearest = min(to_training)
        reach = max(
            min(squared(training[i], training[j]) for j in range(len(training)) if j != i)
            for i, distance in enumerate(to_training)
            if distance == nearest
        )
        authentic += nearest > reach
        distances.append(nearest**0.5)
    return authentic / len(generated), distances


@pytest.mark.parametrize(("levels", "width"), [(3, 2), (4, 6), (17, 4), (256, 12)])
@pytest.mark.parametrize("offset", [0, 100_000])
def test_on_whole_numbers_with_ties_it_agrees_exactly(levels: int, width: int, offset: int) -> None:
    generator = np.random.default_rng(levels + width)
    training = generator.integers(0, levels, (30, width)) + offset
    generated = np.concatenate(
        [generator.integers(0, levels, (20, width)) + offset, training[:5], training[:5] + 1]
    )
    authentic, distances = _slow(training, generated)
    found = memorisation(training.astype(float), generated.astype(float))
    assert found.authentic == pytest.approx(authentic, rel=1e-12)
    assert found.distances.tolist() == pytest.approx(distances, rel=1e-12, abs=0)
    assert found.copies == pytest.approx(np.mean([distance == 0 for distance in distances]))


def _auth_pct(training: np.ndarray, generated: np.ndarray) -> float:
    """The published recipe (Stein et al. 2023): whole matrices of distances, strictly further is authentic.
    In float64."""
    among = cdist(training, training)
    np.fill_diagonal(among, np.inf)
    between = cdist(training, generated)
    return 100 * float(np.mean(among.min(0)[between.argmin(0)] < between.min(0)))


@pytest.mark.parametrize(("n", "m", "width"), [(300, 200, 2), (200, 300, 16), (400, 100, 128)])
def test_without_ties_it_is_auth_pct(n: int, m: int, width: int) -> None:
    generator = np.random.default_rng(n + width)
    training, generated = generator.normal(size=(n, width)) * 3 + 1, generator.normal(size=(m, width)) * 3 + 1
    found = memorisation(training, generated)
    assert 0 < found.authentic < 1
    assert 100 * found.authentic == pytest.approx(_auth_pct(training, generated), abs=1e-9)
    assert np.allclose(found.distances.numpy(), cdist(generated, training).min(1), rtol=ROUNDING, atol=0)


def test_copies_are_found_where_float32_distances_lose_them() -> None:
    """The published code computes float32 distances by a matrix product for large sets: a copy is then not at
    0.
    """
    generator = np.random.default_rng(0)
    training = np.repeat(generator.normal(size=(100, 32)), 2, axis=0) + 100
    assert memorisation(training, training).authentic == 0
    rows = torch.from_numpy(training).float()
    among = torch.cdist(rows, rows).fill_diagonal_(torch.inf)
    assert max(torch.cdist(rows, rows).amin(1).max(), among.amin(1).max()) > 1e-3
