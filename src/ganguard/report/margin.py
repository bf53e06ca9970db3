"""Names beside a picture, in lines that fit the margin on the right, and pushed apart where they overlap."""

import math
from collections.abc import Sequence
from itertools import pairwise
from textwrap import wrap
from typing import Any

from matplotlib.axes import Axes

from ganguard.report.svg import INK, MUTED, Shape

AXES_TO_NAME = 1.035  # where a name begins, as a multiple of the axes' width
LETTER, LINE, BETWEEN = 0.55, 1.25, 3  # a letter and a line, in sizes of the font; between names, in points


def write_margin(
    axes: Axes, lines: Sequence[tuple[str, float]], marks: Sequence[tuple[str, float]], shape: Shape
) -> None:
    """Write names of lines, and of marks, which get a tick, at their values on a logarithmic axis.

    Names that are close to each other are pushed apart. Marks beyond the axis, and more marks than there is
    room for, are left out, the lowest first.
    """
    low, high = (math.log(limit) for limit in axes.get_ylim())
    named = [(in_margin(text, shape), value) for text, value in lines]
    taken = sum(height_of(text, shape) for text, _ in named)
    room = max(0, int((1 - taken) / height_of("", shape)))
    kept = [(text, value) for text, value in marks if low <= math.log(value) <= high]
    written = [*named, *kept[max(0, len(kept) - room) :]]
    heights = [(math.log(value) - low) / (high - low) for _, value in written]
    places = pushed_apart(heights, [height_of(text, shape) for text, _ in written])
    for (text, _), height, place in zip(written, heights, places, strict=True):
        line: dict[str, Any] = {"transform": axes.transAxes, "color": MUTED, "clip_on": False}
        axes.plot((1.0, AXES_TO_NAME - 0.01), (height, place), linewidth=0.8, **line)
        axes.text(
            AXES_TO_NAME, place, text, transform=axes.transAxes, color=INK, va="center", linespacing=1.1
        )
    for height in heights[len(named) :]:
        axes.plot((0.985, 1.0), (height, height), transform=axes.transAxes, color=INK, linewidth=1.4)


def in_margin(text: str, shape: Shape) -> str:
    """Return a text in lines that are no wider than the margin on the right."""
    left, _, width, _ = shape.box
    letters = int((1 - left - AXES_TO_NAME * width) * shape.size[0] / (LETTER * shape.font))
    return "\n".join(part for line in text.split("\n") for part in wrap(line, letters))


def height_of(text: str, shape: Shape) -> float:
    """Return the height of a text's lines, as a share of the axes'."""
    lines = 1 + text.count("\n")
    return (lines * LINE * shape.font + BETWEEN) / (shape.box[3] * shape.size[1])


def pushed_apart(heights: Sequence[float], sizes: Sequence[float]) -> list[float]:
    """Return places near `heights`, in the same order, where texts of such sizes do not overlap, none above
    1."""
    order = sorted(range(len(heights)), key=lambda i: heights[i])
    places = list(heights)
    for below, above in pairwise(order):
        places[above] = max(places[above], places[below] + (sizes[below] + sizes[above]) / 2)
    places = [min(place, 1.0) for place in places]
    for above, below in pairwise(reversed(order)):
        places[below] = min(places[below], places[above] - (sizes[below] + sizes[above]) / 2)
    return places
