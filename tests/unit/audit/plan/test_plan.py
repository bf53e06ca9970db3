"""The plan: which steps, in which order, and what each result depends on."""

from collections.abc import Callable
from pathlib import Path

from ganguard.attacks.fidelity import FidelitySettings
from ganguard.attacks.protocol import Needs
from ganguard.attacks.transfer import TransferSettings
from ganguard.audit.engine.cache import Done, step_key
from ganguard.audit.plan import adversary_work, code_work, ground_work, independent_work
from ganguard.audit.plan.parts import Plan
from ganguard.audit.plan.plan import make_plan
from ganguard.audit.plan.step import Step, StepSettings
from ganguard.audit.spec.spec import Spec
from ganguard.audit.steps.kinds import KINDS
from ganguard.base.compute import Compute
from ganguard.base.settings import parse

ATTACK = {"kind": "fidelity", "architecture": "sngan", "query_budget": [10, 20]}
SPEC = {
    "target": {"train": {"dataset": "digits", "architecture": "sngan", "steps": 10}},
    "real": "digits",
    "features": "random_network",
    "attacks": [ATTACK],
    "seeds": [0, 1],
}


def plan_of(**changes: object) -> Plan:
    return make_plan(parse(Spec, {**SPEC, **changes}, "spec"))


def keys_of(plan: Plan, threads: int = 1) -> dict[str, str]:
    """The key of each step, pretending that every step's result is a function of its key."""
    compute = Compute(threads=threads)
    done: dict[str, Done] = {}
    keys: dict[str, str] = {}
    for step in plan.steps:
        keys[step.name] = step_key(step, done, compute)
        parts = ["result", *map(str, getattr(step.settings, "budgets", ()))]
        done[step.name] = Done(None, {part: f"{keys[step.name]} {part}" for part in parts}, 0.0)  # type: ignore[arg-type]
    return keys


def needed_by(step: Step) -> list[Step]:
    return [read.step for read in step.inputs.by_role().values()]


def test_steps_come_after_what_they_need() -> None:
    plan = plan_of()
    names = [step.name for step in plan.steps]
    assert len(set(names)) == len(names)
    for position, step in enumerate(plan.steps):
        for needed in [*needed_by(step), *step.after]:
            assert needed in plan.steps[:position]


def test_every_kind_of_step_has_settings_a_function_and_says_its_code() -> None:
    rooms = (ground_work, adversary_work, code_work, independent_work)
    named = [found for room in rooms for found in vars(room).values()]
    settings = [found for found in named if isinstance(found, type)]
    kinds = [kind.kind for kind in settings if issubclass(kind, StepSettings) and "kind" in vars(kind)]
    assert sorted(kinds) == sorted(KINDS)
    assert all(kind.code for kind in KINDS.values())
    assert {step.kind for step in plan_of().steps} <= KINDS.keys()


def test_one_purchase_serves_all_attacks_of_a_seed() -> None:
    plan = plan_of(attacks=[ATTACK, {**ATTACK, "architecture": "dcgan", "query_budget": 30}])
    assert [step.name for step in plan.steps if step.kind == "purchase"] == [
        "purchase, seed 0",
        "purchase, seed 1",
    ]
    assert [(p.seed, p.queries) for p in plan.purchases] == [(0, 30), (1, 30)]


def test_nothing_is_bought_or_trained_before_the_target_is_found_sound() -> None:
    transfer = {**ATTACK, "kind": "transfer", "domain": {"kind": "digits", "classes": [0]}}
    plan = plan_of(
        attacks=[ATTACK, {**transfer, "method": ["fine_tune", "scratch"]}],
        defences=["none", {"kind": "jpeg", "quality": 20}],
    )
    kinds = {"purchase", "substitute", "utility", "independent"}
    waiting = [step for step in plan.steps if step.kind in kinds]
    assert {step.kind for step in waiting} == kinds
    assert all(plan.ground.sound in step.after for step in waiting)
    assert needed_by(plan.ground.sound) == [plan.ground.yardsticks]


def test_going_on_with_a_broken_target_changes_the_key_of_that_decision_alone() -> None:
    before, after = keys_of(plan_of()), keys_of(plan_of(even_if="target_broken"))
    assert {name for name in before if after[name] != before[name]} == {"sound"}


def test_a_target_trained_on_the_real_data_decodes_it_once() -> None:
    assert [step.name for step in plan_of().steps if step.kind == "real"] == ["real"]


