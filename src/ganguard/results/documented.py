"""The table of all numbers in the documentation, written from the table of measures."""

from pathlib import Path

from ganguard.base.cache import write_bytes
from ganguard.results.measure import INPUTS, SPREADS
from ganguard.results.measures import MEASURES, Measure

BEGIN, END = "<!-- measures -->\n", "<!-- end of measures -->\n"
_BETTER = {"lower": "lower", "higher": "higher", "none": "neither"}


def write_measures(path: Path) -> None:
    """Write the table into a Markdown file, between BEGIN and END."""
    before, _, rest = path.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    write_bytes(path, (before + BEGIN + measures_table() + END + after).encode())


def measures_table() -> str:
    """Return the table as Markdown, a row for each number."""
    lines = ["| number | what it says | better | of | spread |", "|---|---|---|---|---|"]
    lines += [" ".join(("|", " | ".join(_row(measure)), "|")) for measure in MEASURES.values()]
    return "\n".join(lines) + "\n"


def _row(measure: Measure) -> tuple[str, ...]:
    unit = f", in {measure.unit}" if measure.unit else ""
    alone = "" if measure.audited else " (`ganguard measure` alone)"
    return (
        f"`{measure.name}`{alone}",
        f"{measure.title}{unit}. {measure.help}",
        _BETTER[measure.better],
        INPUTS[measure.of] + _needs(measure),
        SPREADS[measure.spread],
    )


def _needs(measure: Measure) -> str:
    """Return the smallest sizes that a number needs, as the end of a sentence; empty if any will do."""
    needs = [f"{measure.fewest:,} images a set"] if measure.fewest > 1 else []
    if measure.fewest_a_dimension:
        needs.append(f"{measure.fewest_a_dimension} for each dimension")
    if measure.smallest_side > 1:
        needs.append(f"{measure.smallest_side}×{measure.smallest_side} pixels")
    return f"; at least {' and '.join(needs)}" if needs else ""
