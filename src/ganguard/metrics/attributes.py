"""Attributes of drawn characters, such as digits: how far they lean, how thick their strokes are.

Ink is bright on dark, as in scikit-learn's digits; a pixel holds as much of it as it is bright. Both measures
are the same for an image of half the contrast, and any H and W will do.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import pad

from ganguard.metrics.piqe import chunks, luma, require_pixels

PIXEL_VARIANCE = 1 / 12  # of the place of ink that is spread evenly over one pixel


def slant(images: Tensor) -> Tensor:
    """How far characters lean to the right, in degrees, (N,) float64, of images (N, C, H, W) uint8: "/" is
    above 0, "|" at 0.

        angle = atan(-mu_11 / mu_02)

    mu_11, mu_02: central moments of the ink, x times y and y times y, where y grows downwards. Their ratio is
    the slope of the line that tells the ink's x from its y, which is what deskewing undoes. Ink fills its
    pixels, so that a character of one row still has a height. An image without ink does not lean. Raises
    MetricError for what are no images.
    """
    return _image_by_image(_slant, images)


def stroke_thickness(images: Tensor) -> Tensor:
    """Mean width of strokes in pixels, (N,) float64, of images (N, C, H, W) uint8.

        thickness = 2 * ink / perimeter

    A stroke of width w and length l holds w * l of ink inside a perimeter of 2 * (w + l), which is 2 * l
    where it is long; the ratio needs no skeleton, which means little at 8x8 pixels. The perimeter is the
    total variation: the sum over all places of the gradient's length, which counts a blurred edge as much as
    a sharp one (coarea formula). It is taken at each corner between four pixels, the mean over the four ways
    of pairing a horizontal with a vertical difference, so that mirrored images have equal values; strokes
    along an axis are exact but for their ends, those along a diagonal a tenth too thin. What lies outside the
    image is dark. An image without ink has thickness 0. Raises MetricError for what are no images.
    """
    return _image_by_image(_stroke_thickness, images)


def _image_by_image(measure: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    require_pixels(images)
    return torch.cat([measure(luma(chunk) / 255) for chunk in chunks(images)])


def _slant(ink: Tensor) -> Tensor:
    """Of ink (N, H, W) in [0, 1]."""
    _, height, width = ink.shape
    y, x = (torch.arange(side, dtype=ink.dtype, device=ink.device) for side in (height, width))
    mass = ink.sum((1, 2)).clamp_min(torch.finfo(ink.dtype).tiny)
    mean_y, mean_x = (ink.sum(2) @ y) / mass, (ink.sum(1) @ x) / mass
    dy, dx = y - mean_y[:, None], x - mean_x[:, None]  # (N, H), (N, W)
    mu_11 = torch.einsum("nyx,ny,nx->n", ink, dy, dx)
    mu_02 = torch.einsum("nyx,ny->n", ink, dy.square()) + mass * PIXEL_VARIANCE
    return torch.rad2deg(torch.atan(-mu_11 / mu_02))


def _stroke_thickness(ink: Tensor) -> Tensor:
    """Of ink (N, H, W) in [0, 1]."""
    framed = pad(ink, (1, 1, 1, 1))
    across, down = framed.diff(dim=2), framed.diff(dim=1)
    horizontal = across[:, :-1], across[:, 1:]  # each (N, H + 1, W + 1): above and below a corner
    vertical = down[:, :, :-1], down[:, :, 1:]  # left and right of it
    lengths = [torch.hypot(h, v).sum((1, 2)) for h in horizontal for v in vertical]
    perimeter = torch.stack(lengths).mean(0)
    return 2 * ink.sum((1, 2)) / perimeter.clamp_min(torch.finfo(ink.dtype).tiny)
