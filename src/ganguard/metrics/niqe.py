"""NIQE, the quality of an image as its distance from natural images.

Mittal, Soundararajan & Bovik 2013, "Making a 'completely blind' image quality analyzer", IEEE SPL 20(3), as
in the authors' MATLAB code.

Blocks of an image give 18 features at each of two scales: parameters of generalised Gaussians fitted to the
block's normalised contrast, and to the products of neighbours in it. The model is a multivariate Gaussian of
such features, from sharp blocks of good images. An image's score is the distance between the Gaussian of its
own blocks and the model:

    D = sqrt((nu_1 - nu_2)^T ((S_1 + S_2) / 2)^-1 (nu_1 - nu_2))    (eq. 10)

The published model is of blocks of 96x96. Small images need a model of smaller blocks, fitted to real images
of their kind.
"""

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal, cast

import numpy as np
import torch
from torch import Tensor

from ganguard.base.cache import write_tensors
from ganguard.base.codecs import read_tensors
from ganguard.base.errors import CheckpointError, MetricError
from ganguard.base.settings import Positive, Settings, one_line
from ganguard.metrics.arrays import Pixels, as_images, as_matrix, as_whole, require_type
from ganguard.metrics.piqe import (
    chunks,
    continued,
    cut_blocks,
    luma,
    normalised_contrast,
    weighted_sum,
)

FEATURES = 36  # of a block: 18 at each of two scales
PUBLISHED_BLOCK = 96  # pixels of a side
SMALLEST_BLOCK = 8  # pixels of a side: at the second scale, 16 pixels are left for fitting five Gaussians
# The model is fitted to blocks sharper than this share of their image's sharpest block (the paper's T).
SHARP = 0.75
AMPLE = 60  # blocks of which at least FEATURES + 1 are surely sharp, if as many as that are expected to be
NEIGHBOURS = ((0, 1), (1, 0), (1, 1), (1, -1))  # rows down and columns right of the other pixel of a product
# The bicubic kernel (a = -1/2) stretched to twice its width, at half-pixel offsets: MATLAB's imresize by 0.5.
HALF = (-3 / 256, -9 / 256, 29 / 256, 111 / 256, 111 / 256, 29 / 256, -9 / 256, -3 / 256)


@dataclass(frozen=True, eq=False)
class NiqeModel:
    """What good images are like: a Gaussian of the features of their blocks.

    Raises MetricError for other shapes, NaN, a covariance that is not symmetric, or an unsuitable block size.

    Attributes:
        mean: (36,) float64.
        covariance: (36, 36) float64.
        block_size: pixels of a block's side.
    """

    mean: Tensor
    covariance: Tensor
    block_size: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "block_size", require_block_size(self.block_size))
        for name in ("mean", "covariance"):
            object.__setattr__(self, name, as_matrix(getattr(self, name), f"{name} of a NIQE model"))
        shapes = tuple(self.mean.shape), tuple(self.covariance.shape)
        wanted = (FEATURES,), (FEATURES, FEATURES)
        if shapes != wanted:
            raise MetricError(
                f"mean and covariance of a NIQE model must have the shapes {wanted}; got {shapes}."
            )
        if not (self.mean.isfinite().all() and self.covariance.isfinite().all()):
            raise MetricError("a NIQE model must be finite; got NaN or infinity. Fit it again.")
        if not torch.allclose(self.covariance, self.covariance.T):
            raise MetricError(
                "the covariance of a NIQE model must be symmetric; this one is not. Fit it again."
            )

    def save(self, path: Path | str) -> None:
        """Write the model to one safetensors file. Raises OSError if it cannot be written."""
        tensors = {"mean": self.mean.cpu(), "covariance": self.covariance.cpu()}
        write_tensors(
            Path(path), tensors, {"niqe": _Description(block_size=self.block_size).model_dump_json()}
        )

    @staticmethod
    def load(path: Path | str) -> "NiqeModel":
        """Read back what `save` wrote.

        Raises CheckpointError if the file is absent or holds no complete model.
        """
        try:
            tensors, texts = read_tensors(Path(path))
            description = _Description.model_validate(json.loads(texts["niqe"]))
            mean, covariance = (tensors[name].to(torch.float64) for name in ("mean", "covariance"))
            return NiqeModel(mean, covariance, description.block_size)
        except (KeyError, ValueError, RecursionError, MetricError) as problem:
            raise CheckpointError(
                f"{path}: not a NIQE model ({one_line(problem, 160)}). Fit and save it again."
            ) from None


class _Description(Settings):
    format: Literal[1] = 1
    block_size: Positive


