"""The frontier: what each defence costs honest users (x) against how far away it keeps copies (y).

Each kind of defence has a curve.
"""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from matplotlib.axes import Axes

from ganguard.report.defended_points import DefencePoint, families
from ganguard.report.defending import Defended
from ganguard.report.numbers import number
from ganguard.report.plots import MARKERS, LegendKey, legend_keys, round_values
from ganguard.report.svg import INK, MUTED, PAPER, SERIES, Shape, draw, set_ticks

SHAPES = (
    Shape("wide", (660, 380), (0.075, 0.125, 0.9, 0.8), 10.0),
    Shape("narrow", (300, 340), (0.16, 0.14, 0.8, 0.77), 11.0),
)
_LOSSES = (0.5, 0.7, 1, 1.2, 1.5, 2, 3, 5, 7, 10, 15, 20, 30, 50, 100)


def frontier_keys(defended: Defended) -> tuple[LegendKey, ...]:
    """Return how each kind of defence is drawn."""
    return legend_keys(families(defended.points))


def frontier(defended: Defended, number_of: int) -> tuple[str, ...]:
    """Return SVG text in each shape.

    Args:
        number_of: distinguishes several of these pictures on a page.
    """
    said = "; ".join(
        f"{p.label}: users at {number(p.loss)} times, naive copy at FD {number(p.naive)}, closest at "
        f"{number(p.closest)}"
        for p in defended.points
    )

    def paint(axes: Axes) -> None:
        _frame(axes, defended.points)
        for i, family in enumerate(families(defended.points).values()):
            _curve(axes, family, i)
        for point in defended.points:
            if not point.family:
                axes.axhline(point.closest, color=MUTED, linewidth=1.1, linestyle=(0, (1, 1.8)), zorder=2)
                axes.plot(
                    [point.loss],
                    [point.closest],
                    color=INK,
                    marker="*",
                    markersize=12,
                    linestyle="none",
                    zorder=4,
                )

    title = f"What defences cost and give: {defended.heading}"
    return tuple(draw(shape, title, said, paint, prefix=f"frontier-{number_of}-") for shape in SHAPES)


def _frame(axes: Axes, points: Sequence[DefencePoint]) -> None:
    losses = [p.loss for p in points]
    heights = [v for p in points for v in (*p.copies.naive.values(), *p.copies.closest.values()) if v > 0]
    for values, scale, limit in (
        (losses, axes.set_xscale, axes.set_xlim),
        (heights, axes.set_yscale, axes.set_ylim),
    ):
        low, high = min(values), max(values)
        pad = max((high / low) ** 0.06 * 1.06, math.sqrt(2.2 * low / high))
        scale("log")
        limit(low / pad, high * pad)
    low, high = axes.get_xlim()
    set_ticks(axes.xaxis, [v for v in _LOSSES if low <= v <= high])
    set_ticks(axes.yaxis, round_values(*axes.get_ylim()))
    axes.set_xlabel("users' FD to real images, times that without a defence (log scale)", color=INK)
    axes.text(
        -0.06,
        1.04,
        "FD of copies to the undefended target (log scale); higher protects",
        transform=axes.transAxes,
        color=INK,
    )


def _is_grey(point: DefencePoint) -> bool:
    return point.dominated or point.failed


def _curve(axes: Axes, family: Sequence[DefencePoint], index: int) -> None:
    """Draw one kind of defence: the naive adversary's copies dashed and hollow, the closest solid and full.

    Points that are dominated, or show nothing, are grey.
    """
    colour, marker = SERIES[index % len(SERIES)], MARKERS[index % len(MARKERS)][0]
    for which, line, face in (("naive", (0, (4, 2.5)), PAPER), ("closest", "solid", colour)):
        drawn = [p for p in family if getattr(p, which) > 0]
        for one, other in pairwise(drawn):
            shade = MUTED if _is_grey(one) and _is_grey(other) else colour
            heights = [getattr(one, which), getattr(other, which)]
            axes.plot([one.loss, other.loss], heights, color=shade, linewidth=1.6, linestyle=line, zorder=3)
        for point in drawn:
            shade = MUTED if _is_grey(point) else colour
            values = list(getattr(point.copies, which).values())
            bar = [[getattr(point, which) - min(values)], [max(values) - getattr(point, which)]]
            filled = shade if face == colour else PAPER
            style: dict[str, Any] = {
                "marker": marker,
                "markersize": 6,
                "markerfacecolor": filled,
                "capsize": 3,
                "elinewidth": 1.1,
            }
            axes.errorbar([point.loss], [getattr(point, which)], yerr=bar, color=shade, zorder=4, **style)
