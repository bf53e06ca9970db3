"""Numbers of unscaled features against the packages that publish them: torch-fidelity, and vendi-score."""

import math

import pytest
import torch
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
from torch_fidelity.metric_isc import isc_features_to_metric
from torch_fidelity.metric_kid import kid_features_to_metric
from vendi_score import vendi

from ganguard.base.compute import Compute
from ganguard.base.progress import silent
from ganguard.comparison.image_sets import ImageSet
from ganguard.comparison.measure_sets import value_of
from ganguard.comparison.two_sets import TwoSets
from ganguard.metrics import cmmd, kid, vendi_score
from ganguard.metrics.features.network import FeatureNetwork
from ganguard.results.measures import MEASURES

EQUAL = 1e-6  # relative


class Supplied(FeatureNetwork):
    """Gives features that were made beforehand: those of the rows that the images number."""

    def __init__(self, features: torch.Tensor, logits: torch.Tensor) -> None:
        super().__init__()
        self.rows, self.logits = features, logits

    @staticmethod
    def numbered(start: int, count: int) -> torch.Tensor:
        number = torch.arange(start, start + count)
        images = torch.zeros(count, 1, 4, 4, dtype=torch.uint8)
        images[:, 0, 0, 0], images[:, 0, 0, 1] = number // 256, number % 256
        return images

    def _which(self, images: torch.Tensor) -> torch.Tensor:
        high, low = ((images[:, 0, 0, i] + 1) * 127.5 for i in (0, 1))
        return (high.round() * 256 + low.round()).long()

    def features(self, images: torch.Tensor) -> torch.Tensor:
        return self.rows[self._which(images)]

    def probabilities(self, images: torch.Tensor) -> torch.Tensor:
        return self.logits[self._which(images)].double().softmax(1).float()


def _features(count: int, width: int, seed: int) -> torch.Tensor:
    """Features as a network gives them: above 0, of unlike scales, and correlated."""
    generator = torch.Generator().manual_seed(seed)
    mix = torch.randn(width, width, generator=torch.Generator().manual_seed(9)) / width**0.5
    rows = torch.randn(count, width, generator=generator) @ mix + 0.2 * seed
    return torch.relu(rows + 0.5) * torch.linspace(0.1, 3, width)


def _sets(n: int = 1300, m: int = 1100, width: int = 48) -> TwoSets:
    features = torch.cat([_features(n, width, 0), _features(m, width, 1)])
    logits = 2 * torch.randn(n + m, 10, generator=torch.Generator().manual_seed(2))
    a, b = (ImageSet.of(Supplied.numbered(start, count)) for start, count in ((0, n), (n, m)))
    return TwoSets(a, b, Supplied(features, logits), "none", Compute(), silent)


def _measured(sets: TwoSets, name: str) -> float:
    return value_of(sets, MEASURES[name]).value


def test_measure_without_a_scale_is_torch_fidelity() -> None:
    """Theirs in float64, since float32 rounds the kernels themselves."""
    sets = _sets()
    x, y = (rows.double() for rows in sets.unscaled)
    fid = fid_statistics_to_metric(*map(fid_features_to_statistics, (x, y)), verbose=False)
    for name in ("frechet_distance", "frechet_distance_unscaled"):
        assert _measured(sets, name) == pytest.approx(fid["frechet_inception_distance"], rel=EQUAL)
    theirs = kid_features_to_metric(x, y, kid_subsets=100, kid_subset_size=1000, rng_seed=2020, verbose=False)
    assert _measured(sets, "kid") == pytest.approx(theirs["kernel_inception_distance_mean"], rel=EQUAL)
    shuffled = sets.probabilities  # in the order in which they are cut into parts
    score = isc_features_to_metric(shuffled.log(), splits=10, shuffle=False)
    assert _measured(sets, "inception_score") == pytest.approx(score["inception_score_mean"], rel=EQUAL)


@pytest.mark.parametrize(("n", "m", "subsets", "size"), [(1200, 1500, 20, 700), (3500, 3300, 5, 1000)])
def test_kid_draws_the_subsets_of_torch_fidelity(n: int, m: int, subsets: int, size: int) -> None:
    x, y = (_features(count, 16, seed).double() for count, seed in ((n, 0), (m, 1)))
    theirs = kid_features_to_metric(
        x, y, kid_subsets=subsets, kid_subset_size=size, rng_seed=2020, verbose=False
    )
    ours = kid(x, y, subsets=subsets, subset_size=size)
    assert ours.mean == pytest.approx(theirs["kernel_inception_distance_mean"], rel=EQUAL)
    assert ours.std == pytest.approx(theirs["kernel_inception_distance_std"], rel=EQUAL)


def test_kid_of_few_images_is_that_of_all() -> None:
    x, y = (_features(300, 16, seed).double() for seed in (0, 1))
    theirs = kid_features_to_metric(x, y, kid_subsets=1, kid_subset_size=300, rng_seed=2020, verbose=False)
    assert kid(x, y).mean == pytest.approx(theirs["kernel_inception_distance_mean"], rel=EQUAL)


@pytest.mark.parametrize(("n", "width"), [(300, 40), (40, 300), (50, 50), (1, 7)])
def test_vendi_score(n: int, width: int) -> None:
    """Theirs by the dual matrix: for the other one, its code needs a part of SciPy that goes away."""
    x = _features(n, width, 0)
    assert vendi_score(x) == pytest.approx(vendi.score_dual(x.double().numpy()), rel=EQUAL)


def test_measure_gives_the_vendi_score_of_unscaled_features_whatever_the_scale() -> None:
    sets = _sets(200, 220)
    wanted = vendi.score_dual(sets.of_a.double().numpy())
    assert _measured(sets, "vendi_score") == pytest.approx(wanted, rel=EQUAL)
    scaled = TwoSets(sets.a, sets.b, sets.network, "b", sets.compute, silent)
    assert _measured(scaled, "vendi_score") == pytest.approx(wanted, rel=EQUAL)
    assert _measured(scaled, "kid") == _measured(sets, "kid")
    assert _measured(scaled, "frechet_distance") != pytest.approx(_measured(sets, "frechet_distance"))


def test_vendi_counts_directions() -> None:
    """k equally frequent orthogonal rows count as k; a second copy of each changes nothing."""
    for k in (1, 2, 5):
        rows = torch.eye(7)[:k] * torch.arange(1.0, 8)
        assert vendi_score(rows) == pytest.approx(k)
        assert vendi_score(rows.repeat(3, 1)) == pytest.approx(k)


def test_cmmd_is_the_sum_over_all_pairs() -> None:
    """Jayasumana et al. 2024, by its formula, in loops."""
    x, y = (_features(count, 12, seed).double() + 0.1 for count, seed in ((9, 0), (11, 1)))
    x_1, y_1 = (rows / rows.norm(dim=1, keepdim=True) for rows in (x, y))

    def mean(one: torch.Tensor, other: torch.Tensor) -> float:
        kernels = [math.exp(-float((u - v).square().sum()) / 200) for u in one for v in other]
        return sum(kernels) / len(kernels)

    wanted = 1000 * (mean(x_1, x_1) + mean(y_1, y_1) - 2 * mean(x_1, y_1))
    assert wanted > 0.01
    assert cmmd(x, y) == pytest.approx(wanted, rel=1e-9)
    assert cmmd(x * 7, y) == pytest.approx(wanted, rel=1e-9)
    assert cmmd(x, x) == pytest.approx(0, abs=1e-9)
