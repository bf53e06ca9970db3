"""Read back what adversaries tried that have several recipes."""

from ganguard.attacks.strongest import TRIED
from ganguard.audit.engine.cache import Done
from ganguard.audit.plan.parts import Plan
from ganguard.base.errors import DataError
from ganguard.base.settings import read_record
from ganguard.results.panels import Panel, PanelRecord


def panel_records(plan: Plan, done: dict[str, Done]) -> list[PanelRecord]:
    """Return a record of every copy whose adversary tried several recipes.

    Raises DataError if its file is damaged.
    """
    trained = [(copy, done[copy.train.name]) for copy in plan.substitutes if copy.train.name in done]
    panels = [(copy, step.directory / TRIED) for copy, step in trained if (step.directory / TRIED).is_file()]
    return [
        PanelRecord.model_validate(
            {**copy.copy.whose().model_dump(), **dict(read_record(path, Panel, DataError))}
        )
        for copy, path in panels
    ]
