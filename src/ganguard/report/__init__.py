"""The report of an audit: one HTML file that opens offline, rendered from the results and nothing else."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ganguard.results.records import AuditResults
__all__ = ["write_report"]


def write_report(results: "AuditResults", directory: Path) -> Path:
    """Render `directory`/report.html atomically and return its path.

    The PNG grids that `results.pictures` names are read from below `directory` and embedded. Equal results
    and pictures give equal bytes. Raises DataError if a picture is absent or is not a PNG file.
    """
    from ganguard.base.cache import write_bytes
    from ganguard.report.html import render

    path = directory / "report.html"
    write_bytes(path, render(results, directory).encode())
    return path
