"""Numbers by class: each class beside its own, the classes that occur, and what was asked for."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from ganguard.base.errors import MetricError
from ganguard.metrics import class_consistency, class_coverage, frechet_distance, frechet_within_classes
from ganguard.metrics.frechet_error import frechet_error


def rows(count: int, seed: int, width: int = 3) -> Tensor:
    return torch.randn(count, width, generator=torch.Generator().manual_seed(seed))


def sees(classes: list[int], of: int = 3) -> Tensor:
    """Probabilities of a classifier that sees these classes."""
    return torch.full((len(classes), of), 0.1).scatter(1, torch.tensor(classes)[:, None], 0.8)


def test_each_class_is_compared_with_its_own() -> None:
    """The mean distance is 0 for equal classes, and large if they have changed places: the whole set has not
    changed."""
    x, y = rows(60, 0), rows(60, 1)
    y[:30] += 5
    x[:30] += 5
    labels = torch.tensor([0] * 30 + [1] * 30)
    right = frechet_within_classes(x, labels, y, labels, classes=2)
    assert right.distances == {
        0: frechet_distance(x[:30], y[:30]),
        1: frechet_distance(x[30:], y[30:]),
    }
    assert right.sizes == {0: (30, 30), 1: (30, 30)}
    assert right.mean == pytest.approx(sum(right.distances.values()) / 2, rel=1e-14)
    wrong = frechet_within_classes(x, 1 - labels, y, labels, classes=2)
    assert right.mean is not None and wrong.mean is not None and wrong.mean > 50 > 10 * right.mean
    same = frechet_within_classes(x, labels, x.flip(0), labels.flip(0), classes=2)
    assert same.mean == pytest.approx(0, abs=1e-9)


def test_the_error_of_the_mean_is_that_of_independent_classes() -> None:
    x, y, labels = rows(40, 0), rows(60, 1), [0, 1]
    of_x, of_y = labels * 20, labels * 30
    found = frechet_within_classes(x, of_x, y, of_y, classes=2)
    each = [frechet_error(x[k::2], y[k::2]) for k in (0, 1)]
    assert [found.errors[k] for k in (0, 1)] == each
    assert each[0] is not None and each[1] is not None
    assert found.error == pytest.approx(math.hypot(*each) / 2)


@pytest.mark.parametrize("few", [0, 1])
def test_without_one_class_there_is_no_mean(few: int) -> None:
    """What is left of a copy that dropped its hardest class would look better than the copy is."""
    labels = torch.tensor([0] * (20 - few) + [1] * few)
    both = torch.tensor([0, 1] * 10)
    found = frechet_within_classes(rows(20, 0), labels, rows(20, 1), both, classes=2)
    assert list(found.distances) == [0] and found.mean is None and found.error is None
    assert found.sizes[1] == (few, 10)


def test_a_class_of_few_images_leaves_the_mean_without_an_error() -> None:
    labels = [0] * 20 + [1] * 3
    found = frechet_within_classes(rows(23, 0), labels, rows(23, 1), labels, classes=2)
    assert found.mean is not None and found.error is None and found.errors[1] is None


def test_images_of_no_class_are_left_out() -> None:
    x, y = rows(20, 0), rows(20, 1)
    labels = torch.tensor([0, 1] * 10)
    found = frechet_within_classes(
        torch.cat([x, x + 9]), torch.cat([labels, labels * 0 - 1]), y, labels.numpy(), classes=2
    )
    assert found == frechet_within_classes(x, labels, y, labels, classes=2)


def test_consistency_counts_the_images_of_the_class_that_was_asked_for() -> None:
    found = class_consistency(sees([0, 0, 1, 2, 2]), torch.tensor([0, 1, 1, 2, -1]))
    assert (found.share, found.images) == (0.75, 4)
    assert found.shares == {0: 1.0, 1: 0.5, 2: 1.0} and found.sizes == {0: 1, 1: 2, 2: 1}
    moved = (0.75 * 4 + 1) / 6
    assert found.error == pytest.approx(math.sqrt(moved * (1 - moved) / 4))
    assert all(error > 0 for error in found.errors.values())  # a share of 1 is not certain


def test_nothing_is_said_of_images_of_which_none_counts() -> None:
    found = class_consistency(sees([0, 1]), [-1, -1])
    assert (found.share, found.error, found.images, found.shares) == (None, None, 0, {})


@pytest.mark.parametrize(
    ("measured", "against", "share"),
    [([0, 1, 2], [0, 1, 2], 1), ([0, 0, 0], [0, 1], 0.5), ([2], [0, 1], 0), ([0, 1, 2], [1], 1)],
)
def test_coverage_is_of_the_classes_that_occur_in_the_other_set(
    measured: list[int], against: list[int], share: float
) -> None:
    assert class_coverage(sees(measured), sees(against).numpy()) == share


@pytest.mark.parametrize(
    ("labels", "says"),
    [
        (torch.tensor([0.0, 1.0]), "must be a whole number for each of 2 rows; got torch.float32"),
        ([True, False], "must be a whole number"),
        ([0, 1, 1], r"for each of 2 rows; got torch.int64 \(3,\)"),
        ([0, 3], "must be classes from 0 to 2, or -1 for none; got 0 to 3"),
        (np.array([-2, 0]), "got -2 to 0"),
    ],
)
def test_labels_must_be_classes(labels: Tensor, says: str) -> None:
    with pytest.raises(MetricError, match=says):
        class_consistency(sees([0, 1]), labels)
    with pytest.raises(MetricError, match=says):
        frechet_within_classes(rows(2, 0), labels, rows(2, 1), [0, 1], classes=3)


def test_sets_of_other_widths_are_refused() -> None:
    with pytest.raises(MetricError, match="same width"):
        class_coverage(sees([0]), sees([0], of=4))
    with pytest.raises(MetricError, match="same width"):
        frechet_within_classes(rows(2, 0), [0, 0], rows(2, 0, width=4), [0, 0], classes=1)
