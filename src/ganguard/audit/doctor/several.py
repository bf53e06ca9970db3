"""Audits that lie side by side in one directory: what was written of all of them."""

from collections.abc import Callable
from pathlib import Path

from ganguard.audit.doctor.finding import AGAIN, Finding, note, ok, wrong
from ganguard.audit.doctor.steps import check_leftovers
from ganguard.base.errors import DataError, SpecError
from ganguard.report.beside import render_beside
from ganguard.results.side_by_side.files import FILE, read_together, together_again


def audits_below(directory: Path, is_audit: Callable[[Path], bool]) -> list[Path]:
    """Return the audits in a directory; none if there is no directory."""
    if not directory.is_dir():
        return []
    return [path for path in sorted(directory.iterdir()) if path.is_dir() and is_audit(path)]


def check_together(directory: Path) -> list[Finding]:
    """Check side-by-side.json and its page against the results of the audits."""
    path, page = directory / FILE, directory / "report.html"
    if not path.exists():
        advice = "If one command runs them all, run it again: it goes on from here."
        return [note("the audits do not lie side by side yet", directory, advice)]
    try:
        written = read_together(directory)
    except DataError:
        return [wrong("not what the audits wrote", path, AGAIN)]
    try:
        as_found = together_again(directory)
    except (DataError, SpecError) as problem:
        return [wrong(f"it cannot be compared with the audits' results: {problem}", path, AGAIN)]
    if written != as_found:
        return [wrong("it is not what the audits' results say", path, AGAIN)]
    if not page.is_file() or page.read_bytes() != render_beside(written).encode():
        return [wrong("absent, or not of these results", page, AGAIN)]
    return [ok(f"{len(written.lines)} audits side by side", directory)]


def check_leftovers_beside(directory: Path) -> list[Finding]:
    """Find what a killed process was writing beside the audits; what lies in an audit is found with it."""
    return [finding for finding in check_leftovers(directory) if finding.where.parent == directory]
