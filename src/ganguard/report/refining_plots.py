"""The pictures of one refinement: log ratios, reliability of the ratio, and balance of classes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.ticker import FixedFormatter, FixedLocator, MaxNLocator, PercentFormatter

from ganguard.report.numbers import number, whole
from ganguard.report.svg import INK, MUTED, PAPER, SERIES, Shape, draw
from ganguard.results.refinements import ClassCounts, Histogram, RefinementRecord, ReliabilityBin

MOST_CLASSES = 20  # for which bars are drawn
NAMES_WIDTH = 36  # characters that fit under the bars
BOUGHT, KEPT, PLAIN = MUTED, SERIES[0], SERIES[1]  # colours


@dataclass(frozen=True)
class Plot:
    """A picture under a title.

    Attributes:
        note: says what its axes show.
    """

    title: str
    note: str
    svg: str


def refining_plots(record: RefinementRecord, name: str) -> tuple[Plot, ...]:
    """Return all pictures that can be drawn of a record.

    Args:
        name: part of identifiers, unique on the page.
    """
    plots = (_ratios(record.log_ratios, f"ratios-{name}"), _reliability(record, f"reliability-{name}"))
    return plots if record.classes is None else (*plots, _classes(record.classes, f"classes-{name}"))


def _ratios(found: Histogram, name: str) -> Plot:
    """Draw the log ratios of the images bought, filled, and of those kept."""
    edges, before, after = found.edges, found.before, found.after
    low, high = edges[0], edges[-1]
    if high - low <= 1e-6 * (1 + abs(low)):  # one value, which is invisible without a bin of its own
        half = max(0.5, 1e-3 * abs(low))
        edges, before, after = (low - half, low + half), (sum(before),), (sum(after),)

    def paint(axes: Axes) -> None:
        axes.stairs(_shares(before), edges, fill=True, color=BOUGHT, alpha=0.35)
        axes.stairs(_shares(after), edges, color=KEPT, linewidth=1.8)
        axes.set_xlim(edges[0], edges[-1])
        axes.set_xlabel("log ratio", color=INK)
        axes.xaxis.set_major_locator(MaxNLocator(5))
        _heights(axes)

    note = "share of images by log ratio; right is more like real images"
    said = (
        f"{whole(sum(before))} images bought, {whole(sum(after))} kept, from {number(low)} to {number(high)}."
    )
    return _plot(name, "Density ratio, before and after", note, said, paint)


def _reliability(record: RefinementRecord, name: str) -> Plot:
    """Draw how many images are real against how many the ratio says are, of images it was not fitted to."""

    def paint(axes: Axes) -> None:
        axes.plot((0, 1), (0, 1), color=MUTED, linewidth=1.1, linestyle=(0, (4, 2.5)))
        for bins, colour, marker, face in (
            (record.plain.reliability, PLAIN, "s", PAPER),
            (record.ratio.reliability, KEPT, "o", KEPT),
        ):
            found = [b for b in bins if b.count]
            x, y = [b.predicted for b in found], [b.observed for b in found]
            axes.plot(
                x,
                y,
                color=colour,
                linewidth=1.6,
                marker=marker,
                markersize=5,
                markerfacecolor=face,
                clip_on=False,
            )
        axes.set_xlim(0, 1)
        axes.set_ylim(0, 1)
        axes.set_xlabel("predicted probability of being real", color=INK)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(FixedLocator([0, 0.5, 1]))
            axis.set_major_formatter(PercentFormatter(1, decimals=0))

    note = "share of held-out images that are real, against what the ratio predicts; dashed: calibrated"
    return _plot(name, "Reliability of the ratio", note, _in_words(record.ratio.reliability), paint)


def _in_words(bins: Sequence[ReliabilityBin]) -> str:
    return "; ".join(f"predicted {b.predicted:.0%}, real {b.observed:.0%}" for b in bins if b.count) + "."


def _classes(counts: ClassCounts, name: str) -> Plot:
    """Draw the shares of classes in what was bought, kept, and kept by Algorithm 1.

    If there are many classes, only the commonest are drawn.
    """
    known = len(counts.before)
    shown = sorted(sorted(range(known), key=lambda c: -counts.before[c])[:MOST_CLASSES])
    sets = [
        (_shares(c), colour)
        for c, colour in ((counts.before, BOUGHT), (counts.after, KEPT), (counts.plain, PLAIN))
        if c
    ]

    def paint(axes: Axes) -> None:
        width = 0.8 / len(sets)
        for i, (shares, colour) in enumerate(sets):
            places = [place + width * (i + 0.5) - 0.4 for place in range(len(shown))]
            axes.bar(places, [shares[c] for c in shown], width, color=colour)
        step = -(-len(shown) * (len(str(shown[-1])) + 1) // NAMES_WIDTH)
        named = range(0, len(shown), step)
        axes.xaxis.set_major_locator(FixedLocator(list(named)))
        axes.xaxis.set_major_formatter(FixedFormatter([str(shown[place]) for place in named]))
        axes.set_xlabel("class", color=INK)
        _heights(axes)

    most = f"; the {MOST_CLASSES} commonest of {whole(known)}" if known > MOST_CLASSES else ""
    note = f"share of images by class, as the feature network sees it{most}"
    said = "; ".join(f"class {c}: {', '.join(f'{shares[c]:.1%}' for shares, _ in sets)}" for c in shown) + "."
    return _plot(name, "Class balance", note, said, paint)


def _plot(name: str, title: str, note: str, said: str, paint: Callable[[Axes], None]) -> Plot:
    """Return a picture.

    Args:
        said: what the picture shows, for people who cannot see it.
    """
    return Plot(title, note, draw(Shape(name, (300, 200), (0.15, 0.2, 0.79, 0.74), 11.0), title, said, paint))


def _shares(counts: Sequence[int]) -> list[float]:
    total = sum(counts) or 1
    return [count / total for count in counts]


def _heights(axes: Axes) -> None:
    """Set the y axis to shares from 0 up, in per cent."""
    axes.set_ylim(0, axes.get_ylim()[1] if axes.get_ylim()[1] > 0 else 1)
    axes.yaxis.set_major_locator(MaxNLocator(4))
    axes.yaxis.set_major_formatter(lambda share, _: f"{100 * share:.3g}%")
