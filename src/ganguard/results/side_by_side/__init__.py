"""Several audits side by side: what they say together that none of them says alone."""

from collections.abc import Collection, Mapping

from ganguard.results.over_targets import Pair
from ganguard.results.records import AuditResults
from ganguard.results.side_by_side.accuracy import beside_accuracy
from ganguard.results.side_by_side.architectures import beside_architectures
from ganguard.results.side_by_side.records import (
    Copies,
    Line,
    OfTarget,
    Placebo,
    SideBySide,
    shared_by,
)
from ganguard.results.side_by_side.targets import beside_targets

__all__ = ["Copies", "Line", "OfTarget", "Pair", "Placebo", "SideBySide", "shared_by", "side_by_side"]


def side_by_side(
    name: str,
    found: Mapping[str, AuditResults],
    *,
    targets: Mapping[str, OfTarget] | None = None,
    pairs: Collection[Pair] = (),
    placebos: Collection[Placebo] = (),
) -> SideBySide:
    """Compare audits, given by name. Raises SpecError if they have too little in common.

    Args:
        name: of them all together.
        found: the audits.
        targets: of audits by name that come of one spec with `target_seeds`. Their intervals are over
            targets.
        pairs: attacks that R4 to R6 and R8 compare over targets.
        placebos: how far such targets are apart.
    """
    if targets:
        return beside_targets(name, found, targets, tuple(pairs), tuple(placebos))
    planned = [
        {attack.label: (attack.knows, attack.query_budgets) for attack in results.attacks}
        for results in found.values()
    ]
    shared = shared_by(name, planned)
    return (beside_architectures if shared.question == "architectures" else beside_accuracy)(
        name, found, shared
    )
