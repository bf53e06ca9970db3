"""The diagnosis of a density ratio, against scikit-learn's numbers and the published formulas."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.calibration import calibration_curve
from sklearn.metrics import roc_auc_score
from test_density_ratio import SHIFT, log_ratio, normal_rows
from torch import Tensor

from ganguard.attacks.subsampling.diagnostics import BINS, diagnose

ROUNDING = 1e-12
# Multiples of 1/4 have many ties, and neither they nor their differences are rounded.
LOG_RATIOS = st.lists(st.integers(-40, 40), min_size=1, max_size=60).map(
    lambda quarters: torch.tensor(quarters, dtype=torch.float64) / 4
)


def labels(real: Tensor, fake: Tensor) -> np.ndarray:
    return np.repeat([1, 0], [len(real), len(fake)])


@given(LOG_RATIOS, LOG_RATIOS)
def test_the_area_under_the_curve_is_scikit_learns_whatever_the_ties(real: Tensor, fake: Tensor) -> None:
    expected = roc_auc_score(labels(real, fake), torch.cat([real, fake]).numpy())
    assert diagnose(real, fake).auc == pytest.approx(expected, abs=ROUNDING)


@given(LOG_RATIOS, LOG_RATIOS)
def test_each_bin_holds_equally_many_images_whatever_the_ties(real: Tensor, fake: Tensor) -> None:
    bins = diagnose(real, fake).reliability
    count = len(real) + len(fake)
    assert len(bins) == min(count, BINS)
    assert sum(b.count for b in bins) == count
    assert {b.count for b in bins} <= {count // len(bins), -(-count // len(bins))}
    assert sum(b.observed * b.count for b in bins) == pytest.approx(len(real))
    predicted = [b.predicted for b in bins]
    assert predicted == pytest.approx(sorted(predicted), abs=ROUNDING)


def test_the_bins_are_scikit_learns_if_nothing_ties_and_they_divide_the_images() -> None:
    """Otherwise scikit-learn cuts at quantiles of the probabilities, and its bins differ in size."""
    real, fake = log_ratio(normal_rows(30, SHIFT, 0)), log_ratio(normal_rows(90, 0, 1))
    p = torch.sigmoid(torch.cat([real, fake]) + math.log(30 / 90)).numpy()
    observed, predicted = calibration_curve(labels(real, fake), p, n_bins=BINS, strategy="quantile")
    bins = diagnose(real, fake).reliability
    assert [b.observed for b in bins] == pytest.approx(observed)
    assert [b.predicted for b in bins] == pytest.approx(predicted)


def test_z_and_the_effective_sample_size_follow_their_formulas() -> None:
    real, fake = (
        normal_rows(300, 1, 0)[:, 0].round(decimals=1),
        normal_rows(900, 0, 1)[:, 0].round(decimals=1),
    )
    found = diagnose(real, fake)
    y = torch.from_numpy(labels(real, fake))
    p = 1 / (1 + torch.exp(-torch.cat([real, fake])) * 3)
    assert found.calibration_z == pytest.approx(((y - p).sum() / (p * (1 - p)).sum().sqrt()).item())
    w = fake.exp()
    assert found.effective_sample_size == pytest.approx((w.sum() ** 2 / w.square().sum() / 900).item())
    assert [b.predicted for b in found.reliability] == sorted(b.predicted for b in found.reliability)
    assert (found.real, found.fake) == (300, 900)


def test_calibrated_ratios_have_z_of_a_standard_normal() -> None:
    zs = [
        diagnose(
            log_ratio(normal_rows(400, SHIFT, 2 * s)), log_ratio(normal_rows(400, 0, 2 * s + 1))
        ).calibration_z
        for s in range(60)
    ]
    assert abs(sum(zs)) / 60 < 0.5
    assert sum(abs(z) > 1.96 for z in zs) <= 9
