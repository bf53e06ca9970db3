"""Labels are unique, whatever they read."""

import pytest

from ganguard.audit.spec.labels import numbered


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ([], []),
        (["a", "b"], ["a", "b"]),
        (["a", "b", "a", "a", "b"], ["a", "b", "a #2", "a #3", "b #2"]),
        (["a", "a #2", "a"], ["a", "a #2", "a #3"]),
        (["a", "a", "a #2"], ["a", "a #2", "a #2 #2"]),
    ],
)
def test_equal_labels_are_numbered_in_their_order(labels: list[str], expected: list[str]) -> None:
    assert numbered(labels) == expected
