"""Damage against obvious slow twins that go pixel by pixel."""

import io
import math

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from ganguard.metrics.damages import (
    CLUSTERS,
    OF_IMAGES,
    blurred,
    checkered,
    coarse,
    fewer_modes,
    jpeg_coded,
    noisy,
    shuffled,
    tinted,
)

SHAPES = [(3, 1, 8, 8), (2, 3, 9, 12), (2, 3, 33, 16)]


def _images(shape: tuple[int, ...], seed: int = 0) -> Tensor:
    generator = np.random.default_rng(seed)
    return torch.from_numpy(generator.integers(0, 256, shape, dtype=np.uint8))


def _slowly_blurred(line: list[float], sigma: float) -> list[float]:
    """Blur a line; beyond its ends it goes on as in a mirror."""
    size, reach = len(line), max(1, round(4 * sigma))
    weights = [math.exp(-0.5 * (j / sigma) ** 2) for j in range(-reach, reach + 1)]
    found: list[float] = []
    for i in range(size):
        total = 0.0
        for j, weight in zip(range(-reach, reach + 1), weights, strict=True):
            at = i + j
            while not 0 <= at < size:
                at = -1 - at if at < 0 else 2 * size - 1 - at
            total += weight * line[at]
        found.append(total / sum(weights))
    return found


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("sigma", [0.5, 1.0, 4.0])
def test_a_blur_is_a_mean_of_neighbours(shape: tuple[int, ...], sigma: float) -> None:
    images = _images(shape)
    found = blurred(images, sigma)
    for image, got in zip(images.double().tolist(), found.double().tolist(), strict=True):
        for plane, of_plane in zip(image, got, strict=True):
            rows = [_slowly_blurred(line, sigma) for line in plane]
            columns = [_slowly_blurred([row[j] for row in rows], sigma) for j in range(len(rows[0]))]
            wanted = torch.tensor(columns, dtype=torch.float64).T
            assert (wanted - torch.tensor(of_plane, dtype=torch.float64)).abs().max() <= 0.501


@pytest.mark.parametrize("sigma", [0.5, 4.0])
def test_a_blur_leaves_flat_images_and_the_mean_brightness(sigma: float) -> None:
    flat = torch.full((1, 3, 10, 14), 77, dtype=torch.uint8)
    assert torch.equal(blurred(flat, sigma), flat)
    image = _images((1, 1, 64, 64))
    assert abs(blurred(image, sigma).double().mean() - image.double().mean()) < 0.5


@pytest.mark.parametrize("shape", SHAPES)
def test_jpeg_is_what_another_coder_shows(shape: tuple[int, ...]) -> None:
    images = blurred(_images(shape), 1.5)
    found = jpeg_coded(images, 50)
    for image, got in zip(images, found, strict=True):
        buffer = io.BytesIO()
        pixels = image.permute(1, 2, 0).numpy()
        Image.fromarray(pixels[..., 0] if len(image) == 1 else pixels).save(
            buffer, "JPEG", quality=50, subsampling=2
        )
        shown = np.atleast_3d(np.asarray(Image.open(buffer))).transpose(2, 0, 1)
        assert np.abs(shown.astype(int) - got.numpy().astype(int)).mean() < 3


def test_a_checkerboard_is_added_to_every_other_pixel() -> None:
    images = _images((2, 3, 5, 4))
    found = checkered(images, 32)
    for n, c, i, j in np.ndindex(*images.shape):
        sign = 1 if (i + j) % 2 else -1
        assert found[n, c, i, j] == min(255, max(0, int(images[n, c, i, j]) + sign * 32))


def test_noise_is_as_strong_as_it_says_and_a_function_of_its_seed() -> None:
    grey = torch.full((4, 3, 32, 32), 128, dtype=torch.uint8)
    found = noisy(grey, 10, 3)
    assert torch.equal(found, noisy(grey, 10, 3))
    assert not torch.equal(found, noisy(grey, 10, 4))
    assert abs(found.double().std() - 10) < 0.3
    assert abs(found.double().mean() - 128) < 0.5


