"""side-by-side.json: what several audits found together, written and read back."""

from pathlib import Path

from ganguard.base.errors import DataError
from ganguard.base.settings import read_record, shortened
from ganguard.results.records import read_results
from ganguard.results.side_by_side import OfTarget, SideBySide, side_by_side

FILE = "side-by-side.json"


def read_together(directory: Path) -> SideBySide:
    """Read side-by-side.json of a directory.

    Raises DataError if it cannot be read, or names an audit that is not in a directory beside it.
    """
    together = read_record(directory / FILE, SideBySide, DataError)
    for line in together.lines:
        if line.audit in ("", ".", "..") or Path(line.audit).name != line.audit:
            raise DataError(
                f"{directory / FILE}: each audit must be a directory beside it; got {shortened(line.audit)}. "
                "Run the audits again."
            )
    return together


def together_again(directory: Path) -> SideBySide:
    """Compare the audits that side-by-side.json names again, by the results that they have now.

    Raises DataError if something cannot be read, SpecError if they no longer have enough in common.
    """
    before = read_together(directory)
    return side_by_side(
        before.name,
        {line.audit: read_results(directory / line.audit) for line in before.lines},
        targets={
            line.audit: OfTarget(line.of, line.target_seed)
            for line in before.lines
            if line.target_seed is not None
        },
        pairs=before.pairs,
        placebos=before.placebos,
    )
