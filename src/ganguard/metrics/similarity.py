"""How alike paired images are: peak signal-to-noise ratio, structural similarity, and plain differences.

Structural similarity: Wang et al. 2004, "Image quality assessment: from error visibility to structural
similarity", IEEE TIP 13(4).
"""

from collections.abc import Callable

import torch
from torch import Tensor

from ganguard.base.errors import MetricError
from ganguard.metrics.arrays import Features, Pixels, as_features, as_images, require_same_width
from ganguard.metrics.piqe import chunks, gaussian_weights, weighted_sum

PEAK = 255.0
WINDOW, SIGMA = 11, 1.5  # pixels
C1, C2 = (0.01 * PEAK) ** 2, (0.03 * PEAK) ** 2  # the paper's constants, K_1 = 0.01 and K_2 = 0.03


def psnr(a: Pixels, b: Pixels) -> Tensor:
    """Return the peak signal-to-noise ratio of each pair of images in dB, (N,) float64.

        PSNR = 10 log10(255² / mean squared error)

    Higher is more alike; equal images have infinity. The error is averaged over pixels and channels.

    Raises MetricError unless both are images of the same shape, with at least one pixel.

    Args:
        a: (N, C, H, W) uint8.
        b: (N, C, H, W) uint8.
    """
    return _pair_by_pair(_psnr, a, b)


def ssim(a: Pixels, b: Pixels) -> Tensor:
    """Return the mean structural similarity of each pair of images, (N,) float64.

    It lies in [-1, 1], and is 1 for equal images. The window is the paper's Gaussian of 11x11 pixels, sigma
    1.5, at every place where it lies entirely inside the image; channels are averaged. If a side is shorter
    than 11, the window is cut to the largest odd side that fits (7x7 for digits of 8x8), and its weights are
    scaled to add up to 1. Compare only values of images of one size.

    Raises MetricError unless both are images of the same shape, with at least one pixel.

    Args:
        a: (N, C, H, W) uint8.
        b: (N, C, H, W) uint8.
    """
    return _pair_by_pair(_ssim, a, b)


def mean_absolute_difference(a: Pixels, b: Pixels) -> Tensor:
    """Return the mean of |x - y| over the pixels and channels of each pair of images, (N,) float64.

    Pixels count in [-1, 1], so that it lies in [0, 2]; 0 for equal images.

    Raises MetricError unless both are images of the same shape, with at least one pixel.

    Args:
        a: (N, C, H, W) uint8.
        b: (N, C, H, W) uint8.
    """
    return _pair_by_pair(lambda x, y: (x - y).abs().mean((1, 2, 3)) * (2 / PEAK), a, b)


def feature_difference(a: Features, b: Features) -> Tensor:
    """Return the root of the mean over dimensions of (a - b)² for each pair of rows, (N,) float64.

    Raises MetricError unless both are features of the same shape.

    Args:
        a: (N, D).
        b: (N, D).
    """
    x, y = as_features(a, "a", 1), as_features(b, "b", 1)
    require_same_width(x, y)
    if len(x) != len(y):
        raise MetricError(
            f"a and b must be pairs of features; got {len(x)} and {len(y)}. Give as many of both."
        )
    return (x - y).square().mean(1).sqrt()


def _pair_by_pair(measure: Callable[[Tensor, Tensor], Tensor], a: Pixels, b: Pixels) -> Tensor:
    a, b = as_images(a, "a"), as_images(b, "b")
    if a.shape != b.shape:
        raise MetricError(
            f"a and b must be images of the same shape; got {tuple(a.shape)} and {tuple(b.shape)}. Crop or "
            "resize one of them."
        )
    return torch.cat(
        [measure(x.to(torch.float64), y.to(torch.float64)) for x, y in zip(chunks(a), chunks(b), strict=True)]
    )


def _psnr(x: Tensor, y: Tensor) -> Tensor:
    return 10 * torch.log10(PEAK**2 / (x - y).square().mean((1, 2, 3)))


def _ssim(x: Tensor, y: Tensor) -> Tensor:
    """Return equation 13, averaged as in equation 14."""
    mean = _windowed_mean_of(x)
    mu_x, mu_y = mean(x), mean(y)
    var_x, var_y, cov_xy = mean(x * x) - mu_x * mu_x, mean(y * y) - mu_y * mu_y, mean(x * y) - mu_x * mu_y
    luminance = (2 * mu_x * mu_y + C1) / (mu_x * mu_x + mu_y * mu_y + C1)
    structure = (2 * cov_xy + C2) / (var_x + var_y + C2)
    return (luminance * structure).mean((1, 2, 3))


def _windowed_mean_of(images: Tensor) -> Callable[[Tensor], Tensor]:
    """Return a function from pixels (N, C, H, W) to their Gaussian means, for images of this size.

    The means are taken at every place where the window lies entirely inside the image.
    """
    side = min(WINDOW, *images.shape[2:])
    weights = gaussian_weights((side - 1) // 2, SIGMA)
    return lambda pixels: weighted_sum(weighted_sum(pixels, weights, 2), weights, 3)
