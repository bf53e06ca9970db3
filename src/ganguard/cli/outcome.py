"""The end of an audit whose report lacks something."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ganguard.base.errors import StepError

if TYPE_CHECKING:
    from ganguard.results.records import FailureRecord


def require_all(failures: Sequence["FailureRecord"]) -> None:
    """Raise StepError if any copy, utility or honest model is missing from a report."""
    if failures:
        first = failures[0]
        copies = sum(failure.attack is not None for failure in failures)
        honest = sum(failure.recipe is not None for failure in failures)
        utilities = len(failures) - copies - honest
        absent = _counted(copies, "copy", "copies")
        absent += _counted(utilities, "defence's utility", "defences' utilities")
        absent += _counted(honest, "model that never saw the target", "models that never saw the target")
        raise StepError(
            f"missing from the report, which says why: {' and '.join(absent)}. The first: {first.step}: "
            f"{first.reason}"
        )


def _counted(count: int, one: str, more: str) -> list[str]:
    return [f"{count} {one if count == 1 else more}"] if count else []
