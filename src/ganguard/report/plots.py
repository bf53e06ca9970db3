"""The main picture of an audit: copy quality against query budget, on logarithmic axes."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain, cycle
from typing import Any

from matplotlib.axes import Axes

from ganguard.report.eyesight import axis_marks
from ganguard.report.findings import (
    NOISE_TO_REAL,
    NOISE_TO_TARGET,
    REAL_HALVES,
    TARGET_TO_REAL,
    TWO_DRAWS,
    CopyDistances,
    Yardstick,
    asks_of_purchases,
    copies,
    labels,
    replays,
    yardstick,
)
from ganguard.report.independent import floor_bands, floor_lines
from ganguard.report.margin import write_margin
from ganguard.report.numbers import number, whole
from ganguard.report.svg import INK, MUTED, PAPER, SERIES, Shape, draw, set_ticks
from ganguard.results.measures import DISTANCE
from ganguard.results.records import AuditResults
from ganguard.results.summaries import Summary, summarise

MARKERS = (  # matplotlib's name of a marker, and the same shape as an SVG path around (0, 0)
    ("o", "M-4,0a4,4 0 1,0 8,0a4,4 0 1,0 -8,0z"),
    ("s", "M-3.6,-3.6h7.2v7.2h-7.2z"),
    ("^", "M0,-4.4L4.4,4.4H-4.4z"),
    ("D", "M0,-5L5,0L0,5L-5,0z"),
    ("v", "M0,4.4L4.4,-4.4H-4.4z"),
)
REPLAY_MARKERS = (  # of bought images: matplotlib's name, the word for it, and an SVG path of lines
    ("X", "crosses", "M-4,-4L4,4M-4,4L4,-4"),
    ("P", "plus signs", "M-4,0H4M0,-4V4"),
    ("*", "stars", "M0,-4V4M-3.5,-2L3.5,2M-3.5,2L3.5,-2"),
    ("|", "bars", "M0,-5V5"),
)
WIDE = Shape("wide", (660, 340), (0.075, 0.14, 0.60, 0.785), 10.0)
NARROW = Shape("narrow", (300, 350), (0.155, 0.135, 0.54, 0.785), 11.0)


@dataclass(frozen=True)
class LegendKey:
    """How an attack is drawn.

    Attributes:
        variable: CSS variable of its colour.
        marker: as an SVG path.
    """

    label: str
    variable: str
    marker: str


@dataclass(frozen=True)
class ReplayKey:
    """How the line of bought images is drawn.

    Attributes:
        drawn: in words.
        asked: how the images were asked for, if not all alike; else empty.
        marker: as an SVG path of lines.
    """

    drawn: str
    asked: str
    marker: str


@dataclass(frozen=True)
class Legend:
    """What the picture holds.

    Attributes:
        keys: of the attacks.
        fidelity, accuracy, yardsticks, honest: whether it has lines of that kind.
        replay: the lines of the bought images.
        zero_left_out: whether a distance of 0 had to be left out.
    """

    keys: tuple[LegendKey, ...]
    fidelity: bool
    accuracy: bool
    yardsticks: bool
    replay: tuple[ReplayKey, ...]
    honest: bool
    zero_left_out: bool


def legend_keys(labels: Iterable[str]) -> tuple[LegendKey, ...]:
    """Return a colour and a marker for each label, in the order of both."""
    return tuple(
        LegendKey(label, f"--series-{i % len(SERIES)}", MARKERS[i % len(MARKERS)][1])
        for i, label in enumerate(labels)
    )


def legend(results: AuditResults) -> Legend:
    """Return the legend of the picture."""
    found = copies(results)
    return Legend(
        keys=legend_keys(_drawn(results)),
        fidelity=any(_positive(copy.fidelity) for copy in found),
        accuracy=any(_positive(copy.accuracy) for copy in found),
        yardsticks=bool(_rulers(results)),
        replay=_replay_keys(results),
        honest=bool(floor_lines(results)),
        zero_left_out=any(m.value <= 0 for m in results.select(metric=DISTANCE)),
    )


def quality_picture(results: AuditResults, shape: Shape, title: str, description: str) -> str:
    """Return SVG text of Fréchet distance (y) against query budget (x).

    Empty if no distance of a copy is above 0.
    """
    found = copies(results)
    if not _drawn(results):
        return ""
    drawn, rulers, replay = _drawn(results), _rulers(results), _replay(results)
    bands = floor_bands(results)
    of_replay = list(chain.from_iterable(line.values() for line in replay.values()))

    def paint(axes: Axes) -> None:
        of_bands = [end for band in bands for end in band]
        _frame(axes, found, [*(value for _, value in rulers), *of_replay, *of_bands], shape)
        for i, label in enumerate(drawn):
            _curves(axes, [copy for copy in found if copy.attack == label], i, len(drawn))
        _draw_rulers(axes, rulers, shape, axis_marks(results))
        for least, greatest in bands:
            axes.axhspan(least, greatest, color=MUTED, alpha=0.18, linewidth=0, zorder=1)
        for i, line in enumerate(replay.values()):
            axes.plot(
                list(line),
                list(line.values()),
                color=MUTED,
                linewidth=1.4,
                linestyle=(0, (5, 1.5, 1, 1.5)),
                marker=REPLAY_MARKERS[i % len(REPLAY_MARKERS)][0],  # with one budget there is no line
                markersize=7,
                zorder=2,
            )

    return draw(shape, title, description, paint)


def _replay_keys(results: AuditResults) -> tuple[ReplayKey, ...]:
    """Return how the line of the bought images is drawn, one for each way in which they were asked for."""
    drawn = list(_replay(results))
    return tuple(
        ReplayKey(f"{said}, dash-dotted", f", asked {words}" if len(drawn) > 1 else "", path)
        for words, (_, said, path) in zip(drawn, cycle(REPLAY_MARKERS), strict=False)
    )


def _replay(results: AuditResults) -> dict[str, dict[int, float]]:
    """Return the mean distance of the bought images themselves to the target, by budget, for each way in
    which they were asked for, by its words."""
    found: dict[str, dict[int, float]] = {}
    words = asks_of_purchases(results)
    for purchase, measured in replays(results).items():
        if (summary := summarise(measured)) and summary.mean > 0:
            found.setdefault(words[purchase.ask], {})[purchase.query_budget] = summary.mean
    return found


def _drawn(results: AuditResults) -> list[str]:
    visible = {c.attack for c in copies(results) if _positive(c.fidelity) or _positive(c.accuracy)}
    return [label for label in labels(results) if label in visible]


def _positive(summary: Summary | None) -> bool:
    return summary is not None and summary.mean > 0


def _rulers(results: AuditResults) -> list[tuple[Yardstick, float]]:
    """Return the yardsticks that were measured, with their mean. Noise is among them once."""
    found = {
        y: s.mean
        for y in (NOISE_TO_TARGET, NOISE_TO_REAL, TARGET_TO_REAL, REAL_HALVES, TWO_DRAWS)
        if (s := yardstick(results, y))
    }
    if NOISE_TO_TARGET in found:
        found.pop(NOISE_TO_REAL, None)
    lines = [*found.items(), *floor_lines(results)]
    return [(y, value) for y, value in lines if value > 0]


def _frame(axes: Axes, found: Sequence[CopyDistances], rulers: Sequence[float], shape: Shape) -> None:
    """Set limits, ticks and titles of the axes."""
    budgets = sorted({copy.query_budget for copy in found})
    distances = [s for copy in found for s in (copy.fidelity, copy.accuracy) if s and s.mean > 0]
    values = [v for s in distances for v in (s.least, s.mean, s.greatest) if v > 0] + list(rulers)
    axes.set_xscale("log")
    axes.set_yscale("log")
    pad = (budgets[-1] / budgets[0]) ** 0.06 * 1.08
    axes.set_xlim(budgets[0] / pad, budgets[-1] * pad)
    low, high = min(values), max(values)
    # a span of at least 6 holds at least two round values
    pad = max((high / low) ** 0.05 * 1.1, math.sqrt(6 * low / high))
    axes.set_ylim(low / pad, high * pad)
    _ticks(axes, _apart(budgets, 0.09 if shape == WIDE else 0.17), shape)


def _ticks(axes: Axes, budgets: Sequence[int], shape: Shape) -> None:
    """Set titles, and ticks in plain numbers: x at the budgets themselves, y at round values."""
    set_ticks(axes.xaxis, budgets, [whole(budget) for budget in budgets])
    set_ticks(axes.yaxis, round_values(*axes.get_ylim()))
    axes.set_xlabel(
        "images bought from the target (log scale)" if shape == WIDE else "images bought (log scale)",
        color=INK,
    )
    y_title = (
        "Fréchet distance (log scale); lower is a closer copy"
        if shape == WIDE
        else "Fréchet distance (log scale)"
    )
    left = -shape.box[0] / shape.box[2] + 0.01
    axes.text(left, 1.045, y_title, transform=axes.transAxes, color=INK)


def _apart(budgets: Sequence[int], gap: float) -> list[int]:
    """Return the budgets whose labels fit on the axis.

    They are both ends, and those between them that are at least `gap`, a share of the axis, from both the
    first and the next one kept.
    """
    if len(budgets) == 1:
        return list(budgets)
    span = math.log(budgets[-1] / budgets[0])
    kept = [budgets[-1]]
    for budget in reversed(budgets[:-1]):
        far_from_first = budget == budgets[0] or math.log(budget / budgets[0]) / span >= gap
        if far_from_first and math.log(kept[-1] / budget) / span >= gap:
            kept.append(budget)
    return kept[::-1]


def round_values(low: float, high: float) -> list[float]:
    """Return round values from low to high, both above 0.

    They are powers of ten, with their 2- and 5-folds if few decades are shown.
    """
    decades = math.log10(high / low)
    step = max(1, math.ceil(decades / 8))
    folds = (1, 2, 5) if decades < 2.5 else (1,)
    exponents = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    values = [fold * 10.0**e for e in exponents if e % step == 0 for fold in folds]
    return [value for value in values if low <= value <= high]


def _curves(axes: Axes, found: Sequence[CopyDistances], index: int, attacks: int) -> None:
    """Draw one attack: fidelity solid with full markers, accuracy dashed with hollow ones.

    Bars reach from the least to the greatest value.
    """
    colour, marker = SERIES[index % len(SERIES)], MARKERS[index % len(MARKERS)][0]
    left, right = axes.get_xlim()
    # share of the axis by which curves are shifted sideways, so that bars do not hide bars
    step = min(0.02, 0.06 / attacks)
    for measure, line, half in (("fidelity", "solid", 0), ("accuracy", (0, (4, 2.5)), 1)):
        points = [(c.query_budget, s) for c in found if (s := getattr(c, measure)) is not None and s.mean > 0]
        if not points:
            continue
        aside = (right / left) ** (step * (index + half / 2 - (attacks - 0.5) / 2))
        x = [budget * aside for budget, _ in points]
        mean = [s.mean for _, s in points]
        bars = [
            [s.mean - max(s.least, s.mean / 100) for _, s in points],
            [s.greatest - s.mean for _, s in points],
        ]
        low = [s.mean - below for (_, s), below in zip(points, bars[0], strict=True)]
        if measure == "fidelity":
            axes.fill_between(x, low, [s.greatest for _, s in points], color=colour, alpha=0.13, linewidth=0)
        style: dict[str, Any] = {"linestyle": line, "marker": marker, "markersize": 6, "linewidth": 1.8}
        face = colour if measure == "fidelity" else PAPER
        axes.errorbar(
            x,
            mean,
            yerr=bars,
            color=colour,
            markerfacecolor=face,
            capsize=3,
            elinewidth=1.2,
            zorder=3,
            **style,
        )


def _draw_rulers(
    axes: Axes, rulers: Sequence[tuple[Yardstick, float]], shape: Shape, marks: Sequence[tuple[str, float]]
) -> None:
    """Draw horizontal lines for the yardsticks, and ticks for marks, named in the margin on the right."""
    named = [
        (f"{ruler.label}: {number(value)}" if shape == WIDE else f"{ruler.short}\n{number(value)}", value)
        for ruler, value in rulers
    ]
    for _, value in named:
        axes.axhline(value, color=MUTED, linewidth=1.1, linestyle=(0, (1, 1.8)), zorder=2)
    write_margin(axes, named, marks, shape)