def niqe_block(image_shape: Sequence[int]) -> int:
    """Return the side in pixels of the blocks that suit images (C, H, W).

    It is 96, as published, or half the side of small images.
    """
    return min(PUBLISHED_BLOCK, min(image_shape[-2:]) // 4 * 2)  # // 4 * 2: half, and even


def fit_niqe(images: Pixels | Iterable[Pixels], *, block_size: int) -> NiqeModel:
    """Return a model of good images of any kind, from blocks of block_size x block_size pixels.

    Only the blocks of an image that are sharper than 0.75 of its sharpest one are used. At least 37 are
    needed; the paper took them from 125 photos.

    Raises MetricError for other images, an unsuitable block size, or too few blocks with texture; the message
    says how many images are enough.

    Args:
        images: (N, C, H, W) uint8, or parts of them one after the other, of which only one is held at a time.
        block_size: even, at least 8, and at most H and W; pixels beyond the last whole block are left out.
    """
    found, count = [torch.empty(0, FEATURES, dtype=torch.float64)], 0
    block_size = require_block_size(block_size)
    for part in _parts(images):
        pixels = as_images(part)
        _require_blocks(pixels, block_size, 1)
        found += [_sharp_rows(chunk, block_size) for chunk in chunks(pixels)]
        count += len(pixels)
    rows = torch.cat([part.to(found[-1].device) for part in found])
    if len(rows) <= FEATURES:
        enough = math.ceil(count * AMPLE / len(rows)) if len(rows) else AMPLE
        remedy = "Give images that are not flat" if count and not len(rows) else f"Give {enough} such images"
        raise MetricError(
            f"a NIQE model must be fitted to at least {FEATURES + 1} sharp blocks of "
            f"{block_size}x{block_size} with texture; {count} images have {len(rows)}. {remedy}."
        )
    covariance = torch.cov(rows.T)
    if (rank := int(torch.linalg.matrix_rank(covariance, hermitian=True))) < FEATURES:
        raise MetricError(
            f"images of a NIQE model must differ in all {FEATURES} features; got {rank}. Give more varied "
            "images."
        )
    return NiqeModel(rows.mean(0), covariance, block_size)


def niqe(images: Pixels, model: NiqeModel) -> Tensor:
    """Return the distance (N,) float64 of each image from the model; at least 0, lower is more natural.

    Colours are (R, G, B), which are converted to grey. Only whole blocks of the model's size count, and among
    them those with texture, since the fit is undefined for others (the published code includes some of their
    features). A score does not depend on the other images. Compare only scores by one model, of images of one
    size.

    Raises MetricError for other images, and for images with fewer than two blocks or fewer than two that have
    texture, such as empty ones. The message gives their indices; `has_texture` finds them.

    Args:
        images: (N, C, H, W) uint8; the result is on their device.
        model: the model of good images.
    """
    distances = _distances(images, model)
    if flat := distances.isnan().nonzero()[:, 0].tolist():
        named = ", ".join(map(str, flat[:5])) + (" …" if len(flat) > 5 else "")
        raise MetricError(
            f"every image must have at least 2 blocks with texture for NIQE; {len(flat)} of {len(images)} "
            f"have not (index {named}). Leave them out (`has_texture` finds them), and report their number."
        )
    return distances


def has_texture(images: Pixels, model: NiqeModel) -> Tensor:
    """Return whether `niqe` can score each of images (N, C, H, W), (N,) bool.

    It can if two blocks or more have texture. Raises MetricError for other images, as `niqe` does.
    """
    return _distances(images, model).isfinite()


def _distances(images: Pixels, model: NiqeModel) -> Tensor:
    """Return equation 10 for each image, (N,); NaN if fewer than two blocks have texture."""
    require_type(model, NiqeModel, "model", "Make one with fit_niqe or load_published_niqe.")
    pixels = as_images(images)
    _require_blocks(pixels, model.block_size, 2)
    return torch.cat([_distance(_features(chunk, model.block_size)[0], model) for chunk in chunks(pixels)])


def _parts(images: object) -> Iterable[Pixels]:
    if isinstance(images, Tensor | np.ndarray):
        return [images]
    if isinstance(images, Iterable) and not isinstance(images, str | bytes | dict):
        return cast(Iterable[Pixels], images)
    raise MetricError(
        f"images must be (N, C, H, W) uint8, or parts of them; got {type(images).__name__}. Give a tensor."
    )


def _distance(rows: Tensor, model: NiqeModel) -> Tensor:
    """Return the distance (N,) of features (N, B, 36), some of them NaN, from the model."""
    defined = rows.isfinite().all(2, keepdim=True)  # (N, B, 1)
    count = defined.sum(1)  # (N, 1)
    mean = torch.where(defined, rows, 0.0).sum(1) / count.clamp_min(1)  # (N, 36)
    centred = torch.where(defined, rows - mean[:, None], 0.0)
    covariance = centred.mT @ centred / (count[..., None] - 1).clamp_min(1)  # (N, 36, 36)
    difference = mean - model.mean.to(mean)
    inverse = torch.linalg.pinv((model.covariance.to(mean) + covariance) / 2, hermitian=True)
    squared = torch.einsum("ni,nij,nj->n", difference, inverse, difference).clamp_min_(0)
    return torch.where(count[:, 0] >= 2, squared.sqrt(), torch.nan)


def _sharp_rows(images: Tensor, block_size: int) -> Tensor:
    """Return the features (rows, 36) of the sharp blocks of all images whose fit is defined."""
    rows, sharpness = _features(images, block_size)
    sharp = sharpness > SHARP * sharpness.amax(1, keepdim=True)
    return rows[sharp & rows.isfinite().all(2)]


def _features(images: Tensor, block_size: int) -> tuple[Tensor, Tensor]:
    """Return features (N, B, 36), with NaN where a fit is undefined, and sharpness (N, B).

    Sharpness is the mean local deviation in a block (eq. 4).
    """
    height, width = (side - side % block_size for side in images.shape[2:])
    grey = luma(images[..., :height, :width])
    coefficients, deviation = normalised_contrast(grey)
    for dim in (1, 2):
        grey = weighted_sum(continued(grey, dim, 3, 3), HALF, dim, step=2)
    smaller, _ = normalised_contrast(grey)
    scales = [
        _block_features(cut_blocks(coefficients, block_size)),
        _block_features(cut_blocks(smaller, block_size // 2)),
    ]
    return torch.cat(scales, 2), cut_blocks(deviation, block_size).mean((2, 3))


def _block_features(blocks: Tensor) -> Tensor:
    """Return the 18 features of each block, (N, B, side, side) -> (N, B, 18).

    They are shape and scale of the block, then for each of its four products the shape, mean and both scales.
    """
    alpha, left, right, _ = _fit_asymmetric_gaussian(blocks.flatten(2))
    features = [alpha, (left + right) / 2]
    for shift in NEIGHBOURS:
        products = blocks * blocks.roll(shift, (2, 3))
        alpha, left, right, mean = _fit_asymmetric_gaussian(products.flatten(2))
        features += [alpha, mean, left, right]
    return torch.stack(features, 2)


def _fit_asymmetric_gaussian(values: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Fit an asymmetric generalised Gaussian (eq. 6-8) to each of values (..., P).

    The fit is by moments (Lasmar et al. 2009).

    Returns:
        alpha, beta_l, beta_r and eta, (...) each; NaN if no value is negative, or none is positive.
    """
    table = _shapes().to(values.device)
    squares = values.square()
    left, right = ((squares * side).sum(-1).div(side.sum(-1)).sqrt() for side in (values < 0, values > 0))
    gamma = left / right
    ratio = (
        values.abs().mean(-1).square() / squares.mean(-1) * (gamma**3 + 1) * (gamma + 1) / (gamma**2 + 1) ** 2
    )
    above = torch.searchsorted(table[1].contiguous(), ratio.contiguous()).clamp(1, table.shape[1] - 1)
    nearest = above - (ratio - table[1, above - 1] <= table[1, above] - ratio).to(above.dtype)
    alpha, _, scale, mean = table[:, nearest]
    left, right = left * scale, right * scale
    return alpha, left, right, (right - left) * mean


@cache
def _shapes() -> Tensor:
    """Return a table (4, 9801) of functions of alpha, from 0.2 to 10 in steps of 0.001.

    With Γ the gamma function, its rows are

        alpha
        Γ(2/alpha)² / (Γ(1/alpha) Γ(3/alpha)), which grows with alpha
        sqrt(Γ(1/alpha) / Γ(3/alpha))
        Γ(2/alpha) / Γ(1/alpha)
    """
    alpha = 0.2 + 0.001 * torch.arange(9801, dtype=torch.float64)
    one, two, three = (torch.lgamma(k / alpha) for k in (1, 2, 3))
    return torch.stack([alpha, (2 * two - one - three).exp(), ((one - three) / 2).exp(), (two - one).exp()])


def require_block_size(block_size: int) -> int:
    """Return the block size. Raises MetricError if it is odd, or less than SMALLEST_BLOCK."""
    block_size = as_whole(block_size, "block_size")
    if block_size < SMALLEST_BLOCK or block_size % 2:
        raise MetricError(
            f"block_size must be an even number of at least {SMALLEST_BLOCK}; got {block_size}."
        )
    return block_size


def _require_blocks(images: Tensor, block_size: int, least: int) -> None:
    """Raise MetricError if images (N, C, H, W) have fewer than `least` (1 or 2) whole blocks."""
    require_block_size(block_size)
    height, width = images.shape[2:]
    if (height // block_size) * (width // block_size) >= least:
        return
    # of two blocks, since images are judged by two, also where a model is fitted to one of each
    largest = max(min(height, width // 2), min(height // 2, width)) // 2 * 2
    remedy = (
        f"Fit a model with a block_size of at most {largest}, or enlarge"
        if largest >= SMALLEST_BLOCK
        else "Enlarge"
    )
    raise MetricError(
        f"images must hold at least {least} whole blocks of {block_size}x{block_size}, so "
        f"{block_size}x{block_size * least} pixels or more; got {height}x{width}. {remedy} the images."
    )
