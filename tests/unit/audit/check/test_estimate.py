"""What an audit will cost, from its plan and the speeds of a machine."""

import math
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import pytest
from plan_samples import features_step, real_step
from spec_samples import SMALL

from ganguard.audit.check.estimate import estimate, wall_time
from ganguard.audit.check.pace import recipe_key
from ganguard.audit.check.speeds import Speeds, TrainingSpeed
from ganguard.audit.check.work import work_of
from ganguard.audit.plan.plan import make_plan
from ganguard.audit.plan.step import Input, Step
from ganguard.audit.spec.reading import presets, read_spec
from ganguard.audit.spec.spec import Spec
from ganguard.base.settings import parse
from ganguard.training.settings import TrainingSettings


def spec_of(**values: Any) -> Spec:
    return parse(Spec, {**SMALL, **values}, "spec")


def speeds_of(spec: Spec, *, step: float = 1.0, **values: Any) -> Speeds:
    """Speeds of a machine that takes `step` seconds for each step of a training, and no time for the rest."""
    nothing: dict[str, Any] = {"drawing": 0, "embedding": 0, "classifying": 0, "comparing": 0}
    works = [work_of(each, 0) for each in make_plan(spec).steps]
    pace = TrainingSpeed(step=step, image=0)
    paces = {recipe_key(training): pace for work in works for training, _ in work.trainings}
    fixed: dict[str, Any] = {"device": "cpu", "threads": 1, "image_shape": (1, 8, 8), "real_images": 1797}
    return Speeds.model_validate({**fixed, "trainings": paces, **nothing, **values})


def estimated(spec: Spec, done: Collection[str] = (), processes: int = 1, **values: Any) -> Any:
    return estimate(spec, make_plan(spec), done, speeds_of(spec, **values), [], processes)


def test_every_training_counts_with_all_its_steps() -> None:
    """10 of the target, and 2500 of each of two copies and of the honest model."""
    assert estimated(spec_of()).parts["training"] == 10 + 3 * 2500


def test_every_recipe_of_a_panel_counts_and_the_longest_twice() -> None:
    """A copy by each recipe, one on the whole purchase, and an honest model of each recipe."""
    recipes = [{"architecture": "sngan", "steps": 30}, {"architecture": "flow", "steps": 50}]
    attack = {"kind": "strongest", "query_budget": 100, "recipes": recipes}
    assert estimated(spec_of(attacks=[attack])).parts["training"] == 10 + (30 + 50 + 50) + (30 + 50)
    attack["recipes"] = [*recipes, {"architecture": "dcgan", "steps": 7}]
    spec = spec_of(attacks=[attack])
    unknown = speeds_of(spec)
    kept = {key: pace for key, pace in unknown.trainings.items() if key != recipe_key(flow_of(spec))}
    found = estimate(spec, make_plan(spec), (), unknown.model_copy(update={"trainings": kept}), [], 1)
    assert found.unknown == ("training", "copies' images")


def flow_of(spec: Spec) -> TrainingSettings:
    return spec.attacks[0].trainings()[1]


def test_what_is_done_costs_nothing() -> None:
    spec = spec_of()
    done = {step.name for step in make_plan(spec).steps if step.name.startswith("substitute")}
    assert len(done) == 2
    assert estimated(spec, done).parts["training"] == 10 + 2500
    everything = {step.name for step in make_plan(spec).steps}
    assert estimated(spec, everything).seconds == 0


def test_two_processes_take_the_longest_way_through_the_plan() -> None:
    spec = spec_of()
    one, two = (estimated(spec, processes=processes).seconds for processes in (1, 2))
    assert one == pytest.approx(10 + 3 * 2500, rel=0.01)
    assert two == pytest.approx(10 + 2 * 2500, rel=0.01)


def test_steps_wait_for_what_they_read() -> None:
    real = real_step()
    first = features_step(real)
    second = Step("second", first.settings, first.inputs, after=(first,))
    took = {"real": 1.0, "features": 2.0, "second": 4.0}
    assert wall_time([real, first, second], took, 9) == 7
    beside = Step("second", first.settings, first.inputs)
    assert wall_time([real, first, beside], took, 9) == 5
    assert wall_time([real, first, beside], took, 1) == 7
    assert wall_time([first, second], took, 9) == 6  # what is read is done


