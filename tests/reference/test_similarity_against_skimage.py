"""PSNR and SSIM against scikit-image, on photographs that it ships."""

import numpy as np
import pytest
import torch
from skimage import data
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torch import Tensor

from ganguard.metrics.similarity import psnr, ssim

SAME = 1e-9  # both compute in float64, and add up in another order

PHOTOGRAPHS = {
    "astronaut": data.astronaut,
    "chelsea": data.chelsea,
    "coins": data.coins,
    "camera": data.camera,
}


def _tensor(pixels: np.ndarray) -> Tensor:
    return torch.from_numpy(pixels.reshape(*pixels.shape[:2], -1).copy()).permute(2, 0, 1)[None]


def _noisy(pixels: np.ndarray, std: float) -> np.ndarray:
    noise = np.random.default_rng(0).normal(0, std, pixels.shape)
    return (pixels + noise).round().clip(0, 255).astype(np.uint8)


def _their_ssim(a: np.ndarray, b: np.ndarray) -> float:
    settings = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 255}
    return float(structural_similarity(a, b, channel_axis=2 if a.ndim == 3 else None, **settings))


@pytest.mark.parametrize("name", PHOTOGRAPHS)
@pytest.mark.parametrize("size", [11, 12, 64, 1000])
def test_they_agree(name: str, size: int) -> None:
    a = PHOTOGRAPHS[name]()[100 : 100 + size, 100 : 100 + size]
    for b in (_noisy(a, 3), _noisy(a, 60), a[::-1].copy(), np.full_like(a, 90)):
        assert ssim(_tensor(a), _tensor(b)).item() == pytest.approx(_their_ssim(a, b), abs=SAME)
        assert psnr(_tensor(a), _tensor(b)).item() == pytest.approx(
            peak_signal_noise_ratio(a, b, data_range=255), abs=SAME
        )
