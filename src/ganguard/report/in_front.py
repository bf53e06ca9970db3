"""What the headline and the relations say of defences, where there are any."""

from collections.abc import Sequence
from dataclasses import replace

from ganguard.report.advice import STATED, advice, allowed_in_words
from ganguard.report.defended_points import DefencePoint, points_of
from ganguard.report.independent import beside_defences
from ganguard.report.numbers import counted, number
from ganguard.report.weak import fairly_tried
from ganguard.report.words import Headline
from ganguard.results.protection import defended_attacks
from ganguard.results.records import AuditResults


def with_defences(said: Headline, results: AuditResults) -> Headline:
    """Return the headline of an audit, its undefended one until here, with what its defences change.

    The lead tells of the attack whose copies come closest.
    """
    met = {
        attack: (budget, points_of(results, attack, budget))
        for attack, budget in defended_attacks(results.measurements).items()
    }
    fair = [(budget, fairly_tried(points)[0]) for budget, points in met.values()]
    behind = [told for budget, points in fair if (told := _behind(budget, points))]
    note = ""
    if behind:
        _, sentence, note = min(behind)
        lead = f"{said.lead} {sentence}"
    elif results.defences and results.attacks:
        behind_all = f"copies behind {counted(len(results.defences), 'defence')}"
        nothing = f"concluded from {behind_all}" if met else f"known of {behind_all}"
        lead = f"{said.lead} Nothing is {nothing}."
    else:
        lead = said.lead
    remarks = [
        f"{attack}: {remark}" if len(met) > 1 else remark
        for attack, (budget, points) in met.items()
        for remark in on_defences(results, attack, budget, points)
    ]
    return replace(said, lead=lead, remarks=(*said.remarks, *remarks), note=note)


def on_defences(
    results: AuditResults, attack: str, budget: int, points: Sequence[DefencePoint]
) -> tuple[str, ...]:
    """Return advice on defences that were fairly tried, and why others get none."""
    fair, withheld = fairly_tried(points)
    if not fair:
        return (withheld,) if withheld else ()
    floor, known = beside_defences(results, attack, budget)
    return tuple(filter(None, (withheld, floor, *(advice(fair) if fair and known else ()))))


def _behind(budget: int, points: Sequence[DefencePoint]) -> tuple[float, str, str] | None:
    """Return how near copies come behind the best defence that leaves users enough, a sentence and a note.

    None if nothing was measured without a defence, or behind any.
    """
    none = next((p for p in points if not p.family), None)
    if none is None or all(not p.family for p in points):
        return None
    allowed = [p for p in points if p.family and p.loss <= STATED]
    if not allowed:
        return none.closest, f"{allowed_in_words(0).capitalize()}.", ""
    best = max(allowed, key=lambda p: p.closest)
    if best.closest <= none.closest:
        return none.closest, f"{allowed_in_words(0, keeping=True).capitalize()}.", ""
    return (
        best.closest,
        f"Behind {best.label}, a copy comes within FD {number(best.closest)}.",
        f"{best.label} is {allowed_in_words(len(allowed), best_of=True)}. The closest copy from "
        f"{counted(budget, 'bought image')} counts, by whatever adversary.",
    )


def relations_note(results: AuditResults) -> str:
    """Return which copies the relations are about, and which relation the paper has not; empty if there are
    no defences, and all relations are the paper's."""
    judged = {verdict.relation for verdict in results.verdicts}
    ours = (
        "R8, that labels help the copy at equal budget, is ours and not the paper's."
        if "R8" in judged
        else ""
    )
    if not results.defences:
        return ours
    undefended = f"R1 to R6{' and R8' if ours else ''} are about copies made without a defence"
    behind = "; whether a defence protects is not judged here."
    if "R7" in judged:
        behind = f", R7 is about those made behind {counted(len(results.defences), 'defence')}."
    return f"{undefended}{behind} {ours}".strip()
