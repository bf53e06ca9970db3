"""The cards at the head of the report: how near one comes at each budget, and what that is read by.

Handing the bought images out again needs no training. Where that is closer than every trained copy, the card
says so.
"""

from dataclasses import dataclass, replace

from ganguard.report.findings import consistency, replays
from ganguard.report.independent import CLOSER, NEVER_SAW, closer_word, floors
from ganguard.report.numbers import DASH, counted, interval, number
from ganguard.report.weak import FAILED, weak_headline
from ganguard.results.independent import learnt_real
from ganguard.results.records import AuditResults
from ganguard.results.summaries import Summary, summarise_copies
from ganguard.results.whose import Whose

NO_FLOOR = "did not learn the real images, and is no floor"


@dataclass(frozen=True)
class Card:
    """The closest copy at one budget, the bought images themselves, or honest models.

    Attributes:
        budget: the heading.
        attack: label of the attack that made the copy; empty for other cards.
        ratio: of its distance to that of two draws of the target.
        without: that the bought images, handed out again, are closer than the copy, and where the copy is;
            empty if they are not, and for other cards.
        closer: whether the copy is closer than a model that never saw the target, or that such a model did
            not learn; empty for other cards.
        seen: in how many images of the copy the class is seen that was asked for; empty for other cards, and
            for copies that cannot be asked.
    """

    budget: str
    distance: str
    spread: str
    attack: str
    ratio: str
    closer: str = ""
    seen: str = ""
    without: str = ""


def cards(
    results: AuditResults,
    best: dict[int, tuple[str, Summary]],
    handed: dict[int, tuple[str, Summary]],
    floor: Summary | None,
) -> tuple[Card, ...]:
    """Return a card for each budget's closest copy, one for the largest purchases, one for each honest model.

    Args:
        results: what was found.
        best: for each budget the attack with the closest trained copy, and its distance.
        handed: for each budget what the bought images are called, and their distance.
        floor: distance of two draws of the target; None if it was not measured.
    """
    if not best:
        return ()
    copies = [
        _copy(results, budget, attack, summary, floor, handed.get(budget))
        for budget, (attack, summary) in best.items()
    ]
    honest = [
        _card(
            f"{NEVER_SAW} ({each.record.label})",
            each.distance,
            floor,
            closer="" if learnt_real(results.measurements, each.record.label) else NO_FLOOR,
        )
        for each in floors(results)
    ]
    shown = {budget for budget, card in zip(best, copies, strict=True) if card.without}
    return (*copies, *_purchase(results, floor, shown), *honest)


def images(budget: int) -> str:
    """Return a budget as "1 bought image" or "5,000 bought images"."""
    return counted(budget, "bought image")


def _copy(
    results: AuditResults,
    budget: int,
    attack: str,
    summary: Summary,
    floor: Summary | None,
    handed: tuple[str, Summary] | None,
) -> Card:
    closer = closer_word(results, Whose(attack=attack, query_budget=budget))
    said = f"{CLOSER}: {'not measured' if closer == DASH else closer}"
    if weak_headline(results, attack, budget):
        said = f"{FAILED}; {said}"
    nearest, without = summary, ""
    if handed and handed[1].mean < summary.mean:
        nearest = handed[1]
        without = f"the {handed[0]}; the closest trained copy is at FD {number(summary.mean)}"
    card = replace(_card(images(budget), nearest, floor, attack, said), without=without)
    seen = consistency(results, attack, budget)
    return replace(card, seen=f"shows the class that was asked for: {seen.mean:.1%}") if seen else card


def _purchase(results: AuditResults, floor: Summary | None, shown: set[int]) -> list[Card]:
    """Return the card of the bought images of the largest budget, one for each way in which they were asked
    for: the risk that needs no training at all. Those of the budgets `shown` are on the copy's card."""
    bought = replays(results)
    largest = {purchase.ask: purchase for purchase in bought}  # budgets ascend
    return [
        _card(f"the {images(each.query_budget)} themselves{each.asked}", summary, floor)
        for each in largest.values()
        if each.query_budget not in shown and (summary := summarise_copies(bought[each]))
    ]


def _card(heading: str, summary: Summary, floor: Summary | None, attack: str = "", closer: str = "") -> Card:
    spread = f"{interval(summary.least, summary.greatest)} over {summary.count} {summary.over}"
    times = number(summary.mean / floor.mean, 2) if floor and floor.mean > 0 else ""
    return Card(
        budget=heading,
        distance=number(summary.mean),
        spread=spread if summary.over == "seeds" else "one seed: no spread is known",
        attack=attack,
        ratio=f"{times} times the distance of two draws" if times else "",
        closer=closer,
    )
