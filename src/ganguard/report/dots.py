"""A picture of attacks beside each other.

Each attack has a row, with a dot for each budget at the distance of its copies on a logarithmic axis.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.ticker import NullLocator

from ganguard.report.findings import (
    DOMAIN_SPLITS,
    TARGET_TO_REAL,
    TWO_SPLITS,
    Yardstick,
    budgets,
    labels,
    of_copy,
    others,
    yardstick,
)
from ganguard.report.numbers import counted, interval, number, whole
from ganguard.report.plots import MARKERS, LegendKey, legend_keys, round_values
from ganguard.report.svg import INK, MUTED, PAPER, SERIES, Shape, draw, set_ticks
from ganguard.results.measures import DISTANCE
from ganguard.results.records import Against, AuditResults
from ganguard.results.summaries import Summary, summarise_copies

ROW = 30.0  # points that a row is high: its name, and its dots below
AROUND = 62.0  # points above and below all rows
RULERS: dict[Against, tuple[Yardstick, ...]] = {
    "reference": (TARGET_TO_REAL, TWO_SPLITS),
    "domain": (DOMAIN_SPLITS,),
}


@dataclass(frozen=True)
class Dots:
    """A picture under a heading.

    Attributes:
        svgs: the picture in each shape.
        keys: which budget a dot is of.
        rulers: what the dotted lines are.
    """

    heading: str
    note: str
    svgs: tuple[str, ...]
    keys: tuple[LegendKey, ...]
    rulers: tuple[str, ...]


DotRow = tuple[
    str, dict[int, Summary]
]  # an attack, and its distances by budget; budget 0: what no copy was made of


def dots(results: AuditResults) -> tuple[Dots, ...]:
    """Return a picture of accuracy, if adversaries know real images, and one of distances to another domain.

    The latter is drawn if copies were moved to that domain.
    """
    found: list[Dots] = []
    if results.select(subject="known"):
        note = (
            "Distance of each copy to the held-out real images. Hollow: the real images themselves that the "
            "adversary holds."
        )
        found.append(_dots(results, "reference", "Accuracy by what the adversary knows", note))
    if results.select(subject="substitute", against="domain"):
        note = (
            "Distance of each copy to held-out real images of the domain it was moved to. From scratch, "
            "nothing is bought."
        )
        found.append(_dots(results, "domain", "Transfer to another domain", note))
    return tuple(picture for picture in found if picture.svgs)


def _dots(results: AuditResults, against: Against, heading: str, note: str) -> Dots:
    rows = _rows(results, against)
    if not rows:
        return Dots(heading, note, (), (), ())
    every = sorted({budget for _, by_budget in rows for budget in by_budget} - {0})
    rulers = {ruler: s.mean for ruler in RULERS[against] if (s := yardstick(results, ruler)) and s.mean > 0}
    said = "; ".join(
        f"{name}: {', '.join(_said(b, s) for b, s in by_budget.items())}" for name, by_budget in rows
    )

    def paint(axes: Axes) -> None:
        _frame(axes, rows, list(rulers.values()))
        for place, (name, by_budget) in enumerate(rows):
            axes.text(0.0, place - 0.36, name, transform=axes.get_yaxis_transform(), color=INK, va="center")
            for budget, summary in by_budget.items():
                _dot(axes, place, summary, every.index(budget) if budget else None)
        for value in rulers.values():
            axes.axvline(value, color=MUTED, linewidth=1.1, linestyle=(0, (1, 1.8)), zorder=2)

    height = AROUND + ROW * len(rows)
    shapes = (
        Shape("wide", (660, height), (0.02, 44 / height, 0.96, 1 - AROUND / height), 10.0),
        Shape("narrow", (300, height), (0.03, 44 / height, 0.94, 1 - AROUND / height), 11.0),
    )
    svgs = tuple(draw(shape, heading, said, paint, prefix=f"{against}-") for shape in shapes)
    keys = legend_keys(f"query budget {whole(b)}" for b in every)
    return Dots(
        heading, note, svgs, keys, tuple(f"{ruler.label}: {number(value)}" for ruler, value in rulers.items())
    )


def _rows(results: AuditResults, against: Against) -> list[DotRow]:
    """Return the attacks in the order of the spec, then the real images that adversaries hold."""
    rows: list[DotRow] = []
    for label in labels(results):
        found = {
            b: summarise_copies(of_copy(results, label, b, DISTANCE, against))
            for b in budgets(results, label)
        }
        rows.append((label, {b: s for b, s in found.items() if s and s.mean > 0}))
    for whose, metrics in others(results, "known", against).items():
        summary = summarise_copies(metrics.get(DISTANCE, []))
        rows.append((whose, {0: summary} if summary and summary.mean > 0 else {}))
    return [row for row in rows if row[1]]


def _said(budget: int, summary: Summary) -> str:
    bought = f" from {counted(budget, 'image')}" if budget else ""
    return f"{number(summary.mean)}{bought} ({interval(summary.least, summary.greatest)})"


def _frame(axes: Axes, rows: Sequence[DotRow], rulers: Sequence[float]) -> None:
    values = [
        v for _, by_budget in rows for s in by_budget.values() for v in (s.least, s.mean, s.greatest) if v > 0
    ]
    low, high = min([*values, *rulers]), max([*values, *rulers])
    pad = max((high / low) ** 0.05 * 1.1, math.sqrt(6 * low / high))
    axes.set_xscale("log")
    axes.set_xlim(low / pad, high * pad)
    axes.set_ylim(len(rows) - 0.4, -0.8)
    set_ticks(axes.xaxis, round_values(*axes.get_xlim()))
    axes.yaxis.set_major_locator(NullLocator())
    axes.set_xlabel("Fréchet distance (log scale); left is closer", color=INK)


def _dot(axes: Axes, place: float, summary: Summary, number_of: int | None) -> None:
    """Draw a dot at the mean, and a bar from the least to the greatest value.

    Args:
        place: of the row.
        number_of: of the budget among all budgets; None draws a hollow dot, which is of no copy.
    """
    colour = MUTED if number_of is None else SERIES[number_of % len(SERIES)]
    marker = "o" if number_of is None else MARKERS[number_of % len(MARKERS)][0]
    aside = place + 0.16 + 0.1 * (number_of or 0)
    bar = [[summary.mean - max(summary.least, summary.mean / 100)], [summary.greatest - summary.mean]]
    axes.errorbar(
        [summary.mean],
        [aside],
        xerr=bar,
        color=colour,
        marker=marker,
        markersize=6,
        markerfacecolor=PAPER if number_of is None else colour,
        capsize=3,
        elinewidth=1.2,
        zorder=3,
    )
