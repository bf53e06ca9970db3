"""Audits laid side by side: what they say together that none of them says alone."""

from collections.abc import Mapping

from ganguard.audit.results import AuditResults
from ganguard.audit.side_by_side.accuracy import beside_accuracy
from ganguard.audit.side_by_side.architectures import beside_architectures
from ganguard.audit.side_by_side.records import Copies, Line, SideBySide, attacks_in_common
from ganguard.audit.verdicts import KNOWING
from ganguard.base.errors import SpecError

__all__ = ["Copies", "Line", "SideBySide", "side_by_side"]


def side_by_side(name: str, found: Mapping[str, AuditResults]) -> SideBySide:
    """Lay audits beside each other, by name. Of two attacks or more that know no real images, the question is whether the pair
    of architectures matters; else, of attacks that know some, whether that brings accuracy. Raises SpecError where they have
    fewer than two attacks, or no budget, in common."""
    every = list(found.values())
    if len(attacks := attacks_in_common(every, lambda label: not label.startswith(KNOWING))) > 1:
        return beside_architectures(name, found, attacks)
    attacks = attacks_in_common(every, lambda label: not label.startswith(("transfer", "given copy")))
    if len(attacks) < 2:
        raise SpecError(f"{name}: its audits must have two attacks or more in common, and a query budget of all of these.")
    return beside_accuracy(name, found, attacks)
