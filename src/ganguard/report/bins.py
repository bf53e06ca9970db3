"""Do copies show all kinds of images, as often as the real ones? Histograms over clusters of the train split.

After the figures of bin proportions of Richardson & Weiss 2018.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from ganguard.report.findings import labels
from ganguard.report.numbers import counted, listed, number, whole
from ganguard.report.svg import INK, MUTED, PAPER, SERIES, Shape, draw, set_ticks
from ganguard.results.bins import BinsRecord
from ganguard.results.records import AuditResults

SAME, DIFFERENT = SERIES[0], SERIES[1]  # colours
TICKS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
TITLES = {"real": "held-out real images", "target": "the target"}
WIDE = Shape("wide", (660, 150), (0.065, 0.24, 0.905, 0.72), 10.0)
NARROW = Shape("narrow", (300, 150), (0.15, 0.24, 0.77, 0.72), 11.0)


@dataclass(frozen=True)
class BinsPanel:
    """The histogram of one set beside that of the train split.

    Attributes:
        title: which set it is.
        note: in how many bins it differs, under every seed.
        svgs: the picture in each shape.
    """

    title: str
    note: str
    svgs: tuple[str, ...]


@dataclass(frozen=True)
class BinsSection:
    """The section on clusters.

    Attributes:
        bins, images: how many clusters there are, and of how many images of the train split.
        panels: of held-out real images, of the target, and of each attack's copy from its largest budget.
    """

    bins: str
    images: str
    panels: tuple[BinsPanel, ...]


def bins_section(results: AuditResults) -> BinsSection | None:
    """Return the section on clusters of the train split; None if nothing was counted."""
    train = next((each for each in results.bins if each.subject == "train"), None)
    if train is None:
        return None
    # A file may come from anywhere: sets over other bins cannot be shown beside these.
    found = [each for each in results.bins if len(each.counts) == len(train.counts)]
    sets = [(title, [each for each in found if each.subject == subject]) for subject, title in TITLES.items()]
    for label in labels(results):
        copies = [each for each in found if each.subject == "substitute" and each.attack == label]
        budget = max((each.query_budget or 0 for each in copies), default=0)
        largest = sorted((each for each in copies if each.query_budget == budget), key=_seed)
        sets.append((f"{label}, from {counted(budget, 'image')}", largest))
    panels = [_panel(place, title, group, train) for place, (title, group) in enumerate(sets) if group]
    return BinsSection(whole(len(train.counts)), whole(train.images), tuple(panels))


def _seed(record: BinsRecord) -> int:
    return record.seed or 0


def _panel(place: int, title: str, group: Sequence[BinsRecord], train: BinsRecord) -> BinsPanel:
    """Return the panel of sets that differ in their seed alone; the first of them is drawn."""
    shown, most = group[0], len(train.counts)
    note = f"{len(shown.different)} of {counted(most, 'bin')} differ"
    if len(group) > 1:
        others = listed([whole(len(each.different)) for each in group[1:]])
        seeds = "seed" if len(group) == 2 else "seeds"
        note = f"seed {_seed(shown)}: {note}; under the other {seeds} {others}"
    note = f"{note} (of {counted(shown.images, 'image')})"
    top = max(_share(shown).max(), _share(train).max())
    empty = sum(not count for count in shown.counts)
    said = (
        f"{note}. The largest share of a bin is {number(float(100 * top))} %. "
        f"{counted(empty, 'bin holds', 'bins hold')} none of its images."
    )
    svgs = [
        draw(shape, f"{title}: shares of bins", said, partial(_paint, shown, train), f"bins{place}-")
        for shape in (WIDE, NARROW)
    ]
    return BinsPanel(title, note, tuple(svgs))


def _ticks(top: float) -> tuple[list[float], list[str]]:
    """Return round shares up to the top of an axis of square roots, as far apart as their names are high,
    and these names."""
    kept = [0.0]
    for tick in TICKS:
        if tick <= 1.05 * top and math.sqrt(tick) - math.sqrt(kept[-1]) > 0.15 * math.sqrt(top):
            kept.append(tick)
    return kept, [f"{100 * tick:g} %" for tick in kept]


def _share(record: BinsRecord) -> np.ndarray:
    return np.array(record.counts) / record.images


def _paint(shown: BinsRecord, train: BinsRecord, axes: Axes) -> None:
    """Draw the train split as steps, and a set's shares as dots with bars of one standard error.

    A bin whose share differs significantly has a full dot.
    """
    share, bins = _share(shown), len(train.counts)
    x = np.arange(bins)
    error = np.sqrt(share * (1 - share) / shown.images)
    axes.stairs(_share(train), np.arange(bins + 1) - 0.5, fill=True, color=MUTED, alpha=0.35)
    different = np.isin(x, shown.different)
    for chosen, colour, face in ((~different, SAME, PAPER), (different, DIFFERENT, DIFFERENT)):
        # All bars in one path, with gaps: the page stays small.
        gaps = np.full(int(chosen.sum()), math.nan)
        low, high = np.maximum(share - error, 0)[chosen], (share + error)[chosen]
        axes.plot(
            np.stack([x[chosen], x[chosen], gaps], 1).ravel(),
            np.stack([low, high, gaps], 1).ravel(),
            color=colour,
            linewidth=1.0,
        )
        axes.plot(
            x[chosen],
            share[chosen],
            color=colour,
            linestyle="none",
            marker="o",
            markersize=3.2,
            markerfacecolor=face,
            markeredgewidth=0.9,
        )
    axes.set_xlim(-1, bins)
    top = float(max((share + error).max(), _share(train).max()))
    axes.set_yscale("function", functions=(np.sqrt, np.square))  # errors of counts are alike everywhere on it
    axes.set_ylim(0, 1.05 * top)
    set_ticks(axes.yaxis, *_ticks(top))
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.set_xlabel("bin, by its share of the train split", color=INK)
