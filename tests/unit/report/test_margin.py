"""Names beside a picture: no line is wider than the margin, and no two overlap."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ganguard.report.margin import height_of, in_margin, pushed_apart
from ganguard.report.plots import NARROW, WIDE
from ganguard.report.svg import Shape

LONG = "never saw it (sngan, 50 % of the real images): 0.506"


@pytest.mark.parametrize(("shape", "most", "lines"), [(WIDE, 36, 2), (NARROW, 14, 4)])
def test_a_long_name_is_broken_into_lines_and_loses_no_word(shape: Shape, most: int, lines: int) -> None:
    found = in_margin(LONG, shape)
    assert max(map(len, found.split("\n"))) <= most and found.count("\n") == lines - 1
    assert found.split() == LONG.split()
    assert in_margin("noise\n56.0", shape) == "noise\n56.0"
    assert height_of(found, shape) > height_of("noise", shape)


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0.01, 0.3)), max_size=8))
def test_names_keep_their_order_and_do_not_overlap(named: list[tuple[float, float]]) -> None:
    heights, sizes = [height for height, _ in named], [size for _, size in named]
    places = pushed_apart(heights, sizes)
    order = sorted(range(len(named)), key=lambda i: heights[i])
    assert all(place <= 1 for place in places)
    for below, above in pairwise(order):
        assert places[above] - places[below] >= (sizes[below] + sizes[above]) / 2 - 1e-9
    if len(named) == 1:
        assert places == heights
