"""Run several audits, one after the other, and write the page that shows them side by side."""

from collections.abc import Mapping
from pathlib import Path

from ganguard.audit.engine.run_step import Listener
from ganguard.audit.outcome.directory import OWNER
from ganguard.audit.plan.pairs import improvements
from ganguard.audit.run import audit
from ganguard.audit.spec.spec import Spec
from ganguard.base.cache import write_bytes, write_json
from ganguard.base.errors import SpecError
from ganguard.report.beside import render_beside
from ganguard.results.records import AuditResults
from ganguard.results.side_by_side import SideBySide, shared_by, side_by_side
from ganguard.results.side_by_side.accuracy import RELATIONS
from ganguard.results.side_by_side.files import FILE


def run_several(
    name: str,
    specs: Mapping[str, tuple[str, Spec]],
    directory: Path,
    *,
    processes: int | None = None,
    listener: Listener,
) -> tuple[SideBySide, dict[str, AuditResults]]:
    """Run audits, each in a directory of its own below `directory`.

    Writes side-by-side.json and report.html there. What was finished is kept, and the same call goes on from
    there.

    Args:
        name: of them all together.
        specs: by the audits' names, where each spec came from (see `spec.reading.source_of`), and the spec.
        directory: where they work.
        processes: how many steps run at once; None takes one for each core and thread.
        listener: is told what happens to each step.

    Raises SpecError if they cannot be compared, and what `audit` raises.
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
    """Raise SpecError if audits of these specs have nothing in common that could be compared.

    They must share the real images, the features, the samples, and the settings of the attacks that a page
    shows side by side.
    """
    every = [spec for _, spec in specs.values()]
    labelled = [dict(spec.labelled_attacks()) for spec in every]
    planned = [
        {
            label: (by_budget[0].needs().knows(), [each.query_budget for each in by_budget])
            for label, by_budget in one.items()
        }
        for one in labelled
    ]
    shared = shared_by(name, planned)
    for key in ("real", "features", "samples"):
        if any(getattr(spec, key) != getattr(every[0], key) for spec in every):
            raise SpecError(f"{name}: its audits must have the same {key} to lie side by side.")
    for label in shared.attacks:
        settings = [
            next(each for each in one[label] if each.query_budget == shared.query_budget) for one in labelled
        ]
        if any(each != settings[0] for each in settings):
            raise SpecError(f"{name}: {label!r} must have the same settings in all of its audits.")
    asked = {
        pair.relation
        for spec, one in zip(every, labelled, strict=True)
        for pair in improvements(list(one.items()), spec.ask)
    }
    if shared.question == "accuracy" and not asked & RELATIONS.keys():
        raise SpecError(
            f"{name}: no two attacks of its audits differ in real images, or in subsampling, alone."
        )


def write_page(together: SideBySide, directory: Path) -> Path:
    """Write the page that shows all of them, and return its path."""
    path = directory / "report.html"
    write_bytes(path, render_beside(together).encode())
    return path
