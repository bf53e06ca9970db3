"""The verdicts of any number of audits as one table: relation, data, target, and what was compared."""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from ganguard.base.errors import DataError
from ganguard.report.lists import ratio
from ganguard.report.numbers import counted
from ganguard.results.records import AuditResults, Verdict, read_results
from ganguard.results.side_by_side import SideBySide
from ganguard.results.side_by_side.files import FILE, read_together

COLUMNS = (
    "relation",
    "audit",
    "data",
    "target",
    "what is compared",
    "ratio (95 % interval; corrected)",
    "n",
    "verdict",
)


class PlacedVerdict(NamedTuple):
    """One verdict, and where it was found."""

    audit: str
    data: str
    target: str
    verdict: Verdict
    unit: str = "seed"

    @property
    def ratio(self) -> str:
        """The ratio and its intervals in print, and a dash if there is none."""
        return ratio(self.verdict)

    @property
    def outcome(self) -> str:
        """The outcome, with its reason if there is no ratio to read it off."""
        judged = self.verdict
        return judged.outcome if judged.ratio is not None else f"{judged.outcome}: {judged.reason}"

    @property
    def over(self) -> str:
        """What the interval is over, "5 seeds"."""
        return counted(self.verdict.seeds, self.unit)

    @property
    def cells(self) -> tuple[str, ...]:
        """What stands under COLUMNS."""
        where = (self.verdict.relation, self.audit, self.data, self.target)
        return (*where, self.verdict.statement, self.ratio, self.over, self.outcome)


def every_verdict(directories: Iterable[Path]) -> list[PlacedVerdict]:
    """Return the verdicts of audits, by relation, and within one in the order of the directories.

    Intervals are corrected as in each audit's own report: for the comparisons of a relation in that audit
    (Holm 1979).

    Args:
        directories: that `ganguard audit` wrote, each of one audit, or of several side by side, whose common
            verdicts come after their own.

    Raises:
        DataError: if a directory holds no results, or an audit is named twice.
    """
    found: list[PlacedVerdict] = []
    seen: set[Path] = set()
    for directory in directories:
        together = read_together(directory) if (directory / FILE).exists() else None
        names = [line.audit for line in together.lines] if together else []
        for audit in [directory / name for name in names] or [directory]:
            if audit.resolve() in seen:
                raise DataError(f"{audit}: is named twice. Name each audit once.")
            seen.add(audit.resolve())
        found += _of_several(together, directory) if together else _of_one(read_results(directory))
    return sorted(found, key=lambda judged: judged.verdict.relation)


def _of_one(results: AuditResults) -> list[PlacedVerdict]:
    where = (results.name, results.real, results.target.description)
    return [PlacedVerdict(*where, verdict) for verdict in results.verdicts]


def _of_several(together: SideBySide, directory: Path) -> list[PlacedVerdict]:
    """Return the verdicts of audits side by side: those of each, then those that need several of them.

    Side by side on accuracy, nothing needs several: those verdicts are each audit's own again.
    """
    audits = [read_results(directory / line.audit) for line in together.lines]
    data = ", ".join(dict.fromkeys(results.real for results in audits))
    unit = together.unit.removesuffix("s")
    common = [
        PlacedVerdict(together.name, data, counted(len(audits), "target"), verdict, unit)
        for verdict in (*together.ratios, *together.verdicts)
        if together.question != "accuracy"
    ]
    return [judged for results in audits for judged in _of_one(results)] + common


def as_lines(judged: Iterable[PlacedVerdict]) -> list[str]:
    """Return verdicts for a terminal of any width: each relation, in it each audit, in it each comparison."""
    lines: list[str] = []
    under: tuple[str, ...] = ()
    for each in judged:
        where = (each.verdict.relation, each.audit, each.data, each.target)
        if where[0] not in under[:1]:
            lines.append(where[0])
        if where != under:
            lines.append(f"  {each.audit} (data: {each.data}; target: {each.target})")
        under = where
        said = each.outcome if each.verdict.ratio is None else f"{each.outcome}, {each.ratio}"
        lines.append(f"    {each.verdict.statement}: {said}; {each.over}")
    return lines


def as_markdown(judged: Iterable[PlacedVerdict]) -> str:
    """Return verdicts as a table of Markdown, a line each."""
    rows = [COLUMNS, ("---",) * len(COLUMNS), *(each.cells for each in judged)]
    return "".join(f"| {' | '.join(_escaped(cell) for cell in row)} |\n" for row in rows)


def _escaped(cell: str) -> str:
    return " ".join(cell.replace("|", r"\|").split())
