"""Batches of images have the same bits wherever the images lie."""

import pytest
import torch
from torch import Tensor

from ganguard.base import image_rows
from ganguard.base.image_rows import ImageRows, Images
from ganguard.training.device import batch, fits, moved, placed

CPU = torch.device("cpu")


@pytest.fixture
def rows() -> ImageRows:
    images = torch.arange(40, dtype=torch.uint8).view(10, 1, 2, 2)
    return ImageRows(images, torch.tensor([9, 1, 4, 4, 0]))


def _tensor(rows: ImageRows) -> Tensor:
    return rows.images[rows.rows]


def test_on_a_cpu_nothing_is_copied(rows: ImageRows) -> None:
    assert placed(rows, CPU) is rows
    assert placed(rows.images, CPU) is rows.images


@pytest.mark.parametrize("part", [1, 2, 100])
def test_rows_are_moved_part_by_part(rows: ImageRows, part: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_rows, "PART", part)
    assert torch.equal(moved(rows, CPU), _tensor(rows))


def test_a_batch_is_the_same_from_rows_and_from_a_tensor(rows: ImageRows) -> None:
    places = torch.tensor([3, 3, 0, 2])
    sources: list[Images] = [rows, _tensor(rows)]
    assert all(torch.equal(batch(source, places, CPU), _tensor(rows)[places]) for source in sources)


def test_half_of_what_is_free_may_be_taken() -> None:
    assert fits((10, 3, 4, 4), 960)
    assert not fits((10, 3, 4, 4), 959)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device is here")
@pytest.mark.parametrize("free", [1 << 30, 1])
def test_a_gpu_gets_the_same_batches_from_its_own_memory_and_from_elsewhere(
    rows: ImageRows, free: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    device, places = torch.device("cuda"), torch.tensor([3, 3, 0, 2])
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (free, free))
    there = placed(rows, device)
    assert isinstance(there, Tensor) == (free > 1)
    assert torch.equal(batch(there, places, device).cpu(), _tensor(rows)[places])
