"""Attributes of drawn shapes whose order, or value, is known."""

import math

import pytest
import torch
from torch import Tensor

from ganguard.base.errors import MetricError
from ganguard.metrics.attributes import slant, stroke_thickness

SAME = 1e-9  # float64 sums of a few hundred pixels


def _stroke(side: int, degrees: float, width: float, ink: float = 1.0) -> Tensor:
    """A long straight stroke, `degrees` to the right of upright, (1, 1, side, side) uint8."""
    y, x = torch.meshgrid(*[torch.arange(side) - (side - 1) / 2] * 2, indexing="ij")
    along = torch.tensor([math.sin(math.radians(degrees)), -math.cos(math.radians(degrees))])  # x, y
    across = (x * along[1] - y * along[0]).abs()
    inside = (width / 2 + 0.5 - across).clamp(0, 1) * ((x * along[0] + y * along[1]).abs() <= 0.35 * side)
    return (inside * 255 * ink).round().to(torch.uint8)[None, None]


def _drawn(rows: list[str]) -> Tensor:
    return torch.tensor([[255 * (pixel == "#") for pixel in row] for row in rows], dtype=torch.uint8)[
        None, None
    ]


@pytest.mark.parametrize("side", [8, 28, 64])
def test_strokes_that_lean_more_score_more(side: int) -> None:
    degrees = [-30, -15, 0, 15, 30]
    found = slant(torch.cat([_stroke(side, angle, side / 8) for angle in degrees])).tolist()
    assert found == sorted(found)
    assert found[2] == pytest.approx(0, abs=SAME)
    assert found[3] == pytest.approx(-found[1], abs=SAME)
    if side == 64:
        assert found == pytest.approx(degrees, abs=2)


def test_a_sheared_box_leans_by_its_shear() -> None:
    box = torch.zeros(1, 1, 33, 40, dtype=torch.uint8)
    for y in range(33):
        left = 20 - y // 2  # a pixel to the left every two rows down
        box[0, 0, y, left : left + 4] = 255
    assert slant(box).item() == pytest.approx(math.degrees(math.atan(0.5)), abs=0.3)


@pytest.mark.parametrize("side", [8, 28])
def test_thicker_strokes_score_more_whichever_way_they_lean(side: int) -> None:
    for degrees in (-40, 0, 20):
        widths = [side / 10, side / 7, side / 5, side / 3]
        found = stroke_thickness(torch.cat([_stroke(side, degrees, width) for width in widths])).tolist()
        assert found == sorted(found)
        assert found[-1] > 1.2 * found[0]


@pytest.mark.parametrize("width", [1, 2, 3, 5])
def test_an_upright_stroke_has_its_width_but_for_its_ends(width: int) -> None:
    image = torch.zeros(1, 1, 200, 20, dtype=torch.uint8)
    image[..., 5 : 5 + width] = 255
    assert stroke_thickness(image).item() == pytest.approx(
        200 * width / (200 + width), rel=0.01
    )  # 2 * area / perimeter


def test_a_ring_is_as_thick_as_the_line_it_is_drawn_with() -> None:
    y, x = torch.meshgrid(*[torch.arange(64) - 31.5] * 2, indexing="ij")
    for width in (3, 6):
        ring = (width / 2 + 0.5 - (torch.hypot(x, y) - 20).abs()).clamp(0, 1)
        assert stroke_thickness((ring * 255).to(torch.uint8)[None, None]).item() == pytest.approx(
            width, rel=0.1
        )


def test_a_blurred_edge_is_no_thicker_stroke() -> None:
    sharp = torch.tensor([0, 0, 0, 255, 255, 255, 255, 0, 0, 0], dtype=torch.uint8)
    soft = torch.tensor([0, 0, 64, 191, 255, 255, 191, 64, 0, 0], dtype=torch.uint8)  # as much ink
    found = [stroke_thickness(row.expand(1, 1, 50, 10)).item() for row in (sharp, soft)]
    assert found[1] == pytest.approx(found[0], rel=0.02)


def test_mirrored_images_lean_the_other_way_and_are_as_thick() -> None:
    images = torch.randint(
        0, 256, (6, 1, 8, 9), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )
    for dim in (2, 3):
        assert torch.allclose(slant(images.flip(dim)), -slant(images), atol=SAME)
        assert torch.allclose(stroke_thickness(images.flip(dim)), stroke_thickness(images), atol=SAME)


def test_contrast_place_and_company_do_not_count() -> None:
    seven = _drawn(
        ["........", ".####...", "....#...", "...#....", "..##....", "........", "........", "........"]
    )
    faint, moved = seven // 5, seven.roll((2, 2), (2, 3))
    for measure in (slant, stroke_thickness):
        alone = measure(seven)
        assert measure(torch.cat([faint, moved, seven])).tolist() == pytest.approx(
            [alone.item()] * 3, abs=SAME
        )
        assert measure(seven.expand(1, 3, 8, 8)).item() == pytest.approx(alone.item(), abs=SAME)


@pytest.mark.parametrize("shape", [(1, 1), (1, 8), (8, 1), (8, 8)])
def test_any_image_has_finite_attributes(shape: tuple[int, int]) -> None:
    for level in (0, 1, 255):
        image = torch.full((2, 1, *shape), level, dtype=torch.uint8)
        assert slant(image).tolist() == [0, 0]
        assert torch.isfinite(stroke_thickness(image)).all()
    assert stroke_thickness(torch.zeros(1, 1, *shape, dtype=torch.uint8)).item() == 0


def test_no_images_have_no_attributes_and_others_are_refused() -> None:
    for measure in (slant, stroke_thickness):
        assert measure(torch.zeros(0, 1, 8, 8, dtype=torch.uint8)).shape == (0,)
        with pytest.raises(MetricError, match="images must be a uint8 tensor"):
            measure(torch.zeros(2, 1, 8, 8))
        with pytest.raises(MetricError, match="H and W of at least 1"):
            measure(torch.zeros(2, 1, 0, 8, dtype=torch.uint8))
