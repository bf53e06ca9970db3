"""How every picture of the report is drawn: as inline SVG in the page's own colours and font.

Matplotlib draws in fixed colours. They are replaced by CSS variables, so that the page can choose colours for
light and dark screens and for print. Text stays text, in the page's font.
"""

import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

import matplotlib
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator

INK, MUTED, GRID, PAPER = "#1b1f24", "#59626d", "#dce0e5", "#fefefe"
SERIES = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
"""Colours of series (Okabe and Ito 2008, less yellow, which is too pale)."""
_VARIABLES = {INK: "--ink", MUTED: "--muted", GRID: "--line", PAPER: "--paper"} | {
    colour: f"--series-{i}" for i, colour in enumerate(SERIES)
}


@dataclass(frozen=True)
class Shape:
    """A format of a picture.

    Attributes:
        name: unique on the page.
        size: width and height in points.
        box: left, bottom, width and height of the axes, as shares of the picture.
        font: size in points.
    """

    name: str
    size: tuple[float, float]
    box: tuple[float, float, float, float]
    font: float


def draw(shape: Shape, title: str, description: str, paint: Callable[[Axes], None], prefix: str = "") -> str:
    """Return SVG text of what `paint` draws on axes.

    Args:
        title, description: for screen readers.
        prefix: of identifiers, if several pictures of the page have the shape.
    """
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(
            {
                "svg.fonttype": "none",
                "svg.hashsalt": f"ganguard {prefix}{shape.name}",
                "font.size": shape.font,
            }
        )
        figure = Figure(figsize=(shape.size[0] / 72, shape.size[1] / 72), facecolor="none")
        axes = figure.add_axes(shape.box)
        paint(axes)
        _bare(axes)
        return _text(figure, shape, f"{prefix}{shape.name}", title, description)


def set_ticks(axis: Axis, places: Sequence[float], texts: Sequence[str] | None = None) -> None:
    """Set the ticks of an axis at these places alone. texts: at them; the plain numbers if it is None."""
    axis.set_major_locator(FixedLocator([float(place) for place in places]))
    axis.set_major_formatter(FixedFormatter(texts or [f"{place:,g}" for place in places]))
    axis.set_minor_locator(NullLocator())


def _bare(axes: Axes) -> None:
    """Draw a thin grid behind the data, and no box around them."""
    axes.set_facecolor("none")
    axes.grid(visible=True, color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(colors=GRID, labelcolor=INK, length=3)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(MUTED)


def _text(figure: Figure, shape: Shape, name: str, title: str, description: str) -> str:
    """Return the figure as an SVG element for HTML, whose identifiers begin with its name."""
    buffer = io.StringIO()
    FigureCanvasSVG(figure).print_svg(
        buffer, metadata={"Creator": None, "Date": None, "Format": None, "Type": None}
    )
    text = buffer.getvalue()
    body = text[text.index(">", text.index("<svg")) + 1 :]
    body = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{name}-", body)
    body = re.sub(r"font: ([\d.]+)px [^;\"]*", r"font-size: \1px", body)
    for colour, variable in _VARIABLES.items():
        body = body.replace(colour, f"var({variable})")
    width, height = (f"{length:g}" for length in shape.size)
    return (
        f'<svg class="{shape.name}" viewBox="0 0 {width} {height}" role="img" '
        f'aria-labelledby="{name}-title {name}-about">\n'
        f'<title id="{name}-title">{escape(title)}</title>\n'
        f'<desc id="{name}-about">{escape(description)}</desc>{body}'
    )
