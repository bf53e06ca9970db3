"""What a defence does to both sides: to honest users, and to adversaries that copy the target through it.

Protection is measured against the undefended target: a copy that learns the defence's artefacts has learnt
nothing of value. It is the distance of the closest that any adversary of the audit came, by the least mean
over seeds: with a copy that it trained, or with the bought images themselves, handed out again, as they came
or sorted into evener shares. No training is needed for the latter.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations

from ganguard.results.measures import DISTANCE
from ganguard.results.records import Against, AttackRecord, DefenceRecord, Measurement, Verdict
from ganguard.results.verdicts import Distances, below_one, differs_from_one, unless
from ganguard.results.weak import WeakAdversary, why_withheld

NAIVE = "naive"
REPLAY = "bought images handed out again"
SORTED_REPLAY = f"{REPLAY}, sorted"
COMPARABLE = 1.25
"""Two defences leave honest users about as much if their distances to real images differ by no more than this
factor."""


@dataclass(frozen=True)
class Protection:
    """Distances of copies to the undefended target, behind one defence or none.

    Attributes:
        naive: of the naive adversary's copies, by seed.
        closest: of the closest adversary's copies, or of the bought images if these are closer, by seed.
        closest_adversary: label of that adversary, or of bought images that are closer, which begins with
            REPLAY; None for copies made without a defence, or if nothing was measured.
        trained_by: label of the adversary whose trained copies are closest; None as before.
    """

    naive: Distances
    closest: Distances
    closest_adversary: str | None
    trained_by: str | None


def protection(
    measurements: Iterable[Measurement],
    attack: str,
    budget: int,
    defence: str | None,
    against: Against = "target",
    ask: str | None = None,
) -> Protection:
    """Return the Fréchet distances of the copies that an attack made with one budget, and of its purchase.

    They are of copies made behind `defence`, or without any if it is None. Draws are averaged. The bought
    images count if there are copies of that budget.

    Args:
        ask: how the attack asks, as in Measurement.
    """
    copies: dict[str | None, dict[int, list[float]]] = {}
    bought: dict[str, dict[int, list[float]]] = {}
    for m in measurements:
        if (m.query_budget, m.defence, m.against, m.metric) != (budget, defence, against, DISTANCE):
            continue
        if m.seed is not None and (m.subject, m.attack) == ("substitute", attack):
            copies.setdefault(m.adversary, {}).setdefault(m.seed, []).append(m.value)
        if m.seed is not None and (m.subject, m.ask) == ("purchase", ask):
            bought.setdefault(replay_label(m.adversary), {}).setdefault(m.seed, []).append(m.value)
        if m.seed is not None and (m.subject, m.attack) == ("sorted", attack):
            label = replay_label(m.adversary, SORTED_REPLAY)
            bought.setdefault(label, {}).setdefault(m.seed, []).append(m.value)
    trained = {who: _over_draws(seeds) for who, seeds in copies.items()}
    best = min(trained, key=lambda who: _mean(trained[who].values()), default=None)
    handed_out = {label: _over_draws(seeds) for label, seeds in bought.items() if trained}
    every = trained | handed_out
    closest = min(every, key=lambda who: _mean(every[who].values()), default=None)
    naive = trained.get(NAIVE if defence else None, {})
    return Protection(naive, every.get(closest, {}), closest, best)


def replay_label(adversary: str | None, what: str = REPLAY) -> str:
    """Return the label of bought images that are handed out again. adversary: by whom; None for any."""
    return f"{what} ({adversary})" if adversary else what


def _over_draws(seeds: dict[int, list[float]]) -> dict[int, float]:
    return {seed: _mean(draws) for seed, draws in seeds.items()}


def utility_distance(measurements: Iterable[Measurement], defence: str | None) -> Measurement | None:
    """Return the Fréchet distance to real images of what honest users get behind a defence, or without one.

    Both are of equally many images of the same codes. None if it was not measured.
    """
    wanted = ("defended" if defence else "target", defence, "reference", DISTANCE, 0)
    return next(
        (m for m in measurements if (m.subject, m.defence, m.against, m.metric, m.draw) == wanted), None
    )


def protection_verdicts(
    measurements: list[Measurement],
    defences: list[DefenceRecord],
    weak: Sequence[WeakAdversary] = (),
    attacks: Iterable[AttackRecord] = (),
) -> list[Verdict]:
    """Return the verdicts on R7: defences differ, each has its own curve of copy quality against utility.

    They say whether each defence keeps copies further away than no defence does, whoever attacks; and, of two
    kinds that leave honest users about as much, whether one keeps copies further away than the other.

    They are withheld if the closest adversary that trains, on either side, is among `weak`: it did not learn
    what it bought, so that nothing is known of one that does. attacks: say how each asks.
    """
    found: list[Verdict] = []
    asks = {record.label: record.purchase_ask for record in attacks}
    for attack, budget in defended_attacks(measurements).items():
        labels = (None, *(d.label for d in defences))
        every = {
            label: protection(measurements, attack, budget, label, ask=asks.get(attack)) for label in labels
        }
        excuses = {
            label: why_withheld(weak, attack, budget, label, found.trained_by)
            for label, found in every.items()
        }
        none, behind = every[None].closest, {d.label: every[d.label].closest for d in defences}
        for label, distances in behind.items():
            statement = (
                f"{attack}, {budget:,} queries: fidelity distance without a defence / behind {label} "
                "is below 1"
            )
            judged = below_one("R7", statement, none, distances)
            found.append(unless(excuses[label] or excuses[None], judged))
        for one, other in _comparable(measurements, defences):
            statement = (
                f"{attack}, {budget:,} queries: fidelity distance behind {one} / behind {other}, which cost "
                "honest users about the same, differs from 1"
            )
            judged = differs_from_one("R7", statement, behind[one], behind[other])
            found.append(unless(excuses[one] or excuses[other], judged))
    return found


def defended_attacks(measurements: Iterable[Measurement]) -> dict[str, int]:
    """Return the attacks that met a defence, each with its largest budget behind one."""
    most: dict[str, int] = {}
    for m in measurements:
        if m.subject == "substitute" and m.defence and m.attack and m.query_budget:
            most[m.attack] = max(m.query_budget, most.get(m.attack, 0))
    return most


def _comparable(measurements: list[Measurement], defences: list[DefenceRecord]) -> list[tuple[str, str]]:
    """Return, for each two kinds of defence, the two labels that leave honest users most nearly the same.

    Pairs whose distances to real images differ by more than COMPARABLE are left out.
    """
    users = {d.label: utility_distance(measurements, d.label) for d in defences}
    pairs: dict[tuple[tuple[str, ...], tuple[str, ...]], tuple[float, str, str]] = {}
    for one, other in combinations(defences, 2):
        a, b = users[one.label], users[other.label]
        if one.kinds == other.kinds or a is None or b is None or min(a.value, b.value) <= 0:
            continue
        apart = max(a.value, b.value) / min(a.value, b.value)
        kinds = one.kinds, other.kinds
        if apart <= COMPARABLE and apart < pairs.get(kinds, (COMPARABLE + 1,))[0]:
            pairs[kinds] = apart, one.label, other.label
    return [(one, other) for _, one, other in pairs.values()]


def _mean(values: Iterable[float]) -> float:
    found = list(values)
    return sum(found) / len(found)
