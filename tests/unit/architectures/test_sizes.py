"""Images of any size: which size is built for them, and what is cut off."""

import pytest
import torch

from ganguard.architectures.networks import faded
from ganguard.architectures.sizes import Canvas, canvas_of


@pytest.mark.parametrize(
    ("side", "bottom", "doublings"),
    [
        (8, 4, 1),
        (10, 5, 1),
        (12, 6, 1),
        (14, 7, 1),
        (16, 4, 2),
        (28, 7, 2),
        (32, 4, 3),
        (48, 6, 3),
        (80, 5, 4),
    ],
)
def test_a_square_that_can_be_built_is_built_as_it_is(side: int, bottom: int, doublings: int) -> None:
    channels, canvas = canvas_of((3, side, side), "sngan")
    assert (channels, canvas) == (3, Canvas((bottom, bottom), doublings, (side, side)))
    assert canvas.size == (side, side)
    images = torch.rand(2, 3, side, side)
    for same in (canvas.cropped(images), canvas.framed(images), canvas.continued(images)):
        assert same is images


def test_any_other_square_lies_in_the_next_larger_one() -> None:
    built = sorted(bottom * 2**k for bottom in (4, 5, 6, 7) for k in range(1, 8))
    for side in range(1, 600):
        _, canvas = canvas_of((1, side, side), "sngan")
        assert canvas.size == (next(size for size in built if size >= side),) * 2


@pytest.mark.parametrize(
    ("image", "size"),
    [
        ((12, 20), (12, 20)),
        ((48, 80), (48, 80)),
        ((13, 21), (14, 22)),
        ((5, 64), (8, 64)),
        ((64, 5), (64, 8)),
        ((33, 65), (40, 72)),
        ((218, 178), (224, 192)),
    ],
)
def test_the_smaller_side_decides_how_often_both_are_doubled(
    image: tuple[int, int], size: tuple[int, int]
) -> None:
    canvas = canvas_of((1, *image), "pggan")[1]
    assert canvas.size == size
    assert 4 <= min(canvas.bottom) <= 7


def test_what_is_framed_is_cropped_to_itself() -> None:
    images = torch.rand(2, 4, 5, 9) + 0.5
    canvas = canvas_of((4, 5, 9), "pggan")[1]
    for whole in (canvas.framed(images), canvas.continued(images)):
        assert whole.shape == (2, 4, *canvas.size) == (2, 4, 8, 10)
        assert torch.equal(canvas.cropped(whole), images)
    assert (canvas.framed(images) > 0).sum() == images.numel()
    assert (canvas.continued(images) >= 0.5).all()


@pytest.mark.parametrize("image", [(13, 21), (5, 64), (31, 31)])
def test_a_real_image_of_one_colour_does_not_fade_into_its_frame(image: tuple[int, int]) -> None:
    canvas = canvas_of((3, *image), "pggan")[1]
    levels = canvas.doublings + 1
    flat = torch.full((2, 3, *image), 0.75)
    for level in range(levels):
        for alpha in (0.3, 1.0):
            assert torch.allclose(faded(flat, canvas, level=level, alpha=alpha, levels=levels), flat)


def test_the_full_level_shows_real_images_as_they_are() -> None:
    canvas = canvas_of((1, 13, 21), "pggan")[1]
    images = torch.rand(2, 1, 13, 21)
    levels = canvas.doublings + 1
    assert torch.equal(faded(images, canvas, level=levels - 1, alpha=1.0, levels=levels), images)
