"""FID, KID, inception score, precision and recall against torch-fidelity 0.4, from the same features."""

from importlib.metadata import version

import numpy as np
import pytest
import torch
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
from torch_fidelity.metric_isc import isc_features_to_metric
from torch_fidelity.metric_kid import kid_features_to_metric
from torch_fidelity.metric_prc import prc_features_to_metric

from ganguard.metrics import (
    GaussianStatistics,
    frechet_distance,
    inception_score,
    kernel_distance,
    precision_recall_density_coverage,
)

TORCH_FIDELITY = "0.4.0"
FID = 1e-6  # relative: theirs takes eigenvalues of a product that is not symmetric, which loses a few digits
KID = 1e-9  # relative: the same sums in another order
SCORE = 1e-9  # relative
FLOAT32_MEAN = 1e-6  # absolute: they average zeros and ones in float32


def _features(n: int, m: int, width: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(width)
    mix = torch.randn(width, width, generator=generator, dtype=torch.float64) / width**0.5 + torch.eye(width)
    a, b = (torch.randn(rows, width, generator=generator, dtype=torch.float64) for rows in (n, m))
    return a @ mix, 1.2 * b @ mix.T + 0.1


def test_it_is_the_version_that_was_compared_with() -> None:
    assert version("torch-fidelity") == TORCH_FIDELITY


@pytest.mark.parametrize(("n", "m", "width"), [(300, 200, 16), (900, 700, 128)])
def test_fid(n: int, m: int, width: int) -> None:
    a, b = _features(n, m, width)
    theirs = fid_statistics_to_metric(
        fid_features_to_statistics(a), fid_features_to_statistics(b), verbose=False
    )
    wanted = pytest.approx(theirs["frechet_inception_distance"], rel=FID)
    assert frechet_distance(a, b) == wanted
    assert frechet_distance(GaussianStatistics.of(a), GaussianStatistics.of(b)) == wanted


def test_kid_of_subsets_that_are_everything() -> None:
    """The two draw subsets with different generators; if a set is as large as a subset, all subsets are
    equal.
    """
    a, b = _features(150, 150, 24)
    theirs = kid_features_to_metric(a, b, kid_subsets=3, kid_subset_size=150, verbose=False)
    ours = kernel_distance(a, b, subsets=3, subset_size=150)
    assert ours.mean == pytest.approx(theirs["kernel_inception_distance_mean"], rel=KID)


def test_kid_of_random_subsets_agrees_within_its_sampling_error() -> None:
    a, b = _features(1000, 800, 24)
    theirs = kid_features_to_metric(a, b, kid_subsets=100, kid_subset_size=200, verbose=False)
    ours = kernel_distance(a, b, subsets=100, subset_size=200)
    error = (ours.std + theirs["kernel_inception_distance_std"]) / 100**0.5
    assert abs(ours.mean - theirs["kernel_inception_distance_mean"]) < 3 * error
    assert ours.std == pytest.approx(theirs["kernel_inception_distance_std"], rel=0.5)


def test_inception_score() -> None:
    logits = 2 * torch.randn(500, 10, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    theirs = isc_features_to_metric(logits, splits=7, shuffle=False)
    ours = inception_score(logits.softmax(1), splits=7)
    assert ours.mean == pytest.approx(theirs["inception_score_mean"], rel=SCORE)
    assert ours.std == pytest.approx(theirs["inception_score_std"], rel=SCORE)


@pytest.mark.parametrize("k", [3, 5])
def test_precision_and_recall(k: int) -> None:
    """Theirs takes the generated images first, ours the real ones; both count ties as inside."""
    real, fake = _features(200, 150, 6)
    theirs = prc_features_to_metric(
        fake, real, prc_neighborhood=k, prc_batch_size=64, save_cpu_ram=False, verbose=False
    )
    ours = precision_recall_density_coverage(real, fake, k=k)
    assert (ours.precision, ours.recall) == pytest.approx(
        (theirs["precision"], theirs["recall"]), abs=FLOAT32_MEAN
    )
    assert 0 < ours.precision < 1 or 0 < ours.recall < 1


def test_their_first_set_is_the_generated_one() -> None:
    """A collapsed generator has high precision and low recall; with the sets swapped it would be the other
    way round.
    """
    generator = np.random.default_rng(0)
    real = torch.from_numpy(generator.normal(size=(200, 2)))
    fake = torch.from_numpy(generator.normal(size=(200, 2)) * 0.05)
    ours = precision_recall_density_coverage(real, fake, k=3)
    settings = {"prc_neighborhood": 3, "prc_batch_size": 64, "save_cpu_ram": False, "verbose": False}
    theirs, swapped = (
        prc_features_to_metric(fake, real, **settings),
        prc_features_to_metric(real, fake, **settings),
    )
    assert (theirs["precision"], theirs["recall"]) == pytest.approx(
        (ours.precision, ours.recall), abs=FLOAT32_MEAN
    )
    assert (swapped["precision"], swapped["recall"]) == pytest.approx(
        (ours.recall, ours.precision), abs=FLOAT32_MEAN
    )
    assert ours.precision > 0.9 > 0.5 > ours.recall
