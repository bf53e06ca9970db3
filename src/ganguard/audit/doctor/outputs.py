"""What came out of an audit: results, report, grids, checkpoints; each file is as the audit wrote it."""

import fcntl
from pathlib import Path

from ganguard.audit.doctor.finding import AGAIN, Finding
from ganguard.audit.outcome.directory import OWNER, changed_files, owner_of, read_assembled
from ganguard.base.errors import DataError, SpecError
from ganguard.base.locks import LOCK
from ganguard.results.records import AuditResults, read_results


def check_owner(directory: Path) -> list[Finding]:
    """Whose directory it is, and whether somebody is at work in it."""
    found: list[Finding] = []
    try:
        name = owner_of(directory)
    except SpecError:
        advice = "If the audit here is yours, remove this file, and run the same command again."
        return [Finding("wrong", "it does not say whose directory this is", directory / OWNER, advice)]
    if _at_work(directory / LOCK):
        found.append(
            Finding(
                "note",
                "an audit is at work: what follows may change",
                directory,
                "Look again when it has ended.",
            )
        )
    if name is not None and (directory / OWNER).exists():
        found.append(Finding("ok", f"the audit {name!r}", directory))
    return found


def _at_work(lock: Path) -> bool:
    try:
        with lock.open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def results_in(directory: Path) -> AuditResults | None:
    """The results, if they are there and can be read."""
    try:
        return read_results(directory)
    except (DataError, OSError):
        return None


def check_outputs(directory: Path) -> list[Finding]:
    """results.json and all that it names, against the digests that were recorded when they were written."""
    results, assembled = results_in(directory), read_assembled(directory)
    path = directory / "results.json"
    if results is None:
        if path.exists() or assembled is not None:
            return [Finding("wrong", "absent, or not what the audit wrote", path, AGAIN)]
        return [
            Finding(
                "note",
                "the audit has no results yet",
                directory,
                "Run the same command again: it goes on from here.",
            )
        ]
    if assembled is None:
        advice = "Run the same command again: it writes what is absent."
        return [Finding("note", "the last run ended before everything was written", directory, advice)]
    found = [
        _changed(directory / file)
        for file in changed_files(directory, assembled)
        if not _rewritten(directory, file)
    ]
    if (directory / OWNER).exists() and not _fits(directory, results):
        advice = "Remove this file, and run the same command again."
        found.append(
            Finding(
                "wrong",
                f"it names another audit than the results, {results.name!r}",
                directory / OWNER,
                advice,
            )
        )
    whole = f"the results: {len(results.measurements):,} numbers, {len(assembled.files):,} files"
    return found or [Finding("ok", whole, directory)]


def _changed(file: Path) -> Finding:
    return Finding(
        "wrong", "damaged: it is not as the audit wrote it" if file.exists() else "absent", file, AGAIN
    )


def _rewritten(directory: Path, file: str) -> bool:
    """Whether the report was written again since by `ganguard report`, from results that are as they were."""
    results = results_in(directory)
    if file != "report.html" or results is None or not (directory / file).is_file():
        return False
    from ganguard.report.html import render

    try:
        return (directory / file).read_bytes() == render(results, directory).encode()
    except (DataError, OSError):
        return False


def _fits(directory: Path, results: AuditResults) -> bool:
    try:
        return owner_of(directory) == results.name
    except SpecError:
        return True  # said already
