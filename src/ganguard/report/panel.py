"""What did the strongest adversary try? Its recipes, what it thought of each, and what each cost."""

from collections import Counter
from dataclasses import dataclass

from ganguard.report.numbers import counted, listed, number, seconds, whole
from ganguard.report.tables import Group, Row
from ganguard.results.panels import PanelRecord
from ganguard.results.records import AuditResults

COLUMNS = ("its score, lower is better", "at step", "training took", "chosen")
CHOSEN = "✓"


@dataclass(frozen=True)
class PanelSection:
    """The section on recipes that were tried.

    Attributes:
        remark: which recipes were chosen, how often.
        columns, groups: a group for each copy, with a row for each recipe, and one for the training on the
            whole purchase.
    """

    remark: str
    columns: tuple[str, ...]
    groups: tuple[Group, ...]


def panel_section(results: AuditResults) -> PanelSection | None:
    """Return what is said about recipes that were tried; None if no adversary tried several."""
    panels = sorted(results.panels, key=lambda each: (each.attack, each.query_budget, each.seed))
    if not panels:
        return None
    return PanelSection(_remark(panels), COLUMNS, tuple(_group(each) for each in panels))


def _remark(panels: list[PanelRecord]) -> str:
    chosen: dict[int, Counter[str]] = {}
    for panel in panels:
        chosen.setdefault(panel.query_budget, Counter())[panel.tried[panel.chosen].recipe] += 1
    said = [
        f"{counted(budget, 'image')}: "
        + listed([f"{recipe} ({counted(times, 'time')})" for recipe, times in counts.most_common()])
        for budget, counts in sorted(chosen.items())
    ]
    took = sum(sum(each.seconds for each in panel.tried) + panel.seconds for panel in panels)
    return f"It chose, with {'; with '.join(said)}. All its trainings took {seconds(took)} together."


def _group(panel: PanelRecord) -> Group:
    behind = f", behind {panel.defence}, {panel.adversary}" if panel.defence else ""
    rows = [
        Row(
            each.recipe,
            (
                number(each.score),
                whole(each.step),
                seconds(each.seconds),
                CHOSEN if place == panel.chosen else "",
            ),
        )
        for place, each in enumerate(panel.tried)
    ]
    best = panel.tried[panel.chosen]
    again = Row(f"{best.recipe}, on the whole purchase", ("", whole(best.step), seconds(panel.seconds), ""))
    heading = f"{panel.attack}, {whole(panel.query_budget)} images, seed {panel.seed}{behind}"
    return Group(heading, (*rows, again))
