"""What of the results the words, the picture and the tables all speak of: copies by budget, and the
yardsticks."""

from collections.abc import Sequence
from dataclasses import dataclass

from ganguard.results.measures import DISTANCE
from ganguard.results.records import Against, AuditResults, Measurement, Subject
from ganguard.results.summaries import Summary, summarise


@dataclass(frozen=True)
class CopyDistances:
    """Fréchet distances of one attack's copies at one budget: to the target (fidelity), to the reference
    (accuracy)."""

    attack: str
    query_budget: int
    fidelity: Summary | None
    accuracy: Summary | None


@dataclass(frozen=True)
class Yardstick:
    """What a distance is held against. label: for tables and wide pictures; short: for narrow ones."""

    subject: Subject
    against: Against
    label: str
    short: str


TWO_DRAWS = Yardstick("target", "target", "two draws of the target", "two draws")
TARGET_TO_REAL = Yardstick("target", "reference", "target to real images", "target–real")
REAL_HALVES = Yardstick("real", "reference", "two halves of the real images", "real halves")
TWO_SPLITS = Yardstick("train", "reference", "train split to reference split", "two splits")
NOISE_TO_TARGET = Yardstick("noise", "target", "noise to target", "noise")
NOISE_TO_REAL = Yardstick("noise", "reference", "noise to real images", "noise")
TARGET_ALONE = Yardstick("target", "nothing", "the target", "target")
REAL_ALONE = Yardstick("real", "nothing", "real images (reference split)", "real")
DOMAIN_SPLITS = Yardstick("train", "domain", "its train split to its reference split", "two splits")
DOMAIN_HALVES = Yardstick("real", "domain", "two halves of its images", "its halves")
YARDSTICKS = (
    TWO_DRAWS,
    TARGET_TO_REAL,
    REAL_HALVES,
    TWO_SPLITS,
    NOISE_TO_TARGET,
    NOISE_TO_REAL,
    TARGET_ALONE,
    REAL_ALONE,
    DOMAIN_SPLITS,
    DOMAIN_HALVES,
)


def labels(results: AuditResults) -> list[str]:
    """Labels of the attacks, in the order of the spec; those that only measurements name come last."""
    measured = [m.attack for m in results.select(subject="substitute") if m.attack is not None]
    return list(dict.fromkeys([attack.label for attack in results.attacks] + measured))


def budgets(results: AuditResults, attack: str) -> list[int]:
    """Query budgets at which an attack was measured, ascending."""
    found = results.select(subject="substitute", attack=attack)
    return sorted({m.query_budget for m in found if m.query_budget is not None})


def budgets_planned(results: AuditResults, attack: str) -> list[int]:
    """Query budgets of an attack, ascending: those of the spec, whether or not a copy came of them, and those
    measured."""
    planned = {
        budget for record in results.attacks if record.label == attack for budget in record.query_budgets
    }
    return sorted(planned | set(budgets(results, attack)))


def why_failed(results: AuditResults, attack: str, budget: int) -> str:
    """Why no copy of an attack at a budget was measured; empty where one was, or nothing says that one
    failed."""
    if budget in budgets(results, attack):
        return ""
    return next((f.reason for f in results.failures if (f.attack, f.query_budget) == (attack, budget)), "")


def of_copy(
    results: AuditResults, attack: str, budget: int, metric: str, against: Against
) -> list[Measurement]:
    """One metric of the copies of one attack at one budget: every seed, every draw."""
    return results.select(
        subject="substitute", attack=attack, query_budget=budget, metric=metric, against=against
    )


def of_yardstick(results: AuditResults, yardstick: Yardstick, metric: str = DISTANCE) -> list[Measurement]:
    """One metric of a yardstick: every draw."""
    return results.select(subject=yardstick.subject, against=yardstick.against, metric=metric)


def copies(results: AuditResults) -> list[CopyDistances]:
    """Distances of every attack at every budget, in the order of attacks, then of budgets."""
    return [
        CopyDistances(
            attack=label,
            query_budget=budget,
            fidelity=summarise(of_copy(results, label, budget, DISTANCE, "target")),
            accuracy=summarise(of_copy(results, label, budget, DISTANCE, "reference")),
        )
        for label in labels(results)
        for budget in budgets(results, label)
    ]


def replays(
    results: AuditResults, metric: str = DISTANCE, against: Against = "target"
) -> dict[int, list[Measurement]]:
    """One metric of the bought images themselves, by budget, ascending; against the purchase, of fresh images
    of the target."""
    found: dict[int, list[Measurement]] = {}
    subject: Subject = "target" if against == "purchase" else "purchase"
    for m in results.select(subject=subject, metric=metric, against=against):
        if m.query_budget is not None:
            found.setdefault(m.query_budget, []).append(m)
    return dict(sorted(found.items()))


def others(
    results: AuditResults, subject: Subject, against: Against
) -> dict[str, dict[str, list[Measurement]]]:
    """All metrics of a subject that is no copy and no yardstick, by whose it is and its budget."""
    found: dict[str, dict[str, list[Measurement]]] = {}
    for m in results.select(subject=subject, against=against):
        budget = f", {m.query_budget:,}" if m.query_budget is not None else ""
        found.setdefault(f"{m.attack}{budget}", {}).setdefault(m.metric, []).append(m)
    return found


def yardstick(results: AuditResults, wanted: Yardstick) -> Summary | None:
    """The Fréchet distance of a yardstick, None where it was not measured."""
    return summarise(of_yardstick(results, wanted))


def closest(found: Sequence[CopyDistances], against: Against) -> dict[int, tuple[str, Summary]]:
    """For each budget, ascending, the attack whose copies come closest on average, and its distance."""
    best: dict[int, tuple[str, Summary]] = {}
    for copy in sorted(found, key=lambda c: c.query_budget):
        distance = copy.fidelity if against == "target" else copy.accuracy
        if distance and (copy.query_budget not in best or distance.mean < best[copy.query_budget][1].mean):
            best[copy.query_budget] = (copy.attack, distance)
    return best


def seeds(results: AuditResults) -> list[int]:
    """Seeds of the measured copies, ascending."""
    return sorted({m.seed for m in results.select(subject="substitute") if m.seed is not None})
