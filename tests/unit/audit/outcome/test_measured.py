"""What the plan knows of measurements: of bought images, who bought them and how they were asked for."""

from pathlib import Path
from typing import Any

import torch
from honest_samples import bought_images
from spec_samples import OF_CLASSES, SMALL

from ganguard.audit.engine.cache import Done
from ganguard.audit.outcome.audited import attack_records
from ganguard.audit.outcome.measured import measurements_of
from ganguard.audit.plan.plan import make_plan
from ganguard.audit.spec.spec import Spec
from ganguard.audit.steps.measurements import write_measurements
from ganguard.base.settings import parse
from ganguard.results.measures import DISTANCE
from ganguard.results.records import AttackRecord, Measurement
from ganguard.results.target_record import ConditionsRecord, TargetRecord
from ganguard.results.weak import weak_adversaries
from ganguard.targets.ask import ask_of
from ganguard.targets.conditions import Conditions

NAMES = ("cat", "dog", "owl")
LEARNS: dict[str, Any] = {
    "kind": "fidelity",
    "architecture": {"kind": "sngan", "classes": 3},
    "query_budget": 100,
}
OF_THREE = {"train": {**OF_CLASSES["train"], "architecture": LEARNS["architecture"]}}
FOUND: dict[str, Any] = {"kind": "found", "substitute": {"images": "copies"}, "query_budget": 100}
MOVED: dict[str, Any] = {**LEARNS, "kind": "transfer", "domain": "digits", "method": "scratch"}


def spec_of(*attacks: dict[str, Any], **changes: Any) -> Spec:
    return parse(Spec, {**SMALL, "target": OF_THREE, "attacks": list(attacks), **changes}, "spec")


def records_of(spec: Spec, names: tuple[str, ...] = NAMES) -> list[AttackRecord]:
    conditions = ConditionsRecord(kind="classes", names=names) if names else None
    target = TargetRecord(
        description="a GAN",
        identity="1",
        image_shape=(1, 8, 8),
        codes="provider",
        conditions=conditions,
    )
    return list(attack_records(spec, target))


def purchases(spec: Spec, distances: list[float], directory: Path) -> list[Measurement]:
    """What results hold of bought images whose distances are these, a purchase each."""
    plan = make_plan(spec)
    done: dict[str, Done] = {}
    for i, (purchase, distance) in enumerate(zip(plan.purchases, distances, strict=True)):
        write_measurements(place := directory / str(i), [bought_images(distance, 0, 100)])
        done[purchase.replay.name] = Done(place, {}, 0.0)
    return list(measurements_of(plan, done))


def test_bought_images_say_how_they_were_asked_for_unless_it_is_uniformly(tmp_path: Path) -> None:
    spec = spec_of(LEARNS, {**LEARNS, "ask": ["owl"]}, {**LEARNS, "ask": "uniform", "steps": 3})
    found = purchases(spec, [1.6, 69.0], tmp_path)
    assert [(m.value, m.ask) for m in found] == [(1.6, None), (69.0, ask_of(["owl"]).digest())]
    assert "ask" not in found[0].model_dump() and "ask" in found[1].model_dump()


def test_each_copy_is_judged_by_images_that_were_asked_for_as_its_own(tmp_path: Path) -> None:
    """That of all classes is ten times as far as what it bought, and the owls of another excuse nothing."""
    spec = spec_of(LEARNS, {**LEARNS, "ask": ["owl"]})
    uniform, owl = records_of(spec)
    common: dict[str, Any] = {"subject": "substitute", "query_budget": 100, "seed": 0, "metric": DISTANCE}
    copies = [
        Measurement(**common, against="target", attack=label, value=value, images=100, compared=100)
        for label, value in ((uniform.label, 20.0), (owl.label, 75.0))
    ]
    (weak,) = weak_adversaries([*copies, *purchases(spec, [1.6, 69.0], tmp_path)], [uniform, owl], [])
    assert (weak.whose.attack, weak.copies, weak.bought) == (uniform.label, 20.0, 1.6)


def test_an_attack_says_which_conditions_it_buys_and_whether_its_copies_learn_them() -> None:
    spec = spec_of(LEARNS, {**LEARNS, "architecture": "sngan", "ask": ["owl", "cat"]})
    whole, some = records_of(spec)
    assert whole.ask is not None and whole.ask.label == "uniformly" and whole.labels
    assert "names" not in whole.ask.model_dump() and whole.ask.of_purchase is None
    assert some.ask is not None and some.ask.names == ("cat", "owl") and some.labels is False
    assert some.ask.of_purchase == ask_of(["cat", "owl"]).digest()
    assert all(record.ask is None and record.labels is None for record in records_of(spec, names=()))


def test_an_attack_that_buys_nothing_asks_for_nothing(tmp_path: Path) -> None:
    """Of a found copy it is not known either whether it learnt any labels."""
    (tmp_path / "copies").mkdir()
    found, moved = records_of(spec_of({**FOUND, "substitute": {"images": str(tmp_path / "copies")}}, MOVED))
    assert (found.ask, found.labels) == (None, None)
    assert (moved.ask, moved.labels) == (None, True)


def test_the_conditions_that_are_asked_for_have_a_share() -> None:
    known = Conditions(names=NAMES)
    assert ask_of({"owl": 1.0, "cat": 0.0}).names(known) == ("owl",)
    assert ask_of("spread").names(known) == ask_of("uniform").names(known) == NAMES
    assert torch.equal(ask_of(["owl"]).shares(known), torch.tensor([0.0, 0.0, 1.0]).double())
