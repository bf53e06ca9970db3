"""Rows of images are what the tensor of them would be."""

import pytest
import torch
from torch import Tensor

from ganguard.base import image_rows
from ganguard.base.cache import tensor_digest
from ganguard.base.image_rows import ImageRows
from ganguard.base.images import shape_of


@pytest.fixture
def images() -> Tensor:
    return torch.arange(10 * 3 * 4 * 4, dtype=torch.int64).remainder(256).to(torch.uint8).view(10, 3, 4, 4)


@pytest.mark.parametrize("rows", [[7, 0, 3], [5], []])
def test_they_are_indexed_and_counted_as_the_tensor_is(images: Tensor, rows: list[int]) -> None:
    chosen = torch.tensor(rows, dtype=torch.int64)
    some = ImageRows(images, chosen)
    assert (len(some), some.shape, shape_of(some)) == (len(rows), tuple(images[chosen].shape), (3, 4, 4))
    places = torch.arange(len(rows)).flip(0).repeat(2)
    assert torch.equal(some[places], images[chosen][places])


@pytest.mark.parametrize("part", [1, 2, 3, 100])
@pytest.mark.parametrize("rows", [[7, 0, 3], list(range(10)), []])
def test_their_digest_is_that_of_the_tensor(
    images: Tensor, rows: list[int], part: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A training may begin with a tensor and go on with rows, or the other way round."""
    monkeypatch.setattr(image_rows, "PART", part)
    chosen = torch.tensor(rows, dtype=torch.int64)
    assert tensor_digest({"images": ImageRows(images, chosen)}) == tensor_digest({"images": images[chosen]})


def test_other_rows_have_another_digest(images: Tensor) -> None:
    one, other = (
        tensor_digest({"images": ImageRows(images, torch.tensor(rows))}) for rows in ([1, 2], [2, 1])
    )
    assert one != other
