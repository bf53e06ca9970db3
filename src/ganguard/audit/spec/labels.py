"""Labels that are unique in a spec, for results and reports. Nothing is chosen by their text."""

from collections.abc import Sequence


def numbered(labels: Sequence[str]) -> list[str]:
    """Return the labels, with " #2", " #3" … appended to the second, third … of equal ones."""
    occurrences = [labels[: place + 1].count(label) for place, label in enumerate(labels)]
    return [
        label if number == 1 else f"{label} #{number}"
        for label, number in zip(labels, occurrences, strict=True)
    ]
