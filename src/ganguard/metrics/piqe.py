"""PIQE, the quality of an image without a reference or a model.

Venkatanath et al. 2015, "Blind image quality evaluation using perception based features", NCC, in the
convention of MATLAB's `piqe` and of the package pypiqe.

A block of 16x16 pixels is active if its normalised contrast varies enough to draw the eye. An active block is
distorted if a stretch of its border is flat, as in block artefacts of a codec, or if it is as busy as noise.
The score is the mean distortion of the active blocks.
"""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from ganguard.base.images import composed
from ganguard.metrics.arrays import Pixels, as_images

BLOCK = 16  # pixels of a block's side
SEGMENT = 6  # pixels of a stretch of border that is tested for being flat
ACTIVE = 0.1  # variance of a block above which it is active (the paper's T_U)
FLAT = 0.1  # standard deviation of a segment below which the block shows an artefact (T_STD)
PIXELS_AT_ONCE = 1 << 18  # grey pixels in memory at once: few enough for the processor's cache
LUMA = (9798, 19235, 3735)  # of red, green and blue, in 1/32768: ITU-R BT.601, as OpenCV rounds it
WINDOW_RADIUS, WINDOW_SIGMA = 3, 7 / 6  # pixels: 7x7, out to nearly three standard deviations
ROUNDING = 1e-10  # grey levels: a smaller difference between a pixel and its local mean is rounding error


def piqe(images: Pixels) -> Tensor:
    """Return the score (N,) float64 of each image: 0 is best, 100 worst.

    An image without any active block, such as an empty one, scores 100. Sides that are no multiple of 16 are
    extended by reflection. A score does not depend on the other images. The ends of the scale are not hard
    limits: with variances above 1, which hardly occur, a score may lie beyond.

    Raises MetricError for anything that is not images, and for images without pixels.

    Args:
        images: (N, C, H, W) uint8 with any H and W, colours (R, G, B); the result is on their device.
    """
    return torch.cat([_scores(chunk) for chunk in chunks(as_images(images))])


