"""Numbers by class as records, and of two sets of `ganguard measure`."""

import pytest
import torch
from torch import Tensor

from ganguard.base.labels import NO_CLASS, Labels
from ganguard.comparison.classes import (
    MOST_RECORDED,
    compare_coverage,
    compare_within_classes,
    judge_consistency,
)
from ganguard.metrics import frechet_within_classes
from ganguard.results.measures import CONSISTENCY, COVERAGE, WITHIN

NAMES = ("cat", "dog")


def rows(count: int, seed: int) -> Tensor:
    return torch.randn(count, 3, generator=torch.Generator().manual_seed(seed))


def test_the_mean_stands_before_the_classes_each_of_which_has_its_name() -> None:
    x, y, of_x, of_y = rows(20, 0), rows(30, 1), torch.arange(20) % 2, torch.arange(30) % 2
    found = compare_within_classes("target", x, of_x, y, of_y, NAMES, "reference", 1)
    wanted = frechet_within_classes(x, of_x, y, of_y, classes=2)
    assert [(m.condition, m.value, m.spread) for m in found] == [
        (None, wanted.mean, wanted.error),
        ("cat", wanted.distances[0], wanted.errors[0]),
        ("dog", wanted.distances[1], wanted.errors[1]),
    ]
    assert [(m.images, m.compared) for m in found] == [(20, 30), (10, 15), (10, 15)]
    assert {(m.subject, m.against, m.metric, m.draw) for m in found} == {("target", "reference", WITHIN, 1)}


def test_a_class_that_one_set_lacks_leaves_the_others_and_no_mean() -> None:
    x, y, of_y = rows(20, 0), rows(20, 1), torch.arange(20) % 2
    found = compare_within_classes("substitute", x, of_y * 0, y, of_y, NAMES, "target")
    assert [m.condition for m in found] == ["cat"]


def test_consistency_is_of_all_images_and_of_each_class_that_was_asked_for() -> None:
    seen = torch.tensor([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]])
    found = judge_consistency("substitute", torch.tensor([0, 1, 1]), seen, NAMES)
    assert [(m.condition, m.value, m.images, m.compared) for m in found] == [
        (None, pytest.approx(2 / 3), 3, 0),
        ("cat", 1.0, 1, 0),
        ("dog", 0.5, 2, 0),
    ]
    assert {(m.metric, m.against) for m in found} == {(CONSISTENCY, "nothing")}
    assert judge_consistency("substitute", torch.tensor([NO_CLASS] * 3), seen, NAMES) == []


def test_a_classifier_of_other_images_judges_nothing() -> None:
    """Such as Inception, whose thousand classes are not these."""
    seen = torch.rand(3, 7, generator=torch.Generator().manual_seed(0))
    assert judge_consistency("target", torch.tensor([0, 1, 1]), seen, NAMES) == []


def test_of_very_many_classes_there_are_the_numbers_of_all() -> None:
    count = MOST_RECORDED + 1
    names, labels = [f"class {k}" for k in range(count)], torch.arange(2 * count) % count
    x, y = rows(2 * count, 0), rows(2 * count, 1)
    seen = torch.eye(count)[labels]
    found = compare_within_classes("target", x, labels, y, labels, names, "target")
    found += judge_consistency("target", labels, seen, names)
    assert [(m.metric, m.condition) for m in found] == [(WITHIN, None), (CONSISTENCY, None)]


def test_coverage_needs_no_labels() -> None:
    seen = torch.tensor([[0.9, 0.1], [0.2, 0.8]])
    (found,) = compare_coverage("substitute", seen[:1], seen, "target")
    assert (found.metric, found.value, found.spread, found.images, found.compared) == (
        COVERAGE,
        0.5,
        None,
        1,
        2,
    )


def test_labels_are_numbered_by_name() -> None:
    labels = torch.tensor([0, 1, 2, NO_CLASS])
    assert Labels(labels, ("a", "b", "c")).numbered(("c", "a")).tolist() == [1, NO_CLASS, 0, NO_CLASS]