def test_a_tint_is_red_for_blue_and_brightness_for_grey() -> None:
    colour = torch.full((1, 3, 4, 4), 100, dtype=torch.uint8)
    assert tinted(colour, 64)[0, :, 0, 0].tolist() == [164, 100, 36]
    assert tinted(colour, 200)[0, :, 0, 0].tolist() == [255, 100, 0]
    assert tinted(colour[:, :1], 64).unique().tolist() == [164]


def test_half_the_resolution_has_no_detail_of_single_pixels() -> None:
    stripes = torch.zeros(1, 1, 16, 16, dtype=torch.uint8)
    stripes[..., ::2] = 200
    assert coarse(stripes, 2)[..., 4:-4].float().std() < 5
    ramp = torch.arange(0, 160, 10, dtype=torch.uint8).expand(1, 1, 16, 16)
    assert (coarse(ramp, 2).float() - ramp.float()).abs()[..., 2:-2].max() <= 1
    assert coarse(_images((1, 3, 4, 5)), 4).shape == (1, 3, 4, 5)


@pytest.mark.parametrize("shape", [(3, 1, 8, 8), (4, 3, 9, 14), (2, 3, 4, 4)])
@pytest.mark.parametrize("pieces", [2, 4])
def test_patches_change_places_and_none_stays(shape: tuple[int, ...], pieces: int) -> None:
    images = _images(shape)
    found = shuffled(images, pieces)
    h, w = shape[2] // pieces, shape[3] // pieces
    for image, got in zip(images, found, strict=True):
        before, after = (
            [
                part[:, i * h : (i + 1) * h, j * w : (j + 1) * w].flatten().tolist()
                for i, j in np.ndindex(pieces, pieces)
            ]
            for part in (image, got)
        )
        assert sorted(before) == sorted(after)
        assert all(one != other for one, other in zip(before, after, strict=True))
        assert torch.equal(image[:, pieces * h :], got[:, pieces * h :])
        assert torch.equal(image[:, :, pieces * w :], got[:, :, pieces * w :])
    assert (
        len({tuple(part.flatten().tolist()) for part in shuffled(images[:1].expand(40, -1, -1, -1), pieces)})
        > 1
    )


@pytest.mark.parametrize(("share", "lost"), [(0.1, 1), (0.2, 2), (0.5, 5), (0.9, 9), (1.0, 9)])
def test_dropped_modes_are_replaced_by_repeats_of_the_others(share: float, lost: int) -> None:
    generator = torch.Generator().manual_seed(0)
    place = torch.arange(200) % CLUSTERS
    features = 100.0 * place[:, None] + torch.randn(200, 3, generator=generator)
    found = fewer_modes(features, share)
    assert found.shape == features.shape
    left = set(found[:, 0].div(100).round().int().tolist())
    assert len(left) == CLUSTERS - lost
    whole = {tuple(row) for row in features.tolist()}
    assert {tuple(row) for row in found.tolist()} <= whole
    kept = torch.tensor([p in left for p in place.tolist()])
    assert torch.equal(found[kept], features[kept])


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("distinct", [1, 2, 7])
def test_few_distinct_rows_have_as_many_modes(distinct: int) -> None:
    features = (torch.arange(30) % distinct)[:, None] * torch.ones(30, 4)
    found = fewer_modes(features, 0.9)
    assert len(found.unique(dim=0)) == 1 and {*found[:, 0].tolist()} <= {*features[:, 0].tolist()}


@pytest.mark.parametrize("name", OF_IMAGES)
@pytest.mark.parametrize("shape", [(2, 1, 4, 4), (2, 3, 7, 5)])
def test_every_damage_keeps_shape_kind_and_its_argument(name: str, shape: tuple[int, ...]) -> None:
    images = _images(shape)
    before = images.clone()
    found = OF_IMAGES[name](images, 4.0, 0)
    assert (found.shape, found.dtype) == (images.shape, torch.uint8)
    assert torch.equal(images, before)
    assert torch.equal(found, OF_IMAGES[name](images, 4.0, 0))
