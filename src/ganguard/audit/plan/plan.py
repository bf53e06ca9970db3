"""Plan the steps that answer a spec, and what each is computed from.

    real ─► ready ─► target ─► fit ─► yardsticks ─► sound ─► purchase ─► substitute ─► measure
    real ─► features ───────────────► yardsticks             purchase ─► replay ─────► measure
    target ─► direction ─► defended target ─► utility, beside the undefended; purchase ─► ... again
    purchase ─► rework ─► substitute; rework ─► replay
    yardsticks ─► eyesight of the features; codes, if some copy knows any; substitute ─► measure codes
    another domain's real images ─► domain     substitute ─► transferred substitute ─► measure
    real ─► independent ─► measure

Nothing is trained before the real data are known to suffice and to fit the substitutes' architectures.
Nothing is bought before the target is known to fit them too. The adversary buys after the yardsticks are
measured and show that the target is sound.
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import product

from ganguard.attacks.protocol import AttackSettings
from ganguard.audit.plan.adversaries import (
    Known,
    known_step,
    purchase_plan,
    reworked_plan,
    substitute_plan,
    train_step,
)
from ganguard.audit.plan.ground import lay_ground
from ganguard.audit.plan.independent import honest_plans
from ganguard.audit.plan.parts import Copy, Ground, Plan, PurchasePlan, Recipe, SubstitutePlan
from ganguard.audit.plan.step import Step
from ganguard.audit.spec.adversary import Rework
from ganguard.audit.spec.scenarios import Scenario
from ganguard.audit.spec.spec import Spec
from ganguard.targets.ask import Ask

AUDITOR_DRAWS = 2  # sets of the target's images that the auditor measures with

Bought = dict[tuple[str | None, str | None, Ask, int], PurchasePlan]
"""(label of the defence, label of who buys if queries are no images, how it asks, seed) -> the purchase."""


def make_plan(spec: Spec) -> Plan:
    """Return all steps of an audit, and their purposes."""
    ground = lay_ground(spec)
    bought = _purchases(spec, ground)
    fractions = {copy.needs().real_fraction for copy in spec.trained_copies()} - {None}
    known = {
        (fraction, seed): known_step(spec, ground, fraction, seed)
        for fraction, seed in product(sorted(filter(None, fractions)), spec.seeds)
    }
    copies = _Copies(spec, ground, bought, known)
    substitutes = copies.plan()
    purchases, honest = tuple(bought.values()), honest_plans(spec, ground)
    draws = AUDITOR_DRAWS + len(ground.defended)
    steps = (
        *_ground_steps(ground),
        *_steps_of_purchases(ground, purchases),
        *known.values(),
        *(domain.floors for domain in ground.domains),
        *(step for model in honest for step in (model.train, model.measure)),
        *copies.steps,
    )
    return Plan(
        steps,
        ground,
        purchases,
        tuple(known.values()),
        substitutes,
        draws * spec.samples,
        honest,
        tuple(copies.reworked.values()),
    )


def _ground_steps(ground: Ground) -> list[Step]:
    trained_on = [ground.trained_on] if ground.trained_on is not ground.real else []
    opened = [step for step in (ground.reference, ground.bought) if step]
    opened += [step for _, step in ground.found]
    return [
        ground.real,
        *trained_on,
        *(domain.real for domain in ground.domains),
        ground.ready,
        ground.target,
        *opened,
        ground.fit,
        ground.features,
        ground.yardsticks,
        ground.sound,
        ground.eyesight,
        *([ground.codes] if ground.codes else []),
        *(direction.step for direction in ground.directions),
    ]


def _steps_of_purchases(ground: Ground, purchases: Sequence[PurchasePlan]) -> list[Step]:
    """Return the steps of defended targets, purchases and replays, target by target."""

    def bought_through(defence: str | None) -> list[Step]:
        plans = [plan for plan in purchases if plan.scenario.defence == defence]
        return [step for plan in plans for step in (plan.purchase, plan.replay)]

    steps = bought_through(None)
    for plan in ground.defended:
        steps += [plan.target, plan.utility, *bought_through(plan.scenario.defence)]
    return steps


def _purchases(spec: Spec, ground: Ground) -> Bought:
    """Return every purchase. Adversaries that ask alike share one, and so do all attacks at all budgets."""
    budgets: dict[Ask, set[int]] = {}
    for copy in spec.trained_copies():
        if paid := copy.needs().purchase:
            budgets.setdefault(spec.asks(copy), set()).add(paid)
    buyers = {_buyer(scenario): scenario.bought for scenario in reversed(spec.scenarios())}
    return {
        (*buyer, ask, seed): replace(
            purchase_plan(spec, ground, sorted(paid), seed, scenario, ask), also=_alike(spec, scenario)
        )
        for (buyer, scenario), (ask, paid), seed in product(
            reversed(buyers.items()), budgets.items(), spec.seeds
        )
    }


def _buyer(scenario: Scenario) -> tuple[str | None, str | None]:
    return scenario.defence, scenario.buyer


def _alike(spec: Spec, buyer: Scenario) -> tuple[str, ...]:
    """Return the labels of adversaries that share the purchase of one which makes images of several queries,
    beside its own."""
    if buyer.buyer is None:
        return ()
    sharing = [scenario for scenario in spec.scenarios() if _buyer(scenario) == _buyer(buyer)]
    return tuple(str(scenario.who) for scenario in sharing if scenario.who != buyer.who)


class _Copies:
    """Plans substitutes and collects their steps. A copy that several attacks continue is trained once."""

    def __init__(self, spec: Spec, ground: Ground, bought: Bought, known: Known) -> None:
        self._spec, self._ground, self._bought, self._known = spec, ground, bought, known
        self._trained: dict[Recipe, Step] = {}
        self._made_for_others = 0
        self.steps: list[Step] = []
        self.reworked: dict[tuple[str | None, str | None, Ask, int, int], PurchasePlan] = {}

    def plan(self) -> tuple[SubstitutePlan, ...]:
        """Return the plan of every copy. A copy that continues another one comes after it."""
        spec = self._spec
        attacks = [
            (label, settings) for label, by_budget in spec.labelled_attacks() for settings in by_budget
        ]
        attacks.sort(key=lambda attack: attack[1].needs().stolen is not None)
        copies = [
            Copy(label, settings, seed, scenario)
            for scenario, seed, (label, settings) in product(spec.scenarios(), spec.seeds, attacks)
        ]
        return tuple(self._substitute(copy) for copy in copies if self._is_made(copy))

    def _is_made(self, copy: Copy) -> bool:
        """Return whether a copy differs from all others of its attack."""
        repeats = not copy.settings.varies and copy.seed != self._spec.seeds[0]
        # An attack that buys nothing meets no defence.
        meets = copy.scenario.defence is None or copy.settings.needs().purchase > 0
        return meets and not repeats

    def _substitute(self, copy: Copy) -> SubstitutePlan:
        stolen = copy.settings.needs().stolen
        train = self._train(copy, self._copy_to_continue(copy, stolen) if stolen else None)
        plan = substitute_plan(self._spec, self._ground, copy, train, self._purchase_of(copy), self._known)
        self.steps += [step for step in (plan.measure, plan.measure_codes) if step]
        return plan

    def _copy_to_continue(self, copy: Copy, stolen: AttackSettings) -> Step:
        """Return the training of the stolen copy: that of another attack which makes it too, or a new one."""
        wanted = replace(copy, settings=stolen)
        if wanted.recipe() in self._trained:
            return self._trained[wanted.recipe()]
        self._made_for_others += 1
        label = f"stolen {stolen.architecture.kind} #{self._made_for_others}"
        return self._train(replace(wanted, label=label), None)

    def _train(self, copy: Copy, stolen: Step | None) -> Step:
        bought = self._purchase_of(copy)
        step = train_step(self._spec, self._ground, copy, bought=bought, known=self._known, stolen=stolen)
        self._trained[copy.recipe()] = step
        self.steps.append(step)
        return step

    def _purchase_of(self, copy: Copy) -> PurchasePlan | None:
        if not copy.settings.needs().purchase:
            return None
        ask = self._spec.asks(copy.settings)
        bought = self._bought[(*_buyer(copy.scenario), ask, copy.seed)]
        rework = copy.scenario.rework
        return self._reworked_of(copy, bought, rework, ask) if rework else bought

    def _reworked_of(self, copy: Copy, bought: PurchasePlan, rework: Rework, ask: Ask) -> PurchasePlan:
        scenario = copy.scenario
        key = scenario.defence, scenario.who, ask, copy.seed, copy.settings.needs().purchase
        if key not in self.reworked:
            self.reworked[key] = plan = reworked_plan(self._ground, bought, rework, copy)
            self.steps += [step for step in (plan.rework, plan.replay) if step]
        return self.reworked[key]