def chunks(images: Tensor) -> tuple[Tensor, ...]:
    """Split images (N, C, H, W) into pieces, to bound the memory of computations on them.

    N = 0 gives one empty piece.
    """
    return images.split(max(1, PIXELS_AT_ONCE // images.shape[2:].numel()))


def luma(images: Tensor) -> Tensor:
    """Return grey levels (N, H, W) float64, whole numbers in [0, 255], of images (N, C, H, W) uint8.

    Images with opacity are seen before a white background.
    """
    images = composed(images)
    if images.shape[1] == 1:
        return images[:, 0].to(torch.float64)
    red, green, blue = images.to(torch.int32).unbind(1)
    return ((LUMA[0] * red + LUMA[1] * green + LUMA[2] * blue + (1 << 14)) >> 15).to(torch.float64)


def normalised_contrast(grey: Tensor) -> tuple[Tensor, Tensor]:
    """Return contrast-normalised coefficients, and the local standard deviation, both (N, H, W).

        I^ = (I - mu) / (sigma + 1)

    mu and sigma are taken over a Gaussian window of 7x7 around each pixel of grey (N, H, W) in [0, 255],
    whose border is repeated (Mittal et al. 2013, eq. 1-3). In a flat area I - mu is exactly 0, not the
    rounding error of one machine.
    """
    mean = _local_mean(grey)
    deviation = (_local_mean(grey.square()) - mean.square()).abs_().sqrt_()
    difference = grey - mean
    difference.masked_fill_(difference.abs() < ROUNDING, 0.0)
    return difference.div_(deviation + 1), deviation


def cut_blocks(pixels: Tensor, side: int) -> Tensor:
    """Return the whole blocks (N, rows * columns, side, side) of (N, H, W), row by row.

    The remaining pixels on the right and at the bottom are left out.
    """
    blocks = pixels.unfold(1, side, side).unfold(2, side, side)  # (N, rows, columns, side, side)
    return blocks.flatten(1, 2)


def continued(pixels: Tensor, dim: int, before: int, after: int) -> Tensor:
    """Extend `pixels` before and after along a dimension by reflection, in which the edge occurs twice.

    If the image is shorter than the extension, it is reflected repeatedly.
    """
    if before == after == 0:
        return pixels
    length = pixels.shape[dim]
    place = torch.arange(-before, length + after, device=pixels.device) % (2 * length)
    return pixels.index_select(dim, torch.minimum(place, 2 * length - 1 - place))


def weighted_sum(pixels: Tensor, weights: Sequence[float], dim: int, step: int = 1) -> Tensor:
    """Return weighted sums of len(weights) neighbours along a dimension, at every `step`-th place.

    The neighbours of each place lie inside the image. Sums are added up slice by slice: for a handful of
    float64 weights, that is ten times faster on a CPU than torch's convolution.
    """
    places = (pixels.shape[dim] - len(weights)) // step + 1
    index: list[slice] = [slice(None)] * pixels.ndim
    total = pixels.new_zeros(())
    for i, weight in enumerate(weights):
        index[dim] = slice(i, i + step * (places - 1) + 1, step)
        total = pixels[tuple(index)] * weight if i == 0 else total.add_(pixels[tuple(index)], alpha=weight)
    return total


def gaussian_weights(radius: int, sigma: float) -> list[float]:
    """Return 2 * radius + 1 samples of a Gaussian of `sigma` pixels, which add up to 1."""
    offsets = torch.arange(-radius, radius + 1, dtype=torch.float64)
    weights = torch.exp(-offsets.square() / (2 * sigma**2))
    return (weights / weights.sum()).tolist()


def window() -> list[float]:
    """Return the 7 weights that, applied down and across, make the window of 7x7."""
    return gaussian_weights(WINDOW_RADIUS, WINDOW_SIGMA)


def _local_mean(pixels: Tensor) -> Tensor:
    """Return the mean of the Gaussian window around each pixel (N, H, W)."""
    weights = window()
    padded = torch.nn.functional.pad(pixels[:, None], [WINDOW_RADIUS] * 4, mode="replicate")[:, 0]
    return weighted_sum(weighted_sum(padded, weights, dim=1), weights, dim=2)


def _scores(images: Tensor) -> Tensor:
    """Return (sum of distortions + 1) / (number of active blocks + 1), in percent (eq. 13, C = 1)."""
    coefficients, _ = normalised_contrast(_stretched(_whole(luma(images))))
    blocks = cut_blocks(coefficients, BLOCK)
    columns = blocks.sum(2), blocks.square().sum(2)  # each (N, B, 16)
    variance = _variance(columns, range(BLOCK))
    active = variance > ACTIVE
    flat, noisy = _has_flat_edge(blocks), _is_noisy(columns, variance)
    distortion = torch.where(flat, 1 - variance, 0.0) + torch.where(noisy, variance, 0.0)
    return 100 * (torch.where(active, distortion, 0.0).sum(1) + 1) / (active.sum(1) + 1)


def _whole(grey: Tensor) -> Tensor:
    """Extend grey (N, H, W) to the right and downwards until H and W are multiples of 16."""
    height, width = grey.shape[1:]
    return continued(continued(grey, 1, 0, -height % BLOCK), 2, 0, -width % BLOCK)


def _stretched(grey: Tensor) -> Tensor:
    """Scale grey (N, H, W) so that the brightest level of each image is 255, in whole numbers.

    Black images stay black.
    """
    brightest = grey.amax((1, 2), keepdim=True).clamp_min(1)
    return (grey / brightest).mul_(255).round_()


def _variance(columns: tuple[Tensor, Tensor], chosen: Iterable[int]) -> Tensor:
    """Return the variance (N, B) of all pixels in the chosen columns of blocks.

    columns: sums, and sums of squares, of each column of each block, (N, B, 16) each.
    """
    index = list(chosen)
    sums, squares = (of_columns[..., index].sum(2) for of_columns in columns)
    return _unbiased(sums, squares, BLOCK * len(index))


def _unbiased(sums: Tensor, squares: Tensor, count: int) -> Tensor:
    """Return the variance of `count` numbers near 0, given their sum and the sum of their squares."""
    return (squares - sums.square() / count).clamp_min_(0).div_(count - 1)


def _has_flat_edge(blocks: Tensor) -> Tensor:
    """Return whether any stretch of six pixels on a block's four edges is flat (eq. 5-8).

    Shapes: (N, B, 16, 16) -> (N, B).
    """
    top, bottom, left, right = blocks[..., 0, :], blocks[..., -1, :], blocks[..., 0], blocks[..., -1]
    edges = torch.stack([top, bottom, left, right], 2)  # (N, B, 4, 16)
    ones = [1.0] * SEGMENT
    variance = _unbiased(weighted_sum(edges, ones, 3), weighted_sum(edges.square(), ones, 3), SEGMENT)
    return (variance < FLAT**2).flatten(2).any(2)


def _is_noisy(columns: tuple[Tensor, Tensor], variance: Tensor) -> Tensor:
    """Return whether sigma > 2 beta (eq. 9-11).

    beta compares sigma with the ratio of the standard deviations of centre and surround. The centre is the
    two central columns. The published code removes them from the surround one after the other, so that the
    second removal hits the column to the right of the intended one; it is followed here. A surround without
    any contrast has ratio 0.
    """
    first = BLOCK // 2 - 1
    centre = _variance(columns, (first, first + 1))
    surround = _variance(columns, (column for column in range(BLOCK) if column not in (first, first + 2)))
    ratio = torch.where(surround > 0, (centre / surround).sqrt(), 0.0)
    sigma = variance.sqrt()
    return sigma * torch.maximum(sigma, ratio) > 2 * (sigma - ratio).abs()
