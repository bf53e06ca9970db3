import numpy as np
import pytest
import torch

from ganguard.base.errors import DataError
from ganguard.data.dataset import RealImages
from ganguard.data.splits import halves, split


def _real(labels: list[int] | None, count: int = 0, pixel: int = 0) -> RealImages:
    size = len(labels) if labels is not None else count
    images = torch.full((size, 1, 2, 2), pixel, dtype=torch.uint8)
    return RealImages(images, None if labels is None else torch.tensor(labels), ())


UNBALANCED = [0] * 100 + [1] * 20 + [2] * 10


def test_every_row_is_in_one_part() -> None:
    parts = split(_real(UNBALANCED))
    rows = torch.cat([parts.train, parts.reference])
    assert rows.sort().values.tolist() == list(range(130))


def test_each_class_is_split_70_to_30() -> None:
    labels = torch.tensor(UNBALANCED)
    parts = split(_real(UNBALANCED))
    assert torch.bincount(labels[parts.train]).tolist() == [70, 14, 7]
    assert torch.bincount(labels[parts.reference]).tolist() == [30, 6, 3]


def test_without_labels_the_whole_is_split_70_to_30() -> None:
    parts = split(_real(None, count=50))
    assert (len(parts.train), len(parts.reference)) == (35, 15)


def test_rows_are_sorted() -> None:
    parts = split(_real(UNBALANCED))
    for rows in (parts.train, parts.reference):
        assert rows.dtype == torch.int64
        assert (rows.diff() > 0).all()


def test_the_split_is_not_a_prefix() -> None:
    """Files are often sorted by when or by whom they were made."""
    train = split(_real(None, count=200)).train
    assert 40 <= (train < 100).sum() <= 95
    assert train.tolist() != list(range(140))


def test_nothing_but_index_and_label_matters() -> None:
    """Neither pixels, nor a global seed, nor an earlier call: the set that grades never varies."""
    before = split(_real(UNBALANCED))
    torch.manual_seed(5)
    after = split(_real(UNBALANCED, pixel=200))
    assert torch.equal(before.train, after.train)


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_images_are_refused(count: int) -> None:
    with pytest.raises(DataError, match=f"^{count} real images are too few"):
        split(_real(None, count=count))


def test_two_images_are_the_least_that_can_be_split() -> None:
    parts = split(_real(None, count=2))
    assert (len(parts.train), len(parts.reference)) == (1, 1)


@pytest.mark.parametrize("count", [1, 2, 7, 100])
def test_halves_are_disjoint_complete_and_equal_to_within_one(count: int) -> None:
    first, second = halves(count)
    assert sorted(first.tolist() + second.tolist()) == list(range(count))
    assert 0 <= len(first) - len(second) <= 1


def test_halves_hold_each_class_equally() -> None:
    labels = torch.tensor([0] * 31 + [1] * 12 + [2] * 50)
    first, second = halves(93, labels)
    assert sorted(first.tolist() + second.tolist()) == list(range(93))
    assert (labels[first].bincount() - labels[second].bincount()).abs().max() <= 1


def test_halves_are_mixed_and_repeatable() -> None:
    first, second = halves(400)
    assert torch.equal(first, halves(400)[0])
    assert abs(np.mean(first.tolist()) - np.mean(second.tolist())) < 60  # two thirds of the data apart if cut in the middle