def test_only_a_factory_is_called_anew_each_time(
    tmp_path: Path, tiny_checkpoint: Callable[..., Path]
) -> None:
    def opening(target: dict[str, object]) -> Step:
        return next(step for step in plan_of(target=target).steps if step.name == "target")

    checkpoint = str(tiny_checkpoint(tmp_path / "a"))
    before = opening({"checkpoint": checkpoint})
    assert not before.volatile
    again = opening({"checkpoint": checkpoint})
    assert again.settings == before.settings
    assert (again.name, again.volatile, again.cost) == (before.name, before.volatile, before.cost)
    assert step_key(again, {}, Compute()) == step_key(before, {}, Compute())
    tiny_checkpoint(tmp_path / "a", seed=1)
    changed = opening({"checkpoint": checkpoint})
    assert changed.settings != before.settings
    assert step_key(changed, {}, Compute()) != step_key(before, {}, Compute())
    assert opening({"python": "a:b"}).volatile


def test_keys_depend_on_what_results_depend_on_and_on_nothing_else() -> None:
    base = keys_of(plan_of())
    more_samples = keys_of(plan_of(samples=77))
    changed = {name for name in base if more_samples[name] != base[name]}
    assert changed == {
        name
        for name in base
        if name.split(",")[0] in ("ready", "yardsticks", "sound", "eyesight", "replay")
        or name[:7] == "measure"
    }
    assert (
        keys_of(plan_of(seeds=[1]))["substitute fidelity sngan, 10 queries, seed 1"]
        == (base["substitute fidelity sngan, 10 queries, seed 1"])
    )
    threads = keys_of(plan_of(), threads=2)
    assert all(threads[name] != base[name] for name in base)


def test_how_often_a_state_is_saved_changes_no_key() -> None:
    assert keys_of(plan_of(attacks=[{**ATTACK, "checkpoint_every": 3}])) == keys_of(plan_of())


NETWORK = {"architecture": "sngan", "query_budget": 20}
MOVED = {"kind": "transfer", **NETWORK, "domain": {"kind": "digits", "classes": [1, 2]}}


def test_what_goes_on_with_a_copy_takes_that_of_another_attack() -> None:
    moved = {**MOVED, "method": ["fine_tune", "freeze_d", "scratch"], "domain_images": [9, None]}
    plan = plan_of(attacks=[moved, {"kind": "accuracy_partial_black_box", **NETWORK}, ATTACK], seeds=[0])
    read = [step.inputs.by_role().get("stolen") for step in plan.steps]
    stolen = [found.step for found in read if found]
    assert {step.name for step in stolen} == {"substitute fidelity sngan, 20 queries, seed 0"}
    assert len(set(stolen)) == 1
    assert sum(step.kind == "substitute" for step in plan.steps) == 6 + 1 + 2
    for position, step in enumerate(plan.steps):
        assert all(needed in plan.steps[:position] for needed in needed_by(step))
    keys = keys_of(plan)
    assert len(set(keys.values())) == len(keys)


def test_a_copy_that_no_attack_makes_is_made_once_for_all_that_go_on_with_it() -> None:
    plan = plan_of(attacks=[{**MOVED, "method": ["fine_tune", "freeze_d"]}], seeds=[0])
    trained = [step.name for step in plan.steps if step.kind == "substitute"]
    assert trained[0] == "substitute stolen sngan #1, 20 queries, seed 0"
    assert len(trained) == 3
    assert [(p.seed, p.queries) for p in plan.purchases] == [(0, 20)]


def test_copies_of_other_recipes_are_made_apart() -> None:
    one, other = {**MOVED, "n_dis": 1}, {"kind": "accuracy_partial_black_box", **NETWORK, "n_dis": 2}
    plan = plan_of(attacks=[one, other])
    stolen = [step.name for step in plan.steps if "stolen" in step.name]
    assert len(stolen) == len(set(stolen)) == 4
    names = [step.name for step in plan.steps]
    assert len(names) == len(set(names))


def test_copies_that_exist_already_buy_nothing(tmp_path: Path, tiny_checkpoint: Callable[..., Path]) -> None:
    given = {"substitute": {"checkpoint": str(tiny_checkpoint(tmp_path))}, "query_budget": 50}
    plan = plan_of(attacks=[given, {**MOVED, "method": "scratch"}])
    assert [step.name for step in plan.steps if step.kind in ("purchase", "replay")] == []
    assert plan.purchases == ()
    of_given = [s.copy.seed for s in plan.substitutes if s.copy.label.startswith("given copy")]
    assert of_given == [0]


