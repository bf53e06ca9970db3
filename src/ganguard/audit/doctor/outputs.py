"""Checks that each file of an audit, or of several side by side, is as it was written."""

from contextlib import suppress
from pathlib import Path

from ganguard.audit.doctor.steps import check_digests
from ganguard.audit.outcome.directory import ASSEMBLED, OWNER, owner_of, read_assembled
from ganguard.base.cache import file_digest
from ganguard.base.errors import DataError, SpecError
from ganguard.base.findings import Findings
from ganguard.base.locks import LOCK, locked
from ganguard.report.beside import render_beside
from ganguard.report.html import render
from ganguard.results.records import AuditResults, read_results
from ganguard.results.side_by_side.files import FILE, read_together, together_again

_AGAIN = "Run the same command again: it is written again."
_GOES_ON = "Run the same command again: it goes on from here."


def check_owner(directory: Path, found: Findings) -> None:
    """Check which audit the directory belongs to, and whether a run is at work in it."""
    # If there is no lock to be read, no audit has been at work here.
    with suppress(OSError), locked(directory / LOCK, shared=True) as free:
        if not free:
            what = "an audit is at work: what follows may change"
            found.add("note", what, directory, "Look again when it has ended.")
    advice = "If the audit here is yours, remove this file, and run the same command again."
    with found.unless(SpecError, "it does not say whose directory this is", directory / OWNER, advice):
        name, results = owner_of(directory), results_in(directory)
        if name is not None:
            found.add("ok", f"the audit {name!r}", directory)
        if name is not None and results is not None and results.name != name:
            what = f"it names another audit than the results, {results.name!r}"
            found.add("wrong", what, directory / OWNER, "Remove this file, and run the same command again.")


def results_in(directory: Path) -> AuditResults | None:
    """Return the results, if they are there and can be read."""
    try:
        return read_results(directory)
    except (DataError, OSError):
        return None


def check_outputs(directory: Path, found: Findings) -> None:
    """Check results.json and all that came out beside it against the digests that were recorded then."""
    results, assembled = results_in(directory), read_assembled(directory)
    path = directory / "results.json"
    if results is None and (path.exists() or assembled is not None):
        found.add("wrong", "absent, or not what the audit wrote", path, _AGAIN)
    elif results is None:
        found.add("note", "the audit has no results yet", directory, _GOES_ON)
    elif assembled is None and not (directory / LOCK).exists():
        _check_without_digests(directory, results, found)
    elif assembled is None:
        advice = "Run the same command again: it writes what is absent."
        found.add("note", "the last run ended before everything was written", directory, advice)
    else:
        numbers, files = len(results.measurements), dict(assembled.files)
        with found.whole(f"the results: {numbers:,} numbers, {len(files):,} files", directory):
            if _rendered_again(directory / "report.html", files.get("report.html"), results):
                del files["report.html"]
            check_digests(directory, files, _AGAIN, found)


def _check_without_digests(directory: Path, results: AuditResults, found: Findings) -> None:
    """Check the report of a copy of an audit that lacks the hidden files, and with them all digests."""
    what = "a copy without the audit's hidden files: nothing tells whether its files are as they were written"
    advice = f"Copy it whole, for instance with cp -a, or run the same command again; {ASSEMBLED} is missing."
    found.add("note", what, directory, advice)
    report = directory / "report.html"
    other = "the report cannot be compared with the results: {problem}"
    with found.unless((DataError, OSError), other, report, "Copy the audit whole, with cp -a."):
        if report.read_bytes() == render(results, directory).encode():
            found.add(
                "ok", f"the report says what the results say: {len(results.measurements):,} numbers", report
            )
        else:
            what = "it is not what this version writes of results.json"
            found.add("note", what, report, "ganguard report writes it again.")


def _rendered_again(report: Path, digest: str | None, results: AuditResults) -> bool:
    """Return whether `ganguard report` wrote the report since, from results that are as they were."""
    try:
        return (
            digest not in (None, file_digest(report))
            and report.read_bytes() == render(results, report.parent).encode()
        )
    except (DataError, OSError):
        return False


def check_together(directory: Path, found: Findings) -> None:
    """Check side-by-side.json and its page against the results of the audits."""
    path, page = directory / FILE, directory / "report.html"
    if not path.exists():
        advice = "If one command runs them all, run it again: it goes on from here."
        found.add("note", "the audits do not lie side by side yet", directory, advice)
        return
    other = "it cannot be compared with the audits' results: {problem}"
    with found.unless(DataError, "not what the audits wrote", path, _AGAIN):
        written = read_together(directory)
        with found.unless((DataError, SpecError), other, path, _AGAIN):
            if written != together_again(directory):
                found.add("wrong", "it is not what the audits' results say", path, _AGAIN)
            elif not page.is_file() or page.read_bytes() != render_beside(written).encode():
                found.add("wrong", "absent, or not of these results", page, _AGAIN)
            else:
                found.add("ok", f"{len(written.lines)} audits side by side", directory)
