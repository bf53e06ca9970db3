"""Several audits, one after the other, and the page that lays them side by side."""

from collections.abc import Mapping
from pathlib import Path

from ganguard.audit.directory import OWNER
from ganguard.audit.perform import Listener
from ganguard.audit.report.beside import render_beside
from ganguard.audit.results import AuditResults
from ganguard.audit.run import audit
from ganguard.audit.side_by_side import SideBySide, side_by_side
from ganguard.audit.spec import Spec
from ganguard.base.cache import write_bytes, write_json
from ganguard.base.errors import SpecError

FILE = "side-by-side.json"


def run_several(
    name: str,
    specs: Mapping[str, tuple[str, Spec]],
    directory: Path,
    *,
    processes: int | None = None,
    listener: Listener,
) -> tuple[SideBySide, dict[str, AuditResults]]:
    """Run audits, each in a directory of its own below `directory`, and write side-by-side.json and report.html there.

    specs: by the audits' names, where each came from (see `spec.source_of`), and what it says. Raises as `audit` does; what was
    finished is kept, and the same call goes on from there.
    """
    if (directory / OWNER).exists():
        raise SpecError(f"{directory}: holds an audit of its own. Choose another --out.")
    found = {
        each: audit(each, spec, directory / each, processes=processes, listener=listener, source=source)
        for each, (source, spec) in specs.items()
    }
    together = side_by_side(name, found)
    write_json(directory / FILE, together.model_dump(mode="json"))
    write_bytes(directory / "report.html", render_beside(together).encode())
    return together, found
