"""Every copy behind every defence: how near it came to the undefended target and to real images."""

from dataclasses import dataclass

from ganguard.report.defended_points import UNDEFENDED
from ganguard.report.independent import NEVER_SAW
from ganguard.report.numbers import whole
from ganguard.report.tables import Group, Row, cell
from ganguard.results.independent import honest_record
from ganguard.results.measures import DISTANCE
from ganguard.results.records import Against, AuditResults

LONG = 12  # rows; a table with more is folded
AGAINST: tuple[tuple[Against, str], ...] = (("target", "fidelity"), ("reference", "accuracy"))
ANYBODY = "whoever attacks"


@dataclass(frozen=True)
class CopiesTable:
    """A table with a group for each defence, none first, and a row for each adversary.

    Attributes:
        columns: for each budget fidelity, then accuracy.
    """

    columns: tuple[str, ...]
    groups: tuple[Group, ...]

    @property
    def folded(self) -> bool:
        """Whether the table is so long that it is folded."""
        return sum(len(group.rows) for group in self.groups) > LONG


def copies_table(results: AuditResults, attack: str) -> CopiesTable:
    """Return the Fréchet distances of an attack's copies, as mean ± standard deviation."""
    copies = [
        m for m in results.select(subject="substitute", attack=attack, metric=DISTANCE) if m.query_budget
    ]
    failed = [f for f in results.failures if f.attack == attack and f.query_budget]
    made = {(c.defence, c.adversary): None for c in [*copies, *failed]}
    budgets = sorted({c.query_budget for c in [*copies, *failed] if c.query_budget})

    def of(defence: str | None, adversary: str | None, budget: int, against: Against) -> str:
        whose = (defence, adversary, budget)
        found = [
            m for m in copies if (m.defence, m.adversary, m.query_budget, m.against) == (*whose, against)
        ]
        return cell(found, failed=any((f.defence, f.adversary, f.query_budget) == whose for f in failed))

    def group(defence: str | None) -> Group:
        found = {adversary for label, adversary in made if label == defence}
        adversaries = [who for who in (None, *results.adversaries) if who in found]
        rows = (
            Row(
                who or ANYBODY,
                tuple(of(defence, who, budget, against) for budget in budgets for against, _ in AGAINST),
            )
            for who in adversaries
        )
        return Group(defence or UNDEFENDED, tuple(rows))

    groups = [group(label) for label in (None, *(d.label for d in results.defences))]
    record = honest_record(results.independent, attack, results.measurements)
    if record:
        honest = results.select(recipe=record.label, metric=DISTANCE)
        cells = [cell(m for m in honest if m.against == against) for against, _ in AGAINST]
        groups.append(Group(NEVER_SAW, (Row("of the same recipe", tuple(cells * len(budgets))),)))
    columns = tuple(f"{whole(budget)}: {name}" for budget in budgets for _, name in AGAINST)
    return CopiesTable(columns, tuple(group for group in groups if group.rows))
