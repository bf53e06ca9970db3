import math
from importlib import import_module

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from ganguard.base.errors import MetricError
from ganguard.metrics.similarity import feature_difference, mean_absolute_difference, psnr, ssim

SAME = 1e-12  # float64, added up in another order


def _images(*shape: int, seed: int = 0) -> Tensor:
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))


def _slow_ssim(a: Tensor, b: Tensor, side: int) -> float:
    """The definition, window by window, for one image."""
    offsets = np.arange(side) - side // 2
    line = np.exp(-(offsets**2) / (2 * 1.5**2))
    w = np.outer(line, line) / np.outer(line, line).sum()
    values: list[float] = []
    for x, y in zip(a.double().numpy(), b.double().numpy(), strict=True):
        for top in range(x.shape[0] - side + 1):
            for left in range(x.shape[1] - side + 1):
                p, q = (z[top : top + side, left : left + side] for z in (x, y))
                mu_p, mu_q = (w * p).sum(), (w * q).sum()
                var_p, var_q = (w * (p - mu_p) ** 2).sum(), (w * (q - mu_q) ** 2).sum()
                cov = (w * (p - mu_p) * (q - mu_q)).sum()
                c1, c2 = 2.55**2, 7.65**2
                values.append(
                    (2 * mu_p * mu_q + c1) * (2 * cov + c2) / (mu_p**2 + mu_q**2 + c1) / (var_p + var_q + c2)
                )
    return float(np.mean(values))


@pytest.mark.parametrize(
    ("height", "width", "side"), [(8, 8, 7), (7, 30, 7), (6, 9, 5), (1, 5, 1), (2, 2, 1), (13, 11, 11)]
)
def test_the_window_is_the_largest_odd_one_that_fits(height: int, width: int, side: int) -> None:
    a = _images(2, 3, height, width)
    b = (a.int() + _images(2, 3, height, width, seed=1).int() % 40 - 20).clamp(0, 255).to(torch.uint8)
    wanted = [_slow_ssim(x, y, side) for x, y in zip(a, b, strict=True)]
    assert ssim(a, b).tolist() == pytest.approx(wanted, abs=1e-9)


def test_psnr_of_a_known_error() -> None:
    a = torch.full((1, 1, 4, 4), 100, dtype=torch.uint8)
    b = a.clone()
    b[0, 0, 0, 0] = 110  # mean squared error 100 / 16
    assert psnr(a, b).item() == pytest.approx(10 * math.log10(255**2 * 16 / 100), rel=SAME)
    assert psnr(torch.zeros_like(a), torch.full_like(a, 255)).item() == 0


def test_equal_images_have_no_noise_and_are_fully_similar() -> None:
    a = torch.cat([_images(3, 1, 16, 16), torch.zeros(1, 1, 16, 16, dtype=torch.uint8)])
    assert psnr(a, a).tolist() == [math.inf] * 4
    assert ssim(a, a).tolist() == [1.0] * 4


def test_differences_of_known_size() -> None:
    a = torch.zeros(2, 1, 2, 2, dtype=torch.uint8)
    b = torch.tensor([[0, 0, 0, 255], [51, 51, 51, 51]], dtype=torch.uint8).view(2, 1, 2, 2)
    assert mean_absolute_difference(a, b).tolist() == pytest.approx([0.5, 0.4], rel=SAME)
    assert mean_absolute_difference(a, 255 - a).tolist() == [2.0, 2.0]
    x, y = torch.zeros(3, 2), torch.tensor([[3.0, 4.0], [0.0, 0.0], [-1.0, 1.0]])
    assert feature_difference(x, y).tolist() == pytest.approx([12.5**0.5, 0, 1], rel=SAME)


def test_features_of_other_numbers_or_widths_are_no_pairs() -> None:
    with pytest.raises(MetricError, match="pairs of features; got 3 and 2"):
        feature_difference(torch.zeros(3, 2), torch.zeros(2, 2))
    with pytest.raises(MetricError):
        feature_difference(torch.zeros(3, 2), torch.zeros(3, 4))


def test_a_negative_is_dissimilar() -> None:
    a = _images(1, 1, 32, 32)
    assert -1 <= ssim(a, 255 - a).item() < -0.8


@given(st.integers(0, 1000), st.sampled_from([1, 3]), st.integers(1, 24), st.integers(1, 24))
def test_pairs_are_measured_one_by_one_and_both_ways(
    seed: int, channels: int, height: int, width: int
) -> None:
    a, b = _images(4, channels, height, width, seed=seed), _images(4, channels, height, width, seed=seed + 1)
    order = torch.tensor([2, 0, 3, 1])
    for measure in (psnr, ssim):
        together = measure(a, b)
        assert torch.allclose(measure(b, a), together, rtol=0, atol=SAME)
        assert torch.allclose(measure(a[order], b[order]), together[order], rtol=0, atol=SAME)
        assert torch.allclose(
            torch.cat([measure(a[i : i + 1], b[i : i + 1]) for i in range(4)]), together, rtol=0, atol=SAME
        )


def test_the_size_of_a_chunk_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = _images(7, 3, 16, 16), _images(7, 3, 16, 16, seed=1)
    whole = ssim(a, b), psnr(a, b)
    monkeypatch.setattr(import_module("ganguard.metrics.piqe"), "PIXELS_AT_ONCE", 2 * 16 * 16)
    assert torch.allclose(ssim(a, b), whole[0], rtol=0, atol=SAME)
    assert torch.allclose(psnr(a, b), whole[1], rtol=0, atol=SAME)


def test_no_pairs_give_no_numbers() -> None:
    none = _images(0, 3, 16, 16)
    assert psnr(none, none).shape == ssim(none, none).shape == (0,)


@pytest.mark.parametrize(
    ("a", "b", "said"),
    [
        (_images(2, 3, 8, 8), _images(2, 3, 8, 9), r"the same shape; got \(2, 3, 8, 8\) and \(2, 3, 8, 9\)"),
        (_images(2, 3, 8, 8), _images(1, 3, 8, 8), "the same shape"),
        (_images(2, 3, 8, 8).float(), _images(2, 3, 8, 8), "a must be a uint8 tensor"),
        (_images(2, 3, 8, 8), _images(2, 5, 8, 8), "b must be a uint8 tensor"),
        (_images(2, 3, 0, 8), _images(2, 3, 0, 8), "a must have H and W of at least 1"),
    ],
)
def test_what_are_not_pairs_of_images_is_refused(a: Tensor, b: Tensor, said: str) -> None:
    for measure in (psnr, ssim):
        with pytest.raises(MetricError, match=said):
            measure(a, b)
