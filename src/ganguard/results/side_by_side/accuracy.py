"""Audits of several targets by adversaries that hold real images.

Do real images (R4), and subsampling (R5), bring copies nearer to real ones, and does that depend on how good
the target is? A relation as a whole holds for a target if every comparison does. Then no interval needs to be
widened for their number (Berger 1982), as it would if any single one were enough. So each comparison is
judged here by its own interval, where the audit's report corrects it for their number.
"""

from collections.abc import Mapping

from ganguard.results.records import AuditResults, Outcome, Verdict
from ganguard.results.side_by_side.records import Shared, SideBySide, lines_of
from ganguard.results.verdicts import decided

RELATIONS = {"R4": "real images improve accuracy", "R5": "subsampling improves it further"}


def beside_accuracy(name: str, found: Mapping[str, AuditResults], shared: Shared) -> SideBySide:
    """Return the distances of what the audits share, and the verdicts of each audit.

    The verdicts are on every budget and every pair of attacks that an audit has.
    """
    own = {
        (audit, relation): _of(results, relation)
        for relation in RELATIONS
        for audit, results in found.items()
    }
    return SideBySide(
        name=name,
        question=shared.question,
        query_budget=shared.query_budget,
        attacks=shared.attacks,
        lines=lines_of(found, shared, "reference"),
        verdicts=tuple(_whole(audit, relation, each) for (audit, relation), each in own.items() if each),
        ratios=tuple(
            verdict.model_copy(update={"statement": f"{audit}: {verdict.statement}"})
            for (audit, _), each in own.items()
            for verdict in each
        ),
    )


def _of(results: AuditResults, relation: str) -> list[Verdict]:
    return [_alone(verdict) for verdict in results.verdicts if verdict.relation == relation]


def _alone(verdict: Verdict) -> Verdict:
    """Return a verdict on a ratio that should be below 1 as its own interval decides it."""
    if verdict.low is None or verdict.high is None:
        return verdict
    outcome, reason = decided(verdict.low, verdict.high, fails_above=True)
    own = {"outcome": outcome, "reason": reason, "corrected_low": None, "corrected_high": None}
    return verdict.model_copy(update=own)


def _whole(audit: str, relation: str, own: list[Verdict]) -> Verdict:
    """Return one verdict on all comparisons of an audit: their outcome if they agree, else undecided."""
    outcomes = [verdict.outcome for verdict in own]
    outcome: Outcome = own[0].outcome if len(set(outcomes)) == 1 else "undecided"
    said = ", ".join(
        f"{word} in {n}" for word in ("holds", "fails", "undecided") if (n := outcomes.count(word))
    )
    return Verdict(
        relation=relation,
        statement=f"{audit}: {RELATIONS[relation]}",
        outcome=outcome,
        reason=f"comparisons: {len(own)}; {said}",
        seeds=min(verdict.seeds for verdict in own),
    )
