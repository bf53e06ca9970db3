"""Numbers for people: three significant digits, a comma between thousands, never a machine's notation."""

import math
from collections.abc import Iterable, Sequence

from ganguard.results.summaries import Summary

SMALLEST = 1e-4  # smaller numbers are written as digits times a power of ten
DASH = "–"
_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def whole(value: int) -> str:
    """Return 5000 as "5,000"."""
    return f"{value:,}"


def counted(count: int, one: str, more: str = "") -> str:
    """Return a count and what is counted, "1 image" or "5,000 images"; `more` is the plural, if it is not
    `one` with an s."""
    return f"{whole(count)} {one if count == 1 else more or f'{one}s'}"


def number(value: float, digits: int = 3) -> str:
    """Return a number to `digits` significant digits: "0.0612", "3.12", "1,230".

    NaN, a number that was not measured, is a dash.
    """
    if math.isnan(value):
        return DASH
    if value == 0:
        return "0"
    if abs(value) < SMALLEST:
        mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
        return f"{mantissa} × 10{str(int(exponent)).translate(_SUPERSCRIPTS)}"
    places = _places(value, digits)
    return f"{round(value, places):,.{max(0, places)}f}"


def with_spread(summary: Summary, decimals: int | None = None) -> str:
    """Return "mean ± deviation", both to the same place; the mean alone if it has no deviation.

    Args:
        decimals: places after the point. None gives the larger of the two three significant digits, since a
            mean may lie about 0 and still vary.
    """
    if decimals is None:
        size = max(abs(summary.mean), summary.deviation or 0.0)
        if size < SMALLEST:
            return number(summary.mean)
        decimals = max(0, _places(size, 3))
    mean = f"{summary.mean:z,.{decimals}f}"
    return mean if summary.deviation is None else f"{mean} ± {summary.deviation:,.{decimals}f}"


def interval(least: float, greatest: float) -> str:
    """Return two numbers as "1.20 to 1.45", or one if both look the same in print."""
    low, high = number(least), number(greatest)
    return low if low == high else f"{low} to {high}"


def whole_interval(values: Iterable[int]) -> str:
    """Return whole numbers as "1,000" if they agree, else as "500 to 1,000"."""
    known = sorted(set(values))
    return whole(known[0]) if len(known) == 1 else f"{whole(known[0])} to {whole(known[-1])}"


def listed(words: Sequence[str]) -> str:
    """Return words as "a", "a and b", or "a, b and c"."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def seconds(value: float) -> str:
    """Return a wall time as "0.4 s", "12 s", "3 min 20 s" or "2 h 5 min"."""
    if value < 10:
        return f"{value:.1f} s"
    total = round(value)
    if total < 60:
        return f"{total} s"
    minutes, rest = divmod(total, 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def _places(value: float, digits: int) -> int:
    """Return the decimal places that leave `digits` significant digits; below 0 for large values.

    They are those of the rounded value: 9.996 counts as 10.0.
    """
    return digits - 1 - int(f"{value:.{digits - 1}e}".split("e")[1])
