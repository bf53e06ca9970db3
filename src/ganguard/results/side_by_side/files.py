"""side-by-side.json: what several audits found together, written and read back."""

from pathlib import Path

from ganguard.base.errors import DataError
from ganguard.base.settings import read_record, shortened
from ganguard.results.records import read_results
from ganguard.results.side_by_side import SideBySide, side_by_side

FILE = "side-by-side.json"


def read_together(directory: Path) -> SideBySide:
    """side-by-side.json of a directory. Raises DataError where it cannot be read, or names an audit that is
    not right there."""
    together = read_record(directory / FILE, SideBySide, DataError)
    for line in together.lines:
        if line.audit in ("", ".", "..") or Path(line.audit).name != line.audit:
            raise DataError(f"{directory / FILE}: {shortened(line.audit)} is no directory beside it.")
    return together


def together_again(directory: Path) -> SideBySide:
    """What the results of the audits that side-by-side.json names say together now. Raises DataError where
    something cannot be read, SpecError where they no longer fit together."""
    before = read_together(directory)
    return side_by_side(
        before.name, {line.audit: read_results(directory / line.audit) for line in before.lines}
    )
