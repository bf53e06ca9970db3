import pytest
import torch

from ganguard.architectures import networks
from ganguard.base.errors import DataError
from ganguard.cli import options
from ganguard.data import crops
from ganguard.data.crops import Crop, prepare

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
    assert crops.MOST_SIDE == networks.MOST_SIDE == options.MOST_SIDE
