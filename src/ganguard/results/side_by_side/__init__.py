"""Several audits side by side: what they say together that none of them says alone."""

from collections.abc import Mapping

from ganguard.results.records import AuditResults
from ganguard.results.side_by_side.accuracy import beside_accuracy
from ganguard.results.side_by_side.architectures import beside_architectures
from ganguard.results.side_by_side.records import Copies, Line, SideBySide, shared_by

__all__ = ["Copies", "Line", "SideBySide", "shared_by", "side_by_side"]


def side_by_side(name: str, found: Mapping[str, AuditResults]) -> SideBySide:
    """Compare audits, given by name. Raises SpecError if they have too little in common."""
    planned = [
        {attack.label: (attack.knows, attack.query_budgets) for attack in results.attacks}
        for results in found.values()
    ]
    shared = shared_by(name, planned)
    return (beside_architectures if shared.question == "architectures" else beside_accuracy)(
        name, found, shared
    )
