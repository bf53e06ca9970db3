"""The honest floor in words, cards, tables and pictures: a model that never saw the target."""

from dataclasses import dataclass

from ganguard.report.findings import Yardstick
from ganguard.report.numbers import DASH, interval, number, whole
from ganguard.results.independent import (
    Comparison,
    comparison,
    honest_distances,
    honest_record,
    learnt_real,
    mean,
)
from ganguard.results.independent_record import IndependentRecord
from ganguard.results.measures import DISTANCE
from ganguard.results.records import Against, AuditResults, Measurement
from ganguard.results.summaries import Summary, summarise_copies
from ganguard.results.whose import Whose

NEVER_SAW = "a model that never saw it"
HONEST_GROUP = "models that never saw the target"
CLOSER = f"closer to the target than {NEVER_SAW}"
OFF = (
    "No model that never saw this one was trained (independent: off), so the honest floor is missing: no "
    "copy is called close, and no defence is said to protect."
)

UNLEARNT = (
    "The model of the same recipe that never saw this one did not learn the real images itself: how near "
    "anybody comes without this one is not known, and no defence is said to protect."
)


def honest_columns(results: AuditResults, metric: str, against: Against) -> dict[str, list[Measurement]]:
    """Return a number of each recipe's honest models, by the heading of its column."""
    several = len(results.independent) > 1
    return {
        f"never saw it: {record.label}" if several else "never saw it": results.select(
            recipe=record.label, metric=metric, against=against
        )
        for record in results.independent
    }


@dataclass(frozen=True)
class Floor:
    """Honest models of one recipe and share: what they are called, and their distance to the target."""

    record: IndependentRecord
    distance: Summary


def floors(results: AuditResults) -> list[Floor]:
    """Return the honest models that were measured."""
    found = [
        (record, summarise_copies(results.select(recipe=record.label, metric=DISTANCE, against="target")))
        for record in results.independent
    ]
    return [Floor(record, distance) for record, distance in found if distance]


def floor_lines(results: AuditResults) -> list[tuple[Yardstick, float]]:
    """Return the line of each honest model in the picture of copies: its names, and the mean distance."""
    found = floors(results)

    def line(floor: Floor) -> Yardstick:
        named = f" ({floor.record.label})" if len(found) > 1 else ""
        return Yardstick("independent", "target", f"never saw it{named}", f"honest{named}")

    return [(line(each), each.distance.mean) for each in found]


def floor_bands(results: AuditResults) -> list[tuple[float, float]]:
    """Return the least and the greatest distance of each honest model over several seeds, both above 0."""
    several = [each.distance for each in floors(results) if each.distance.over == "seeds"]
    return [(each.least, each.greatest) for each in several if each.least > 0]


def closer_word(results: AuditResults, copy: Whose) -> str:
    """Return "yes", "no" or "undecided"; a dash if there is no honest model of the copy's recipe."""
    found = comparison(results, copy)
    return found.closer if found else DASH


def beside_headline(results: AuditResults, attack: str, budget: int) -> str:
    """Return a sentence that sets the headline's copy beside an honest model, or says that there is none."""
    record = honest_record(results.independent, attack, results.measurements)
    found = comparison(results, Whose(attack=attack, query_budget=budget))
    if record is None or found is None:
        return why_missing(results, attack)
    distance = number(mean(list(honest_distances(results.measurements, record.label).values())))
    return f"{NEVER_SAW.capitalize()} is at FD {distance}: {_answer(found)}"


def _answer(found: Comparison) -> str:
    """Return yes, no or undecided, and by how much; without an interval, why there is none."""
    times = "" if found.ratio is None else f"{number(found.ratio)} times as far"
    if found.low is not None and found.high is not None:
        times += f", 95 % interval {interval(found.low, found.high)}"
    why = "" if found.low is not None else f", since {found.reason}"
    said = {
        "yes": "the copy is closer",
        "no": "the copy is no closer, and its distance proves no theft",
        "undecided": f"whether the copy is closer is undecided{why}",
    }[found.closer]
    return f"{said} ({times})." if times else f"{said}."


def is_off(results: AuditResults) -> bool:
    """Return whether no honest model was wanted."""
    return not results.independent and results.spec.get("independent", "off") == "off"


def why_missing(results: AuditResults, attack: str) -> str:
    """Return why an attack's copies have no honest model beside them."""
    if is_off(results):
        return OFF
    record = honest_record(results.independent, attack, results.measurements)
    if record is not None:
        return (
            f"No model of the recipe of {attack} that never saw this one was measured: its training failed. "
            "No copy is called close."
        )
    return (
        f"{attack[:1].upper()}{attack[1:]} trains no copy from scratch (it was given, or is moved to other "
        "images), so no honest model stands beside it, and it is not called close."
    )


def beside_defences(results: AuditResults, attack: str, budget: int) -> tuple[str, bool]:
    """Return what an honest model says about all defences, and whether a recommendation may be given.

    Nothing is said to protect a target if it is not known how near one comes without it.
    """
    record = honest_record(results.independent, attack, results.measurements)
    found = comparison(results, Whose(attack=attack, query_budget=budget))
    if record is None or found is None:
        return why_missing(results, attack), False
    if not learnt_real(results.measurements, record.label):
        return UNLEARNT, False
    distance = number(mean(list(honest_distances(results.measurements, record.label).values())))
    said = (
        f"{NEVER_SAW.capitalize()}, of the same recipe, is at FD {distance}: no defence keeps anybody "
        "farther away than that."
    )
    shown = {
        "yes": "",
        "no": "the copy is no closer: so far there is no theft that a defence could stop.",
        "undecided": "whether the copy is closer is undecided, and so is whether there is a theft that a "
        "defence could stop.",
    }
    return (f"{said} Without a defence, {shown[found.closer]}" if shown[found.closer] else said), True


def remarks(results: AuditResults) -> list[str]:
    """Return what the honest models show, and for which attacks there are none, a sentence or two each."""
    if not results.attacks:
        return []
    found: list[str] = []
    measured = {attack for floor in floors(results) for attack in floor.record.attacks}
    for floor in floors(results):
        record, each = floor.record, floor.distance
        spread = (
            f" ({interval(each.least, each.greatest)} over {each.count} {each.over})"
            if each.count > 1
            else ""
        )
        found.append(
            f"{NEVER_SAW.capitalize()} ({record.label}), trained like {_these(record.attacks)} on "
            f"{whole(record.images)} real images ({results.real}, train split) without one query, is at FD "
            f"{number(each.mean)}{spread}. {_means(results, record)}"
        )
    lacking = [record.label for record in results.attacks if record.label not in measured]
    if is_off(results):
        return [*found, OFF]
    given = [
        label for label in lacking if honest_record(results.independent, label, results.measurements) is None
    ]
    if len(given) > 1:
        found.append(
            "These attacks train no copy from scratch (it was given, or is moved to other images), so no "
            f"honest model stands beside their copies, and none is called close: {'; '.join(given)}."
        )
        lacking = [label for label in lacking if label not in given]
    return found + [why_missing(results, label) for label in lacking]


def _means(results: AuditResults, record: IndependentRecord) -> str:
    if learnt_real(results.measurements, record.label):
        return "Without the target, anybody with such images comes as near."
    honest = list(honest_distances(results.measurements, record.label, "reference").values())
    return (
        f"It did not learn the real images itself (FD {number(mean(honest))} to held-out ones, more than "
        "twice as far as this model), so it is no floor: the recipe is too weak, or its training too short."
    )


def _these(attacks: tuple[str, ...]) -> str:
    return f"the copies of {'; '.join(attacks)}"
