import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from ganguard.data.dataset import RealImages
from ganguard.data.digits import Digits


@pytest.fixture(scope="module")
def digits() -> RealImages:
    return Digits().load()


def test_there_are_all_the_scans_with_their_labels(digits: RealImages) -> None:
    assert tuple(digits.images.shape) == (1797, 1, 8, 8)
    assert digits.images.dtype == torch.uint8
    assert digits.classes == tuple("0123456789")
    assert torch.bincount(digits.labels).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]


def test_ink_is_spread_over_the_whole_range(digits: RealImages) -> None:
    """17 levels stay 17 levels; no ink is 0 and full ink is 255."""
    assert digits.images.unique().tolist() == [round(level * 255 / 16) for level in range(17)]


def test_image_and_label_belong_together(digits: RealImages) -> None:
    source = load_digits()
    ink = digits.images[:, 0].numpy().astype(float) * 16 / 255
    assert np.array_equal(ink.round(), source.images)
    assert np.array_equal(digits.labels.numpy(), source.target)


def test_larger_digits_are_the_same_enlarged(digits: RealImages) -> None:
    larger = Digits(size=16).load()
    assert tuple(larger.images.shape) == (1797, 1, 16, 16)
    assert torch.equal(larger.labels, digits.labels)  # type: ignore[arg-type]
    averaged = torch.nn.functional.avg_pool2d(larger.images.float(), 2)
    both = torch.stack([averaged.flatten(), digits.images.float().flatten()])
    assert torch.corrcoef(both)[0, 1] > 0.99
