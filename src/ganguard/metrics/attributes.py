"""Attributes of drawn characters such as digits: how far they lean, and how thick their strokes are.

Ink is bright on a dark background, as in scikit-learn's digits; the brightness of a pixel is the amount of
ink on it. Neither measure changes if the contrast is halved, and images may have any H and W.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import pad

from ganguard.metrics.arrays import Pixels, as_images
from ganguard.metrics.piqe import chunks, luma

PIXEL_VARIANCE = 1 / 12  # of the position of ink spread evenly over one pixel


def slant(images: Pixels) -> Tensor:
    """Return how far each character leans to the right, in degrees, (N,) float64; "/" is above 0, "|" is 0.

        angle = atan(-mu_11 / mu_02)

    mu_11 and mu_02 are central moments of the ink, E[x y] and E[y²], where y grows downwards. Their ratio is
    the slope of the regression of the ink's x on its y, which is what deskewing undoes. Ink is taken to fill
    its pixels, so that a character of one row still has a height. An image without ink has slant 0.

    Raises MetricError for anything that is not images.

    Args:
        images: (N, C, H, W) uint8.
    """
    return _image_by_image(_slant, images)


def stroke_thickness(images: Pixels) -> Tensor:
    """Return the mean width of strokes in pixels, (N,) float64.

        thickness = 2 * ink / perimeter

    A stroke of width w and length l holds w * l of ink inside a perimeter of 2 * (w + l), which is about 2 *
    l for a long stroke. Unlike a skeleton, the ratio still means something at 8x8 pixels.

    The perimeter is the total variation: the sum of the gradient's length over all places, which counts a
    blurred edge as much as a sharp one (coarea formula). It is taken at each corner between four pixels, as
    the mean over the four ways to pair a horizontal with a vertical difference, so that mirrored images have
    equal values. Strokes along an axis are measured exactly except for their ends; those along a diagonal
    come out a tenth too thin. Pixels outside the image count as dark. An image without ink has thickness 0.

    Raises MetricError for anything that is not images.

    Args:
        images: (N, C, H, W) uint8.
    """
    return _image_by_image(_stroke_thickness, images)


def _image_by_image(measure: Callable[[Tensor], Tensor], images: Pixels) -> Tensor:
    return torch.cat([measure(luma(chunk) / 255) for chunk in chunks(as_images(images))])


def _slant(ink: Tensor) -> Tensor:
    """Return the slant of ink (N, H, W) in [0, 1]."""
    _, height, width = ink.shape
    y, x = (torch.arange(side, dtype=ink.dtype, device=ink.device) for side in (height, width))
    mass = ink.sum((1, 2)).clamp_min(torch.finfo(ink.dtype).tiny)
    mean_y, mean_x = (ink.sum(2) @ y) / mass, (ink.sum(1) @ x) / mass
    dy, dx = y - mean_y[:, None], x - mean_x[:, None]  # (N, H), (N, W)
    mu_11 = torch.einsum("nyx,ny,nx->n", ink, dy, dx)
    mu_02 = torch.einsum("nyx,ny->n", ink, dy.square()) + mass * PIXEL_VARIANCE
    return torch.rad2deg(torch.atan(-mu_11 / mu_02))


def _stroke_thickness(ink: Tensor) -> Tensor:
    """Return the stroke thickness of ink (N, H, W) in [0, 1]."""
    framed = pad(ink, (1, 1, 1, 1))
    across, down = framed.diff(dim=2), framed.diff(dim=1)
    # Each (N, H + 1, W + 1): the differences above and below a corner, and those left and right of it.
    horizontal = across[:, :-1], across[:, 1:]
    vertical = down[:, :, :-1], down[:, :, 1:]
    lengths = [torch.hypot(h, v).sum((1, 2)) for h in horizontal for v in vertical]
    perimeter = torch.stack(lengths).mean(0)
    return 2 * ink.sum((1, 2)) / perimeter.clamp_min(torch.finfo(ink.dtype).tiny)
