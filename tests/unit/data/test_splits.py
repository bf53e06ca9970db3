import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ganguard.base.errors import DataError
from ganguard.data.dataset import RealImages
from ganguard.data.splits import adversary_split, halves, some_of, split


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
    with pytest.raises(DataError, match=f"^{count} real image(s are| is) too few"):
        split(_real(None, count=count))


def test_two_images_are_the_least_that_can_be_split() -> None:
    parts = split(_real(None, count=2))
    assert (len(parts.train), len(parts.reference)) == (1, 1)


def _grouped(groups: list[int], labels: list[int] | None = None) -> RealImages:
    images = torch.zeros(len(groups), 1, 2, 2, dtype=torch.uint8)
    return RealImages(images, None if labels is None else torch.tensor(labels), (), torch.tensor(groups))


GROUPS = st.lists(st.integers(0, 30), min_size=2, max_size=200).filter(lambda groups: len(set(groups)) > 1)


@given(GROUPS)
def test_no_group_is_in_both_parts_and_neither_part_is_empty(groups: list[int]) -> None:
    parts = split(_grouped(groups))
    numbers = torch.tensor(groups)
    assert not set(numbers[parts.train].tolist()) & set(numbers[parts.reference].tolist())
    assert torch.cat([parts.train, parts.reference]).sort().values.tolist() == list(range(len(groups)))
    assert len(parts.train) > 0
    assert len(parts.reference) > 0


@given(GROUPS)
def test_groups_are_split_as_near_to_70_to_30_as_half_of_the_largest_allows(groups: list[int]) -> None:
    """Where one group holds more than 70 %, either part may have to take it."""
    largest = torch.tensor(groups).bincount().max().item()
    excess = abs(len(split(_grouped(groups)).train) - 0.7 * len(groups))
    assert excess <= (largest / 2 if largest <= 0.3 * len(groups) else largest)


def test_ten_equal_groups_are_split_seven_to_three() -> None:
    groups = torch.arange(1000) % 10
    parts = split(_grouped(groups.tolist()))
    assert len(groups[parts.train].unique()) == 7
    assert (len(parts.train), len(parts.reference)) == (700, 300)


@given(GROUPS, st.randoms(use_true_random=False))
def test_the_order_of_the_images_does_not_matter_to_their_groups(groups: list[int], random: object) -> None:
    mixed = list(groups)
    random.shuffle(mixed)
    first, second = split(_grouped(groups)), split(_grouped(mixed))
    assert set(torch.tensor(groups)[first.train].tolist()) == set(torch.tensor(mixed)[second.train].tolist())


def test_the_number_of_a_group_decides_not_its_rank() -> None:
    """Of two equal groups, neither the lower nor the higher number is always the one to train on."""
    trained_on_the_lower = {split(_grouped([number, number + 1])).train.item() == 0 for number in range(12)}
    assert trained_on_the_lower == {True, False}


def test_whole_groups_come_before_equal_shares_of_classes() -> None:
    labelled, plain = _grouped([0, 0, 1, 1, 2, 2], [0, 1] * 3), _grouped([0, 0, 1, 1, 2, 2])
    assert torch.equal(split(labelled).train, split(plain).train)


def test_two_groups_are_the_least_that_can_be_split() -> None:
    for groups in ([0] * 90 + [1], [0] + [1] * 90):  # either way round, whichever the hash takes first
        parts = split(_grouped(groups))
        assert sorted([len(parts.train), len(parts.reference)]) == [1, 90]
    with pytest.raises(DataError, match=r"^5 real images in fewer than 2 groups .* at least 2 groups"):
        split(_grouped([3] * 5))
    with pytest.raises(DataError, match=r"^0 real images"):
        split(
            RealImages(
                torch.zeros(0, 1, 2, 2, dtype=torch.uint8), None, (), torch.zeros(0, dtype=torch.int64)
            )
        )


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
    assert (
        abs(np.mean(first.tolist()) - np.mean(second.tolist())) < 60
    )  # two thirds of the data apart if cut in the middle


def test_an_adversarys_judge_holds_out_whole_groups() -> None:
    groups = torch.arange(200) // 10
    own, judged = adversary_split(torch.arange(200), 0.5, seed=0, groups=groups)
    assert len(own) + len(judged) == 100
    assert not set(groups[own].tolist()) & set(groups[judged].tolist())
    assert 20 <= len(judged) <= 40


def test_an_adversary_of_one_group_is_refused() -> None:
    with pytest.raises(DataError, match="fewer than 2 groups"):
        adversary_split(torch.arange(60), 0.5, seed=0, groups=torch.zeros(60, dtype=torch.int64))
    said = "leave 3 to the judge, who needs at least 2, and 3 to train with, which needs at least 4"
    with pytest.raises(DataError, match=said):
        adversary_split(torch.arange(6), 1.0, seed=0, groups=torch.tensor([0, 0, 0, 1, 1, 2]))


def test_some_images_of_a_seed_are_part_of_more() -> None:
    train = torch.arange(100, 200)
    few, more = (some_of(train, count, seed=3) for count in (10, 40))
    assert set(few.tolist()) < set(more.tolist()) < set(train.tolist())
    assert (len(few), len(more)) == (10, 40)
    assert torch.equal(some_of(train, None, seed=3), train)
    assert not torch.equal(some_of(train, 10, seed=4), few)
    with pytest.raises(DataError, match="at most the training images of the domain, 100; got 101"):
        some_of(train, 101, seed=0)