def test_what_an_adversary_knows_is_of_what_the_target_was_trained_on() -> None:
    attacks = [{"kind": "accuracy_partial_black_box", **NETWORK}]
    other = {"train": {**SPEC["target"]["train"], "dataset": {"kind": "digits", "classes": [0, 1, 2]}}}  # type: ignore[dict-item]
    for changes, expected in (({}, "real"), ({"target": other}, "training data")):
        plan = plan_of(attacks=attacks, **changes)
        (known, *_) = plan.known
        assert known.kind == "known"
        assert known.inputs.by_role()["real"].step.name == expected


class _Thrifty(FidelitySettings):
    """An attack of another package: it buys images, and continues a copy that was stolen with fewer."""

    def needs(self) -> Needs:
        stolen = FidelitySettings(architecture=self.architecture, query_budget=7, steps=3)
        return Needs(purchase=self.query_budget, stolen=stolen)


def test_a_stolen_copy_may_need_another_purchase_than_the_attack_that_continues_it() -> None:
    attack = _Thrifty.model_validate({"architecture": "sngan", "query_budget": 9, "steps": 3})
    plan = plan_of(attacks=[attack])
    purchase = plan.purchases[0]
    assert isinstance(purchase.purchase.settings, adversary_work.PurchaseSettings)
    assert purchase.purchase.settings.budgets == (7, 9)
    substitute = plan.substitutes[0]
    reads = substitute.train.inputs.by_role()
    assert reads["stolen"].step.inputs.by_role()["purchase"].part == "7"
    assert reads["purchase"].part == "9"


class _Wandering(FidelitySettings):
    """An attack of another package: it continues a copy that was moved to a domain which it does not need."""

    def needs(self) -> Needs:
        moved = {**MOVED, "method": "scratch", "query_budget": self.query_budget}
        return Needs(purchase=self.query_budget, stolen=TransferSettings.model_validate(moved))


def test_a_stolen_copy_may_need_a_domain_of_its_own() -> None:
    plan = plan_of(attacks=[_Wandering.model_validate({"architecture": "sngan", "query_budget": 9})])
    (domain,) = plan.ground.domains
    stolen = plan.substitutes[0].train.inputs.by_role()["stolen"].step
    assert stolen.inputs.by_role()["domain_images"].step is domain.real
    assert domain.real in plan.steps


def test_where_an_adversary_learns_from_codes_every_copy_of_the_target_is_measured_by_them() -> None:
    by_codes = {"kind": "distillation", "architecture": "sngan", "query_budget": 20}
    moved = {"kind": "transfer", "architecture": "sngan", "query_budget": 20, "domain": "digits"}
    plan = plan_of(attacks=[ATTACK, by_codes, moved], codes="client", seeds=[0])
    measured = [copy.copy.label for copy in plan.substitutes if copy.measure_codes]
    assert measured == ["fidelity sngan", "fidelity sngan", "distillation sngan"]
    assert plan.ground.codes in plan.steps
    without, beside = plan_of(codes="client"), keys_of(plan_of(attacks=[ATTACK, by_codes], codes="client"))
    assert without.ground.codes is None
    assert not any(copy.measure_codes for copy in without.substitutes)
    # Those that look at all attacks aside, the steps are those of an audit without codes.
    same = {name: key for name, key in keys_of(without).items() if name not in ("ready", "fit")}
    assert same.items() <= beside.items()


def test_classes_that_are_asked_for_are_checked_before_a_target_is_trained() -> None:
    named, plain = {**ATTACK, "ask": ["3", "1"]}, {**ATTACK, "architecture": "dcgan", "ask": "spread"}
    plain["query_budget"] = 1000
    target = {"train": {**SPEC["target"]["train"], "architecture": {"kind": "sngan", "classes": 10}}}  # type: ignore[index,dict-item]
    plan = plan_of(attacks=[named, plain], target=target)
    (ready,) = (step.settings for step in plan.steps if step.name == "ready")
    assert isinstance(ready, ground_work.ReadySettings)
    assert [ask.only for ask in ready.asks] == [("1", "3")]
