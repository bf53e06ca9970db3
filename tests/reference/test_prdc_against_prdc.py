"""Against the package of the authors of density and coverage (Naeem et al.).

It counts points inside the balls (<), ganguard also those on them (<=).
"""

from dataclasses import asdict
from importlib.metadata import version

import numpy as np
import pytest
from prdc import compute_prdc

from ganguard.metrics import precision_recall_density_coverage

PRDC = "0.2"
SAME = 1e-12  # absolute, of shares: the same counts, divided in another order


def _both(real: np.ndarray, fake: np.ndarray, k: int) -> tuple[dict[str, float], dict[str, float]]:
    theirs = {name: float(value) for name, value in compute_prdc(real, fake, nearest_k=k).items()}
    return asdict(precision_recall_density_coverage(real, fake, k=k)), theirs


def test_it_is_the_version_that_was_compared_with() -> None:
    assert version("prdc") == PRDC


@pytest.mark.parametrize("k", [1, 3, 5])
@pytest.mark.parametrize(("n", "m"), [(80, 80), (60, 110), (110, 60)])
def test_without_ties_they_agree(n: int, m: int, k: int) -> None:
    generator = np.random.default_rng(n + k)
    real, fake = generator.normal(size=(n, 6)), generator.normal(size=(m, 6)) * 1.1 + 0.4
    ours, theirs = _both(real, fake, k)
    assert ours == pytest.approx(theirs, abs=SAME)
    assert 0 < theirs["precision"] < 1


def test_on_identical_sets_ties_count_in_density() -> None:
    """A point lies on the sphere of each point that it is the k-th neighbour of: k of k strictly, k + 1 of k
    with ties.
    """
    rows = np.random.default_rng(0).normal(size=(60, 4))
    ours, theirs = _both(rows, rows, 5)
    assert theirs["density"] == pytest.approx(1)
    assert ours["density"] == pytest.approx(6 / 5)


def test_a_copy_of_repeated_images_scores_full_with_ties_and_nearly_nothing_without() -> None:
    """Every image occurs eight times: all balls of k = 5 have radius 0, and nothing is strictly inside."""
    rows = np.repeat(np.random.default_rng(0).integers(-9, 9, size=(10, 4)).astype(float), 8, axis=0)
    ours, theirs = _both(rows, rows, 5)
    for name in ("precision", "recall", "coverage"):
        assert ours[name] == 1
        assert theirs[name] < 0.5
