"""Several audits, one after the other, and the page that lays them side by side."""

from collections.abc import Mapping
from pathlib import Path

from ganguard.audit.directory import OWNER
from ganguard.audit.perform import Listener
from ganguard.audit.report.beside import render_beside
from ganguard.audit.results import AuditResults, read_results
from ganguard.audit.run import audit
from ganguard.audit.side_by_side import SideBySide, shared_by, side_by_side
from ganguard.audit.spec import Spec
from ganguard.base.cache import write_bytes, write_json
from ganguard.base.errors import DataError, SpecError
from ganguard.base.settings import read_record, shortened

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
    require_comparable(name, specs)
    if (directory / OWNER).exists():
        raise SpecError(f"{directory}: holds an audit of its own. Choose another --out.")
    found = {
        each: audit(each, spec, directory / each, processes=processes, listener=listener, source=source)
        for each, (source, spec) in specs.items()
    }
    together = side_by_side(name, found)
    write_json(directory / FILE, together.model_dump(mode="json"))
    write_page(together, directory)
    return together, found


def require_comparable(name: str, specs: Mapping[str, tuple[str, Spec]]) -> None:
    """Raise SpecError where audits of these specs would have nothing to lie side by side for."""
    every = (spec.labelled_attacks() for _, spec in specs.values())
    shared_by(name, [{label: [each.query_budget for each in by_budget] for label, by_budget in labelled} for labelled in every])


def read_together(directory: Path) -> SideBySide:
    """side-by-side.json of a directory. Raises DataError where it cannot be read, or names an audit that is not right there."""
    together = read_record(directory / FILE, SideBySide, DataError)
    for line in together.lines:
        if line.audit in ("", ".", "..") or Path(line.audit).name != line.audit:
            raise DataError(f"{directory / FILE}: {shortened(line.audit)} is no directory beside it.")
    return together


def together_again(directory: Path) -> SideBySide:
    """What the results of the audits that side-by-side.json names say together now. Raises DataError where something cannot be
    read, SpecError where they no longer fit together."""
    before = read_together(directory)
    return side_by_side(before.name, {line.audit: read_results(directory / line.audit) for line in before.lines})


def write_page(together: SideBySide, directory: Path) -> Path:
    """report.html of all of them."""
    path = directory / "report.html"
    write_bytes(path, render_beside(together).encode())
    return path