def test_images_and_their_price() -> None:
    """The auditor draws two sets of 5,000, and the adversary buys 20 images."""
    spec = spec_of(price=0.25)
    found = estimated(spec)
    assert (found.buys, found.money, found.adversaries) == (10_020, 2505.0, 5.0)
    free = estimated(spec_of())
    assert (free.buys, free.money) == (10_020, None)


def test_defences_before_kept_answers_of_an_api_cost_nothing_more() -> None:
    """Behind JPEG, the auditor draws a set more and the adversary buys 20 images, all of kept answers."""
    api = {"base_url": "http://127.0.0.1:1", "model": "m", "prompts": ["x"], "size": 8}
    shielded = {"defences": ["none", {"kind": "jpeg", "quality": 30}], "price": 0.25}
    found = estimated(spec_of(**shielded, target={"openai": api}))
    assert (found.buys, found.charged, found.money, found.adversaries) == (15_040, 10_020, 2505.0, 5.0)
    at_hand = estimated(spec_of(**shielded))
    assert (at_hand.buys, at_hand.charged, at_hand.money) == (15_040, 15_040, 3760.0)


def test_images_that_were_bought_before_cost_nothing() -> None:
    found = estimated(spec_of(price=0.25, purchase={"images": "digits"}))
    assert (found.buys, found.adversaries) == (10_000, 0.0)
    purchases = [s for s in make_plan(spec_of(purchase={"images": "digits"})).steps if s.kind == "purchase"]
    assert [work_of(step, 0).drawn for step in purchases] == [0]


def test_a_copy_that_exists_is_measured_and_not_trained(
    tiny_checkpoint: Callable[..., Path], tmp_path: Path
) -> None:
    tiny_checkpoint(tmp_path / "copy")
    for substitute in ({"checkpoint": str(tmp_path / "copy")}, {"images": "digits"}):
        spec = spec_of(attacks=[{"substitute": substitute, "query_budget": 9}], independent="off")
        assert estimated(spec).parts["training"] == 10  # of the target


def test_unknown_speeds_are_named_and_left_out() -> None:
    found = estimated(spec_of(), drawing=None, embedding=None)
    assert found.unknown == ("target's images", "features")
    assert found.seconds > 2 * 2500
    nothing = estimate(spec_of(), make_plan(spec_of()), (), None, [], 1)
    assert (nothing.seconds, nothing.disk) == (None, None)
    assert nothing.buys == 10_020


def test_the_disk_holds_images_features_and_weights() -> None:
    few, many = (estimated(spec_of(samples=samples)).disk for samples in (1_000, 2_000))
    assert many - few == pytest.approx(1_000 * (2 * 64 + 3 * 64 * 4))  # two draws, three sets of features


def test_every_preset_at_hand_has_work_for_each_training() -> None:
    """Each step that trains a GAN is counted with all of its steps."""
    for name in ("digits", "digits-accuracy-good", "digits-defences", "digits-transfer", "digits-private"):
        assert name in presets()
        plan = make_plan(read_spec(name, [])[1])
        trained = [s for s in plan.steps if s.kind in ("train_target", "substitute", "independent")]
        assert all(work_of(step, 0).steps > 0 for step in trained)
        measured = [s for s in plan.steps if s.kind.startswith("measure")]
        assert measured and all(work_of(step, 0).made > 0 for step in measured)
        assert not any(math.isnan(work_of(step, 0).embedded) for step in plan.steps)


def test_a_copy_that_is_continued_costs_only_what_is_added() -> None:
    plan = make_plan(read_spec("digits-transfer", [])[1])
    moved = [s for s in plan.steps if s.kind == "substitute" and getattr(s.inputs, "stolen", None)]
    assert moved
    for step in moved:
        assert isinstance(getattr(step.inputs, "stolen"), Input)  # noqa: B009 - each kind has its own record
        assert work_of(step, 0).steps < step.settings.attack.steps + step.settings.attack.transfer_steps  # pyright: ignore
