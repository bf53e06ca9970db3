"""Honest models: which are planned, what they are trained on, and what they never see."""

from pathlib import Path

import pytest
import torch

from ganguard.architectures.dcgan import DCGAN
from ganguard.audit.plan.independent_work import IndependentInputs, IndependentSettings
from ganguard.audit.plan.parts import Plan
from ganguard.audit.plan.plan import make_plan
from ganguard.audit.plan.step import Step
from ganguard.audit.spec.reading import read_spec
from ganguard.audit.spec.spec import Spec
from ganguard.audit.steps import independent
from ganguard.audit.steps.call import StepCall
from ganguard.audit.steps.kinds import KINDS
from ganguard.base.cache import write_json, write_tensors
from ganguard.base.compute import Compute
from ganguard.base.errors import SpecError
from ganguard.base.image_rows import ImageRows
from ganguard.base.progress import silent
from ganguard.base.settings import parse
from ganguard.training.settings import TrainingSettings

GAN = {"architecture": "sngan", "query_budget": [10, 20], "steps": 7}
SPEC = {
    "target": {"train": {"dataset": "digits", "architecture": "sngan", "steps": 10}},
    "real": "digits",
    "features": "random_network",
    "attacks": [{"kind": "fidelity", **GAN}],
    "seeds": [0, 1],
}
MOVED = {"kind": "transfer", **GAN, "domain": {"kind": "digits", "classes": [1, 2]}}


def plan_of(**changes: object) -> Plan:
    return make_plan(parse(Spec, {**SPEC, **changes}, "spec"))


def all_before(step: Step) -> set[str]:
    """The kinds of all steps whose output reaches a step."""
    read = [found.step for found in step.inputs.by_role().values()]
    return {each.kind for each in read}.union(*(all_before(each) for each in read))


def test_there_is_one_for_each_recipe_and_seed_and_it_comes_after_what_it_needs() -> None:
    plan = plan_of()
    assert [(m.label, m.attacks, m.share, m.seed) for m in plan.honest] == [
        ("sngan", ("fidelity sngan",), 1.0, 0),
        ("sngan", ("fidelity sngan",), 1.0, 1),
    ]
    places = {step.name: place for place, step in enumerate(plan.steps)}
    for model in plan.honest:
        assert places[plan.ground.yardsticks.name] < places[model.train.name] < places[model.measure.name]


def test_it_sees_no_answer_of_the_target() -> None:
    for model in plan_of(defences=[{"kind": "jpeg", "quality": 20}]).honest:
        assert all_before(model.train) == {"real"}


def test_attacks_of_one_recipe_share_it_whatever_their_budget_defence_and_adversary() -> None:
    """A recipe that is said in other words is the same one."""
    partial = {"kind": "accuracy_partial_black_box", **GAN, "n_dis": 5, "checkpoint_every": 3}
    plan = plan_of(
        attacks=[*SPEC["attacks"], partial, {"kind": "accuracy_white_box", **GAN, "steps": 8}],
        defences=["none", {"kind": "jpeg", "quality": 20}],
        adversaries=["naive", "through_defence"],
        seeds=[0],
    )
    assert [(m.label, m.attacks) for m in plan.honest] == [
        ("sngan", ("fidelity sngan", "accuracy partial black box sngan, 10 % real")),
        ("sngan #2", ("accuracy white box sngan, 10 % real",)),
    ]


def test_a_copy_that_is_moved_has_none() -> None:
    plan = plan_of(attacks=[{"kind": "fidelity", **GAN, "architecture": "dcgan"}, MOVED], seeds=[0])
    assert [(m.label, m.attacks) for m in plan.honest] == [("dcgan", ("fidelity dcgan",))]


def test_a_copy_that_is_given_has_none(tmp_path: Path, tiny_checkpoint: object) -> None:
    place = str(tiny_checkpoint(tmp_path / "mine"))  # type: ignore[operator]
    given = {"substitute": {"checkpoint": place}, "query_budget": 10}
    continued = {"kind": "accuracy_partial_black_box", **GAN, "substitute": {"checkpoint": place}}
    assert plan_of(attacks=[given, continued]).honest == ()


@pytest.mark.parametrize(
    ("said", "shares"),
    [
        ("on", [1]),
        (True, [1]),
        ("off", []),
        (False, []),
        ({"shares": [0.5, 1]}, [1, 0.5]),
        ({"shares": [0.25]}, [0.25]),
    ],
)
def test_the_spec_says_whether_and_on_what_share(said: object, shares: list[float]) -> None:
    plan = plan_of(independent=said, seeds=[0])
    assert [model.share for model in plan.honest] == shares
    assert len({step.name for step in plan.steps}) == len(plan.steps)


@pytest.mark.parametrize(
    "said", ["maybe", None, 1, [1, 0.5], {"shares": []}, {"shares": [0]}, {"shares": [2]}, {"share": 1}]
)
def test_what_says_neither_is_refused_in_one_line(said: object) -> None:
    with pytest.raises(SpecError, match="independent") as refused:
        plan_of(independent=said)
    assert "\n" not in str(refused.value)


def test_a_dumped_spec_says_the_same_again() -> None:
    for said in ("off", {"shares": [1, 0.5]}):
        spec = parse(Spec, {**SPEC, "independent": said}, "spec")
        again = {**SPEC, "independent": spec.model_dump(mode="json")["independent"]}
        assert parse(Spec, again, "spec") == spec


def test_yaml_takes_bare_on_and_off(tmp_path: Path) -> None:
    for word in ("on", "off"):
        (tmp_path / "mine.yaml").write_text(f"like: digits\nindependent: {word}\n")
        plan = make_plan(read_spec(str(tmp_path / "mine.yaml"), [])[1])
        assert bool(plan.honest) is (word == "on")


@pytest.mark.parametrize("share", [1.0, 0.5])
def test_it_is_trained_on_the_train_split_alone_with_a_seed_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, share: float
) -> None:
    images = torch.arange(20, dtype=torch.uint8).reshape(20, 1, 1, 1).expand(20, 1, 8, 8).contiguous()
    train, reference = torch.arange(0, 14), torch.arange(14, 20)
    (tmp_path / "real").mkdir()
    tensors = {"images": images, "train": train, "reference": reference}
    write_tensors(tmp_path / "real" / "real.safetensors", tensors)
    seen: dict[str, object] = {}

    def train_generator(rows: ImageRows, settings: TrainingSettings, directory: Path, **said: object) -> None:
        seen.update(rows=set(rows[torch.arange(len(rows))].flatten().tolist()), count=len(rows), **said)
        (directory / "training.safetensors").touch()
        write_json(directory / "x.json", {})

    monkeypatch.setattr(independent, "train_generator", train_generator)
    monkeypatch.setattr(independent, "trained_here", lambda _: _Opened())
    settings = IndependentSettings(
        training=TrainingSettings(architecture=DCGAN(), steps=1), share=share, seed=0
    )
    inputs = IndependentInputs(tmp_path / "real")
    call = StepCall(settings, inputs, tmp_path, tmp_path, Compute(), silent)
    assert KINDS["independent"].run(call) == {"result": "what was trained"}
    assert seen["count"] == round(14 * share)
    assert isinstance(seen["rows"], set) and seen["rows"] <= set(train.tolist())
    assert isinstance(seen["seed"], int) and seen["seed"] > 2**20  # no seed that a person writes


class _Opened:
    identity = "what was trained"

    def load(self, compute: Compute) -> "_Opened":
        return self
