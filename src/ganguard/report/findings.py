"""The parts of the results that words, pictures and tables share: copies by budget, and the yardsticks."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from ganguard.results.measures import CONSISTENCY, DISTANCE
from ganguard.results.protection import REPLAY, SORTED_REPLAY
from ganguard.results.records import Against, AuditResults, Measurement, Subject
from ganguard.results.summaries import Summary, summarise, summarise_copies


@dataclass(frozen=True)
class CopyDistances:
    """Fréchet distances of one attack's copies at one budget.

    Attributes:
        fidelity: to the target.
        accuracy: to the reference split of the real images.
    """

    attack: str
    query_budget: int
    fidelity: Summary | None
    accuracy: Summary | None


@dataclass(frozen=True)
class Yardstick:
    """A distance that others are compared with.

    Attributes:
        label: its name in tables and wide pictures.
        short: its name in narrow pictures.
    """

    subject: Subject
    against: Against
    label: str
    short: str


@dataclass(frozen=True)
class Bought:
    """Bought images without a defence, of every seed.

    Attributes:
        ask: as in Measurement.
        asked: how they were asked for, as the end of their name; empty if all were asked for alike.
    """

    query_budget: int
    ask: str | None = None
    asked: str = field(default="", compare=False)


TWO_DRAWS = Yardstick("target", "target", "two draws of the target", "two draws")
TARGET_TO_REAL = Yardstick("target", "reference", "target to real images", "target–real")
TARGET_TO_TRAIN = Yardstick("target", "train", "target to training images", "target–train")
NOISE_TO_TRAIN = Yardstick("noise", "train", "noise to training images", "noise")
REAL_HALVES = Yardstick("real", "reference", "two halves of the real images", "real halves")
TWO_SPLITS = Yardstick("train", "reference", "train split to reference split", "two splits")
NOISE_TO_TARGET = Yardstick("noise", "target", "noise to target", "noise")
NOISE_TO_REAL = Yardstick("noise", "reference", "noise to real images", "noise")
TARGET_ALONE = Yardstick("target", "nothing", "the target", "target")
REAL_ALONE = Yardstick("real", "nothing", "real images (reference split)", "real")
DOMAIN_SPLITS = Yardstick("train", "domain", "its train split to its reference split", "two splits")
DOMAIN_HALVES = Yardstick("real", "domain", "two halves of its images", "its halves")
OTHER_CODES = Yardstick("target", "code", "two images of the target, of unrelated codes", "other codes")
OF_TARGET = (TWO_DRAWS, TARGET_TO_REAL, TARGET_TO_TRAIN)
OF_NOISE = (NOISE_TO_TARGET, NOISE_TO_REAL, NOISE_TO_TRAIN)
"""Fidelity, and accuracy both ways, of the target itself and of noise."""
YARDSTICKS = (
    TWO_DRAWS,
    TARGET_TO_REAL,
    TARGET_TO_TRAIN,
    REAL_HALVES,
    TWO_SPLITS,
    NOISE_TO_TARGET,
    NOISE_TO_REAL,
    NOISE_TO_TRAIN,
    TARGET_ALONE,
    REAL_ALONE,
    DOMAIN_SPLITS,
    DOMAIN_HALVES,
    OTHER_CODES,
)


def labels(results: AuditResults) -> list[str]:
    """Return the labels of the attacks, in the order of the spec; those of measurements alone come last."""
    measured = [m.attack for m in results.select(subject="substitute") if m.attack is not None]
    return list(dict.fromkeys([attack.label for attack in results.attacks] + measured))


def budgets(results: AuditResults, attack: str) -> list[int]:
    """Return the query budgets at which an attack was measured, ascending."""
    found = results.select(subject="substitute", attack=attack)
    return sorted({m.query_budget for m in found if m.query_budget is not None})


def budgets_planned(results: AuditResults, attack: str) -> list[int]:
    """Return the query budgets of an attack, ascending.

    They are those of the spec, whether or not a copy was made with them, and those that were measured.
    """
    planned = {
        budget for record in results.attacks if record.label == attack for budget in record.query_budgets
    }
    return sorted(planned | set(budgets(results, attack)))


def why_failed(results: AuditResults, attack: str, budget: int) -> str:
    """Return why no copy of an attack at a budget was measured.

    Empty if one was measured, or if nothing says that one failed.
    """
    if budget in budgets(results, attack):
        return ""
    return next((f.reason for f in results.failures if (f.attack, f.query_budget) == (attack, budget)), "")


def of_copy(
    results: AuditResults, attack: str, budget: int, metric: str, against: Against
) -> list[Measurement]:
    """Return one number of the copies of one attack at one budget, for every seed and draw."""
    return results.select(
        subject="substitute", attack=attack, query_budget=budget, metric=metric, against=against
    )


def of_yardstick(results: AuditResults, yardstick: Yardstick, metric: str = DISTANCE) -> list[Measurement]:
    """Return one number of a yardstick, for every draw."""
    return results.select(subject=yardstick.subject, against=yardstick.against, metric=metric)


def consistency(
    results: AuditResults, attack: str | None = None, budget: int | None = None
) -> Summary | None:
    """Return the share of the images of an attack's copies, or of the target's, in which a classifier sees
    the class that was asked for; None if it was not measured."""
    subject: Subject = "target" if attack is None else "substitute"
    return summarise_copies(
        results.select(
            subject=subject, attack=attack, query_budget=budget, metric=CONSISTENCY, condition=None
        )
    )


def copies(results: AuditResults) -> list[CopyDistances]:
    """Return the distances of every attack at every budget, in the order of attacks, then of budgets."""
    return [
        CopyDistances(
            attack=label,
            query_budget=budget,
            fidelity=summarise_copies(of_copy(results, label, budget, DISTANCE, "target")),
            accuracy=summarise_copies(of_copy(results, label, budget, DISTANCE, "reference")),
        )
        for label in labels(results)
        for budget in budgets(results, label)
    ]


def replays(
    results: AuditResults, metric: str = DISTANCE, against: Against = "target"
) -> dict[Bought, list[Measurement]]:
    """Return one number of the bought images themselves, by purchase: by budget, ascending, and in the order
    of the attacks that ask so.

    Against the purchase it is of fresh images of the target.
    """
    found: dict[Bought, list[Measurement]] = {}
    words = asks_of_purchases(results)
    subject: Subject = "target" if against == "purchase" else "purchase"
    for m in results.select(subject=subject, metric=metric, against=against):
        if m.query_budget is not None:
            asked = f", asked {words[m.ask]}" if len(words) > 1 else ""
            found.setdefault(Bought(m.query_budget, m.ask, asked), []).append(m)
    order = list(words)
    return dict(sorted(found.items(), key=lambda each: (each[0].query_budget, order.index(each[0].ask))))


def asks_of_purchases(results: AuditResults) -> dict[str | None, str]:
    """Return how bought images were asked for, in words, by the `ask` of their numbers. They are in the order
    of the attacks."""
    of_bought = [*results.select(subject="purchase"), *results.select(subject="target", against="purchase")]
    asked = dict.fromkeys(m.ask for m in of_bought)
    records = [attack.ask for attack in results.attacks if attack.ask]
    words = {None: "uniformly"} | {record.of_purchase: record.label for record in records}
    of_attacks = dict.fromkeys(record.of_purchase for record in records)
    order = [ask for ask in of_attacks if ask in asked]
    every = [*order, *(ask for ask in asked if ask not in order)]
    said = [words.get(ask, str(ask)) for ask in every]
    return {
        ask: f"{word} ({ask})" if said.count(word) > 1 else word
        for ask, word in zip(every, said, strict=True)
    }


def purchase_of(results: AuditResults, attack: str, budget: int) -> Bought | None:
    """Return what the copies of an attack were trained on at one budget; None if a conditional target was
    asked for nothing."""
    record = next((record for record in results.attacks if record.label == attack), None)
    if results.target.conditions and (record is None or record.ask is None):
        return None
    return Bought(budget, record.purchase_ask if record else None)


def others(
    results: AuditResults, subject: Subject, against: Against
) -> dict[str, dict[str, list[Measurement]]]:
    """Return all numbers of a subject that is neither copy nor yardstick, by attack and budget in words."""
    found: dict[str, dict[str, list[Measurement]]] = {}
    for m in results.select(subject=subject, against=against):
        budget = f", {m.query_budget:,}" if m.query_budget is not None else ""
        found.setdefault(f"{m.attack}{budget}", {}).setdefault(m.metric, []).append(m)
    return found


def honest(results: AuditResults, against: Against) -> dict[str, dict[str, list[Measurement]]]:
    """Return all numbers of honest models, by the label of their recipe."""
    found: dict[str, dict[str, list[Measurement]]] = {}
    for m in results.select(subject="independent", against=against):
        found.setdefault(str(m.recipe), {}).setdefault(m.metric, []).append(m)
    return found


def yardstick(results: AuditResults, wanted: Yardstick) -> Summary | None:
    """Return the Fréchet distance of a yardstick; None if it was not measured."""
    return summarise(of_yardstick(results, wanted))


def handed_out(results: AuditResults) -> list[CopyDistances]:
    """Return the distances of bought images without a defence, as of copies: an adversary may hand them out
    again, as they came or as an attack sorted them, and needs no training. Only budgets at which there are
    copies count."""
    paid = {budget for label in labels(results) for budget in budgets(results, label)}
    to_real = replays(results, against="reference")
    as_they_came = [
        CopyDistances(
            attack=f"{REPLAY}{each.asked}",
            query_budget=each.query_budget,
            fidelity=summarise_copies(m for m in found if m.defence is None),
            accuracy=summarise_copies(m for m in to_real.get(each, []) if m.defence is None),
        )
        for each, found in replays(results).items()
        if each.query_budget in paid
    ]
    return [*as_they_came, *_sorted(results)]


def _sorted(results: AuditResults) -> list[CopyDistances]:
    """Return the distances of purchases that attacks sorted, without a defence, as of copies."""
    whose = dict.fromkeys(
        (m.attack, m.query_budget) for m in results.select(subject="sorted") if m.query_budget is not None
    )
    return [
        CopyDistances(
            attack=f"{SORTED_REPLAY} ({attack})",
            query_budget=budget,
            fidelity=_of_sorted(results, attack, budget, "target"),
            accuracy=_of_sorted(results, attack, budget, "reference"),
        )
        for attack, budget in whose
    ]


def _of_sorted(results: AuditResults, attack: str | None, budget: int, against: Against) -> Summary | None:
    found = results.select(
        subject="sorted", attack=attack, query_budget=budget, metric=DISTANCE, against=against
    )
    return summarise_copies(m for m in found if m.defence is None)


def closest(found: Sequence[CopyDistances], against: Against) -> dict[int, tuple[str, Summary]]:
    """Return, by ascending budget, the attack whose copies come closest on average, and its distance."""
    best: dict[int, tuple[str, Summary]] = {}
    for copy in sorted(found, key=lambda c: c.query_budget):
        distance = copy.fidelity if against == "target" else copy.accuracy
        if distance and (copy.query_budget not in best or distance.mean < best[copy.query_budget][1].mean):
            best[copy.query_budget] = (copy.attack, distance)
    return best


def seeds(results: AuditResults) -> list[int]:
    """Return the seeds of the measured copies, ascending."""
    return sorted({m.seed for m in results.select(subject="substitute") if m.seed is not None})
