"""Labels that are unique in a spec, for results and reports. Nothing is chosen by what they say."""

from collections.abc import Sequence
from itertools import count


def numbered(labels: Sequence[str]) -> list[str]:
    """Return the labels, with " #2", " #3" … appended to the second, third … of equal ones."""
    unique: list[str] = []
    for label in labels:
        numbers = count(2)
        told_apart = label
        while told_apart in unique:  # a label may itself end in " #2"
            told_apart = f"{label} #{next(numbers)}"
        unique.append(told_apart)
    return unique
