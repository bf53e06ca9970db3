"""Which adversaries did not learn what they bought? Their distances say nothing about the target's risk.

A copy fails if the interval of its distance to the target lies above twice the distance of the images that it
was trained on, and above that of an honest model of its recipe. An honest model that did not learn its own
images excuses no copy: their recipe is too weak for both. The interval is the copy's own, of measuring
it: it is this copy that failed, not every copy of its kind. An adversary is weak if most of its copies, one
for each seed, fail.

If the adversary holds real images, and its copy lies nearer to real ones than an honest model that learnt
them does, it has learnt those instead, and does not fail.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ganguard.results.independent import TIMES, honest_distances, honest_record, learnt_real, mean
from ganguard.results.independent_record import IndependentRecord
from ganguard.results.measures import DISTANCE
from ganguard.results.records import Against, AttackRecord, AuditResults, Measurement
from ganguard.results.whose import Whose

_BOTH_SIDES = 1.96  # standard errors: 95 % of a normal distribution


@dataclass(frozen=True)
class WeakAdversary:
    """An adversary most of whose copies failed.

    Attributes:
        whose: its attack, budget, defence and label; no seed.
        copies: mean Fréchet distance of its copies to the target.
        bought: mean distance of the images that it bought.
        honest: mean distance of honest models of its recipe; None if there is none.
        failed: how many of its copies failed.
        seeds: how many copies there are.
    """

    whose: Whose
    copies: float
    bought: float
    honest: float | None
    failed: int
    seeds: int


def weak_adversaries(
    measurements: Sequence[Measurement],
    attacks: Iterable[AttackRecord],
    independent: Sequence[IndependentRecord],
) -> tuple[WeakAdversary, ...]:
    """Return the adversaries that did not learn what they bought, without a defence and behind each.

    Copies for which nothing was bought, and those of another domain, are not judged.

    Args:
        measurements: of copies, of bought images and of honest models.
        attacks: say what their adversaries hold.
        independent: say which honest models belong to an attack.
    """
    distances = [m for m in measurements if m.metric == DISTANCE and m.seed is not None]
    known = {attack.label: attack for attack in attacks}
    purchases = _Purchases(distances, known)
    copies = {
        against: _grouped(m for m in distances if (m.subject, m.against) == ("substitute", against))
        for against in ("target", "reference")
    }
    knows = {label: attack.knows for label, attack in known.items()}
    adversaries: dict[Whose, list[Whose]] = {}
    for whose in copies["target"]:
        held = knows.get(str(whose.attack), ())
        if not {"a copy", "another domain"} & set(held) and purchases.of(whose):
            adversaries.setdefault(whose.model_copy(update={"seed": None}), []).append(whose)
    found: list[WeakAdversary] = []
    for adversary, each in adversaries.items():
        record = honest_record(independent, str(adversary.attack), measurements)
        honest = _honest(distances, record, "target")
        is_floor = record is not None and learnt_real(measurements, record.label)
        excuse = honest if is_floor else None
        to_real = _honest(distances, record, "reference") if is_floor else None
        holds_real = "real images" in knows.get(str(adversary.attack), ())
        pairs = [(copies["target"][whose], purchases.of(whose)) for whose in each]
        failed = 0
        for whose, (copy, purchase) in zip(each, pairs, strict=True):
            is_near_real = (
                holds_real and to_real is not None and _low(copies["reference"].get(whose, [])) <= to_real
            )
            failed += _fails(copy, purchase, excuse) and not is_near_real
        if 2 * failed > len(each):
            of_copies, of_bought = (mean([mean(_values(pair[i])) for pair in pairs]) for i in (0, 1))
            found.append(WeakAdversary(adversary, of_copies, of_bought, honest, failed, len(each)))
    return tuple(found)


def why_withheld(
    weak: Iterable[WeakAdversary], attack: str, budget: int, defence: str | None, adversary: str | None
) -> str:
    """Return why nothing is concluded from the copies of one adversary; empty if it learnt what it bought."""
    whose = Whose(attack=attack, query_budget=budget, defence=defence, adversary=adversary)
    found = next((each for each in weak if each.whose == whose), None)
    if found is None:
        return ""
    who = (
        f"the closest adversary behind {defence} ({adversary})"
        if defence
        else "the adversary without a defence"
    )
    return _withheld(who, found)


def failed_attacks(weak: Iterable[WeakAdversary]) -> dict[tuple[str, int], str]:
    """Return why nothing is concluded from copies made without a defence, by attack and query budget."""
    return {
        (str(one.whose.attack), one.whose.query_budget or 0): _withheld(
            f"{one.whose.attack} with {one.whose.query_budget or 0:,} queries", one
        )
        for one in weak
        if one.whose.defence is None
    }


def _withheld(who: str, found: WeakAdversary) -> str:
    return (
        f"withheld: {who} did not learn what it bought (its copies are at {found.copies:.3g}, the bought "
        f"images at {found.bought:.3g}); train longer or stronger"
    )


def weak_in(results: AuditResults) -> tuple[WeakAdversary, ...]:
    """Return the adversaries of an audit that did not learn what they bought."""
    return weak_adversaries(results.measurements, results.attacks, results.independent)


def _grouped(measurements: Iterable[Measurement]) -> dict[Whose, list[Measurement]]:
    found: dict[Whose, list[Measurement]] = {}
    for m in measurements:
        found.setdefault(m.whose, []).append(m)
    return found


class _Purchases:
    """The distances of bought images to the target, by who bought them and how they were asked for."""

    def __init__(self, distances: Iterable[Measurement], attacks: Mapping[str, AttackRecord]) -> None:
        self._attacks = attacks
        self._found: dict[tuple[Whose, str | None], list[Measurement]] = {}
        for m in distances:
            if (m.subject, m.against) == ("purchase", "target"):
                self._found.setdefault((m.whose, m.ask), []).append(m)

    def of(self, copy: Whose) -> list[Measurement]:
        """Return those of what a copy was trained on: its adversary's own purchase, or the shared one."""
        attack = self._attacks.get(str(copy.attack))
        asked = attack.ask.of_purchase if attack and attack.ask else None
        own = copy.model_copy(update={"attack": None})
        shared = own.model_copy(update={"adversary": None})
        return self._found.get((own, asked)) or self._found.get((shared, asked), [])


def _honest(
    distances: Sequence[Measurement], record: IndependentRecord | None, against: Against
) -> float | None:
    found = honest_distances(distances, record.label, against) if record else {}
    return mean(list(found.values())) if found else None


def _fails(copy: Sequence[Measurement], bought: Sequence[Measurement], honest: float | None) -> bool:
    low = _low(copy)
    return low > TIMES * mean(_values(bought)) and (honest is None or low > honest)


def _low(draws: Sequence[Measurement]) -> float:
    """Return the lower end of the interval of one copy's distance: NaN without draws.

    It is that of the mean of its draws; if a draw has no spread, the least of them.
    """
    if not draws:
        return math.nan
    spreads = [m.spread for m in draws if m.spread is not None]
    if len(spreads) < len(draws):
        return min(_values(draws))
    return mean(_values(draws)) - _BOTH_SIDES * math.hypot(*spreads) / len(draws)


def _values(measurements: Sequence[Measurement]) -> list[float]:
    return [m.value for m in measurements]
