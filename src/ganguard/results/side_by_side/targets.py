"""Audits of one spec, or of several, each over targets that differ only in their seed.

A statement about a kind of target, or about an architecture, needs several targets of that kind: then the
unit is the target, and intervals are over targets.
"""

from collections.abc import Mapping

from ganguard.results.over_targets import Pair, over_targets
from ganguard.results.records import Against, AuditResults
from ganguard.results.side_by_side.accuracy import beside_accuracy
from ganguard.results.side_by_side.architectures import beside_architectures
from ganguard.results.side_by_side.records import (
    Line,
    OfTarget,
    Placebo,
    Planned,
    Shared,
    SideBySide,
    lines_of,
    shared_by,
    shared_by_targets,
)


def beside_targets(
    name: str,
    found: Mapping[str, AuditResults],
    targets: Mapping[str, OfTarget],
    pairs: tuple[Pair, ...],
    placebos: tuple[Placebo, ...],
) -> SideBySide:
    """Compare audits of targets, of which `targets` gives spec and seed by the audit's name.

    The targets of one spec are the units of its verdicts on every relation. Those of several specs are the
    units of the question that these specs ask together.
    """
    specs: dict[str, dict[int, AuditResults]] = {}
    for audit, results in found.items():
        of, seed = targets.get(audit, OfTarget(audit, 0))
        specs.setdefault(of, {})[seed] = results
    merged = {
        of: over_targets(each, pairs) if len(each) > 1 else next(iter(each.values()))
        for of, each in specs.items()
    }
    planned: list[Planned] = [
        {attack.label: (attack.knows, attack.query_budgets) for attack in results.attacks}
        for results in merged.values()
    ]
    if len(specs) == 1:
        together = _of_one_spec(name, next(iter(merged.values())), shared_by_targets(name, planned))
    else:
        shared = shared_by(name, planned)
        beside = beside_architectures if shared.question == "architectures" else beside_accuracy
        together = beside(name, merged, shared)
    against: Against = "reference" if together.question == "accuracy" else "target"
    shared = Shared(together.question, together.attacks, together.query_budget)
    lines = tuple(_placed(line, targets) for line in lines_of(found, shared, against))
    said = {"lines": lines, "unit": "targets", "pairs": pairs, "placebos": placebos}
    return together.model_copy(update=said)


def _of_one_spec(name: str, merged: AuditResults, shared: Shared) -> SideBySide:
    return SideBySide(
        name=name,
        question="targets",
        query_budget=shared.query_budget,
        attacks=shared.attacks,
        lines=(),
        verdicts=merged.verdicts,
        ratios=(),
    )


def _placed(line: Line, targets: Mapping[str, OfTarget]) -> Line:
    if line.audit not in targets:
        return line
    of, seed = targets[line.audit]
    return line.model_copy(update={"of": of, "target_seed": seed})
