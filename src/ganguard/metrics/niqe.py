"""NIQE, quality of an image by its distance from natural images (Mittal, Soundararajan & Bovik 2013, "Making
a 'completely blind' image quality analyzer", IEEE SPL 20(3)), as in the authors' MATLAB code.

Blocks of an image give 18 features at each of two scales: fits of generalised Gaussians to its normalised
contrast and to the products of neighbours in it. A multivariate Gaussian of such features from sharp blocks
of good images is the model; an image's score is how far the Gaussian of its own blocks is from it:

    D = sqrt((nu_1 - nu_2)^T ((S_1 + S_2) / 2)^-1 (nu_1 - nu_2))                                            (eq. 10)

The published model is of blocks of 96x96. Small images want a model of smaller blocks, fitted to real images
of their kind.
"""

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from ganguard.base.cache import write_tensors
from ganguard.base.codecs import read_tensors
from ganguard.base.errors import CheckpointError, MetricError
from ganguard.base.settings import Positive, Settings, one_line
from ganguard.metrics.piqe import (
    chunks,
    continued,
    cut_blocks,
    luma,
    normalised_contrast,
    require_pixels,
    weighted_sum,
)

FEATURES = 36  # of a block: 18 at each of two scales
PUBLISHED_BLOCK = 96  # pixels of a side
SMALLEST_BLOCK = 8  # pixels of a side: at the second scale 16 pixels are left to fit five Gaussians to
SHARP = (
    0.75  # a block is fitted to if it is sharper than this share of its image's sharpest one (the paper's T)
)
NEIGHBOURS = ((0, 1), (1, 0), (1, 1), (1, -1))  # rows down and columns right of the other pixel of a product
HALF = (-3 / 256, -9 / 256, 29 / 256, 111 / 256, 111 / 256, 29 / 256, -9 / 256, -3 / 256)
# the bicubic kernel (a = -1/2) stretched to twice its width, at half-pixel offsets: MATLAB's imresize by 0.5


@dataclass(frozen=True, eq=False)
class NiqeModel:
    """What good images are like: mean (36,) and covariance (36, 36) float64 of the features of blocks of
    block_size pixels a side. Raises MetricError for other shapes, NaN, a covariance that is not symmetric, or
    an unfit block size."""

    mean: Tensor
    covariance: Tensor
    block_size: int

    def __post_init__(self) -> None:
        require_block_size(self.block_size)
        shapes, wanted = (
            (tuple(self.mean.shape), tuple(self.covariance.shape)),
            ((FEATURES,), (FEATURES, FEATURES)),
        )
        if shapes != wanted:
            raise MetricError(
                f"mean and covariance of a NIQE model must be of shapes {wanted}; got {shapes}."
            )
        if not (self.mean.isfinite().all() and self.covariance.isfinite().all()):
            raise MetricError("a NIQE model must be finite; got NaN or infinity. Fit it anew.")
        if not torch.allclose(self.covariance, self.covariance.T):
            raise MetricError(
                "the covariance of a NIQE model must be symmetric; got another matrix. Fit it anew."
            )

    def save(self, path: Path) -> None:
        """Write the model to one safetensors file. Raises OSError where it cannot be written."""
        tensors = {"mean": self.mean.cpu(), "covariance": self.covariance.cpu()}
        write_tensors(path, tensors, {"niqe": _Description(block_size=self.block_size).model_dump_json()})

    @staticmethod
    def load(path: Path) -> "NiqeModel":
        """Read back what `save` wrote. Raises CheckpointError where it is absent, or is no whole model."""
        try:
            tensors, texts = read_tensors(path)
            description = _Description.model_validate(json.loads(texts["niqe"]))
            mean, covariance = (tensors[name].to(torch.float64) for name in ("mean", "covariance"))
            return NiqeModel(mean, covariance, description.block_size)
        except (KeyError, ValueError, RecursionError, MetricError) as problem:
            raise CheckpointError(
                f"{path}: not a NIQE model ({one_line(problem, 160)}). Fit and save it anew."
            ) from None


class _Description(Settings):
    format: Literal[1] = 1
    block_size: Positive


