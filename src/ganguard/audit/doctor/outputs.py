"""What came out of an audit: results, report, grids, checkpoints; each file is as the audit wrote it."""

from pathlib import Path

from ganguard.audit.doctor.finding import AGAIN, Finding, note, ok, wrong
from ganguard.audit.doctor.steps import differing
from ganguard.audit.outcome.directory import OWNER, owner_of, read_assembled
from ganguard.base.errors import DataError, SpecError
from ganguard.base.locks import LOCK, locked
from ganguard.results.records import AuditResults, read_results


def check_owner(directory: Path) -> list[Finding]:
    """Check which audit the directory belongs to, and whether a run is at work in it."""
    try:
        name = owner_of(directory)
    except SpecError:
        advice = "If the audit here is yours, remove this file, and run the same command again."
        return [wrong("it does not say whose directory this is", directory / OWNER, advice)]
    found: list[Finding] = []
    if _at_work(directory / LOCK):
        what = "an audit is at work: what follows may change"
        found.append(note(what, directory, "Look again when it has ended."))
    if name is not None and (directory / OWNER).exists():
        found.append(ok(f"the audit {name!r}", directory))
    return found


def _at_work(lock: Path) -> bool:
    try:
        with locked(lock, shared=True) as free:
            return not free
    except OSError:  # no audit has been at work here
        return False


def results_in(directory: Path) -> AuditResults | None:
    """Return the results, if they are there and can be read."""
    try:
        return read_results(directory)
    except (DataError, OSError):
        return None


def check_outputs(directory: Path) -> list[Finding]:
    """Check results.json and all that came out beside it against the digests that were recorded then."""
    results, assembled = results_in(directory), read_assembled(directory)
    path = directory / "results.json"
    if results is None:
        if path.exists() or assembled is not None:
            return [wrong("absent, or not what the audit wrote", path, AGAIN)]
        advice = "Run the same command again: it goes on from here."
        return [note("the audit has no results yet", directory, advice)]
    if assembled is None:
        advice = "Run the same command again: it writes what is absent."
        return [note("the last run ended before everything was written", directory, advice)]
    found = [
        wrong(what, file, AGAIN)
        for file, what in differing(directory, assembled.files)
        if file != directory / "report.html" or not _rendered_again(file, results)
    ]
    if (directory / OWNER).exists() and not _belongs(directory, results):
        what = f"it names another audit than the results, {results.name!r}"
        advice = "Remove this file, and run the same command again."
        found.append(wrong(what, directory / OWNER, advice))
    whole = f"the results: {len(results.measurements):,} numbers, {len(assembled.files):,} files"
    return found or [ok(whole, directory)]


def _rendered_again(report: Path, results: AuditResults) -> bool:
    """Return whether `ganguard report` wrote the report since, from results that are as they were."""
    if not report.is_file():
        return False
    from ganguard.report.html import render

    try:
        return report.read_bytes() == render(results, report.parent).encode()
    except (DataError, OSError):
        return False


def _belongs(directory: Path, results: AuditResults) -> bool:
    try:
        return owner_of(directory) == results.name
    except SpecError:
        return True  # `check_owner` says so
