import pytest
import torch
from pydantic import BaseModel, ValidationError

from ganguard.architectures import sizes
from ganguard.base.errors import DataError
from ganguard.data import crops
from ganguard.data.crops import Crop, Size, prepare

FACE = (
    (torch.arange(218)[:, None] + torch.arange(178)).remainder(251).to(torch.uint8)[None]
)  # CelebA's 178x218


@pytest.mark.parametrize(
    ("crop", "rows", "columns"),
    [
        ("celeba", slice(20, 198), slice(0, 178)),
        ("celeba_pggan", slice(57, 185), slice(25, 153)),
        ("none", slice(0, 218), slice(0, 178)),
        ("centre", slice(0, 218), slice(0, 178)),
    ],
)
def test_a_crop_takes_its_rows_and_columns(crop: Crop, rows: slice, columns: slice) -> None:
    assert torch.equal(prepare(FACE, crop, None, "a"), FACE[:, rows, columns])


@pytest.mark.parametrize("crop", ["centre", "celeba", "celeba_pggan", "none"])
def test_a_size_is_the_side_of_what_comes(crop: Crop) -> None:
    assert prepare(FACE, crop, 64, "a").shape == (1, 64, 64)


@pytest.mark.parametrize("crop", ["celeba", "celeba_pggan"])
def test_an_image_smaller_than_the_crop_is_named(crop: Crop) -> None:
    with pytest.raises(DataError, match=rf"^a\.png: 100x218 pixels, but crop {crop}"):
        prepare(FACE[:, :, :100], crop, 64, "a.png")


def test_what_is_read_and_what_is_made_have_one_largest_side() -> None:
    assert crops.MOST_SIDE == sizes.MOST_SIDE == 8192


class _Sized(BaseModel):
    size: Size


@pytest.mark.parametrize(
    ("given", "kept", "both"),
    [
        (64, 64, (64, 64)),
        ("64", None, None),
        ("80x48", "80x48", (48, 80)),
        ("80X48", "80x48", (48, 80)),
        (" 1x8192 ", "1x8192", (8192, 1)),
        ("32x32", 32, (32, 32)),
        ("8193x8", None, None),
        ("0x8", None, None),
        ("-8x8", None, None),
        ("8x", None, None),
        ("", None, None),
        (True, None, None),
        (8.0, None, None),
        ([48, 80], None, None),
    ],
)
def test_a_size_is_a_side_or_width_x_height(
    given: object, kept: int | str | None, both: tuple[int, int] | None
) -> None:
    if kept is None or both is None:
        with pytest.raises(ValidationError, match="must be a side of 1 to 8192 pixels, or WIDTHxHEIGHT"):
            _Sized.model_validate({"size": given})
        return
    size = _Sized.model_validate({"size": given}).size
    assert size == kept
    assert crops.sides(size) == both
    assert _Sized.model_validate_json(_Sized(size=size).model_dump_json()).size == size


def test_the_largest_part_of_those_proportions_is_taken() -> None:
    rows = torch.arange(100).view(1, -1, 1).expand(1, 100, 60).to(torch.uint8)
    columns = torch.arange(60).view(1, 1, -1).expand(1, 100, 60).to(torch.uint8)
    for picture, size, ends in (
        (rows, "60x40", (30, 69)),  # too tall: the middle 40 rows
        (columns, "60x40", (0, 59)),
        (columns, "30x100", (15, 44)),  # too wide: the middle 30 columns
        (rows, "30x100", (0, 99)),
    ):
        made = prepare(picture, "centre", size, "a")
        assert tuple(made.shape[1:]) == crops.sides(size)
        assert (int(made.min()), int(made.max())) == ends
    assert prepare(rows, "none", "30x20", "a").shape == (1, 20, 30)
    assert int(prepare(rows, "none", "30x20", "a").min()) <= 2