def niqe_block(image_shape: Sequence[int]) -> int:
    """Pixels of a side of the blocks that suit images (C, H, W): 96, as published, or for small images half
    their side."""
    return min(PUBLISHED_BLOCK, min(image_shape[-2:]) // 4 * 2)  # an even number


def fit_niqe(images: Tensor | Iterable[Tensor], *, block_size: int) -> NiqeModel:
    """The model of good images of any kind, from blocks of block_size x block_size pixels.

    images: (N, C, H, W) uint8, or parts of them one after the other, of which one at a time is held.
    block_size: even, at least 8, and at most H and W; pixels beyond the last whole block are left out. Of
    every image only the blocks sharper than 0.75 of its sharpest one are learnt from. At least 37; the paper
    took them of 125 photos.

    Raises MetricError for other images, an unfit block size, or too few blocks with texture; it says how many
    images do.
    """
    found, count = [torch.empty(0, FEATURES, dtype=torch.float64)], 0
    for part in [images] if isinstance(images, Tensor) else images:
        require_pixels(part)
        _require_blocks(part, block_size, 1)
        found += [_sharp_rows(chunk, block_size) for chunk in chunks(part)]
        count += len(part)
    rows = torch.cat([part.to(found[-1].device) for part in found])
    if len(rows) <= FEATURES:
        enough = math.ceil(count * (FEATURES + 1) / len(rows)) if len(rows) else FEATURES + 1
        raise MetricError(
            f"a NIQE model must be fitted to at least {FEATURES + 1} sharp blocks of "
            f"{block_size}x{block_size} with texture; {count} images have {len(rows)}. Give about {enough} "
            "such images."
        )
    covariance = torch.cov(rows.T)
    if (rank := int(torch.linalg.matrix_rank(covariance, hermitian=True))) < FEATURES:
        raise MetricError(
            f"images of a NIQE model must differ in all {FEATURES} features; got {rank}. Give images less "
            "alike."
        )
    return NiqeModel(rows.mean(0), covariance, block_size)


def niqe(images: Tensor, model: NiqeModel) -> Tensor:
    """Distances (N,) float64 of images (N, C, H, W) uint8 from the model, on their device; at least 0, lower
    is more natural.

    Colours are (R, G, B), of which grey is taken. Blocks are whole ones of the model's size; those without
    texture, of which the fit is undefined, are left out (the published code counts some of their features
    in). Images are scored one by one: a score does not depend on the others. Compare only scores by one
    model, of images of one size.

    Raises MetricError for other images, images of fewer than two blocks, or with fewer than two that have
    texture, such as empty ones, which it names: `has_texture` finds them.
    """
    distances = _distances(images, model)
    if flat := distances.isnan().nonzero()[:, 0].tolist():
        named = ", ".join(map(str, flat[:5])) + (" …" if len(flat) > 5 else "")
        raise MetricError(
            f"every image must have at least 2 blocks with texture for NIQE; {len(flat)} of {len(images)} "
            f"have not (index {named}). Leave out those without (`has_texture`), and say how many they were."
        )
    return distances


def has_texture(images: Tensor, model: NiqeModel) -> Tensor:
    """Which of images (N, C, H, W) `niqe` can score, (N,) bool: two blocks or more have texture. Refuses
    others as it does."""
    return _distances(images, model).isfinite()


def _distances(images: Tensor, model: NiqeModel) -> Tensor:
    """Equation 10 for each image, (N,); NaN where fewer than two blocks have texture."""
    require_pixels(images)
    _require_blocks(images, model.block_size, 2)
    return torch.cat([_distance(_features(chunk, model.block_size)[0], model) for chunk in chunks(images)])


def _distance(rows: Tensor, model: NiqeModel) -> Tensor:
    """Of features (N, B, 36), some of them NaN, from the model: (N,)."""
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
    """Features (rows, 36) of the sharp blocks of all images whose fit is defined."""
    rows, sharpness = _features(images, block_size)
    sharp = sharpness > SHARP * sharpness.amax(1, keepdim=True)
    return rows[sharp & rows.isfinite().all(2)]


def _features(images: Tensor, block_size: int) -> tuple[Tensor, Tensor]:
    """Features (N, B, 36), with NaN where a fit is undefined, and sharpness (N, B), the mean local deviation
    (eq. 4)."""
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
    """(N, B, side, side) -> (N, B, 18): shape and scale of a block, then of its four products shape, mean and
    both scales."""
    alpha, left, right, _ = _fit_asymmetric_gaussian(blocks.flatten(2))
    features = [alpha, (left + right) / 2]
    for shift in NEIGHBOURS:
        products = blocks * blocks.roll(shift, (2, 3))
        alpha, left, right, mean = _fit_asymmetric_gaussian(products.flatten(2))
        features += [alpha, mean, left, right]
    return torch.stack(features, 2)


def _fit_asymmetric_gaussian(values: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """alpha, beta_l, beta_r and eta of the asymmetric generalised Gaussian (eq. 6-8) for each of (..., P), by
    moments (Lasmar et al. 2009). NaN where no value is negative, or none is positive."""
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
    """(4, 9801): alpha from 0.2 to 10 in steps of 0.001, and for each, with G the gamma function, G(2/alpha)²
    / (G(1/alpha) G(3/alpha)), which grows with alpha; sqrt(G(1/alpha) / G(3/alpha)); and G(2/alpha) /
    G(1/alpha)."""
    alpha = 0.2 + 0.001 * torch.arange(9801, dtype=torch.float64)
    one, two, three = (torch.lgamma(k / alpha) for k in (1, 2, 3))
    return torch.stack([alpha, (2 * two - one - three).exp(), ((one - three) / 2).exp(), (two - one).exp()])


def require_block_size(block_size: int) -> None:
    if block_size < SMALLEST_BLOCK or block_size % 2:
        raise MetricError(
            f"block_size must be an even number of at least {SMALLEST_BLOCK}; got {block_size}."
        )


def _require_blocks(images: Tensor, block_size: int, least: int) -> None:
    """Raises MetricError where images (N, C, H, W) have fewer than `least` (1 or 2) whole blocks."""
    require_block_size(block_size)
    height, width = images.shape[2:]
    if (height // block_size) * (width // block_size) >= least:
        return
    largest = max(min(height, width // least), min(height // least, width)) // 2 * 2
    remedy = (
        f"Fit a model with a block_size of at most {largest}, or enlarge"
        if largest >= SMALLEST_BLOCK
        else "Enlarge"
    )
    raise MetricError(
        f"images must hold at least {least} whole blocks of {block_size}x{block_size}, so "
        f"{block_size}x{block_size * least} pixels or more; got {height}x{width}. {remedy} the images."
    )
