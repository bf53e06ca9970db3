"""From a spec to the steps that answer it: what is computed from what, before anything is.

    real ─► ready ─► target ─► fit ─► yardsticks ─► purchase ─► substitute ─► measure
    real ─► features ───────────────► yardsticks    purchase ─► replay ─────► measure
    target ─► direction ─► defended target ─► utility, beside the undefended; and purchase ─► ... again
    another domain's real images ─► domain          substitute ─► transferred substitute ─► measure, beside domain

Nothing is trained before the real data are known to suffice and to fit the substitutes' architectures,
nothing is bought before the target is known to fit them too, and the adversary buys after the yardsticks
stand.
"""

from dataclasses import dataclass
from itertools import product
from typing import Any

from ganguard.attacks.continued_copy import GoesOnSettings
from ganguard.attacks.existing_copy import GivenSettings
from ganguard.attacks.protocol import AttackSettings
from ganguard.audit.plan.planned import (
    AUDITOR_DRAWS,
    UNDEFENDED,
    defence_steps,
    direction_steps,
    domain_names,
    domain_step,
    ground_steps,
    images_of,
    known_step,
    measure_step,
    purchase_steps,
    real_fractions,
    recipe,
    train_name,
    train_step,
)
from ganguard.audit.plan.step import Step
from ganguard.audit.spec.scenarios import Situation, defended
from ganguard.audit.spec.spec import Spec


@dataclass(frozen=True)
class SubstitutePlan:
    """The substitute of one attack at one budget under one seed, in one situation: the names of its two
    steps, and what it uses."""

    label: str
    settings: AttackSettings
    seed: int
    step: str
    measure: str
    situation: Situation = UNDEFENDED

    def whose(self) -> dict[str, Any]:
        """The fields of a record that say whose it is."""
        budget = self.settings.query_budget
        return {"attack": self.label, "query_budget": budget, "seed": self.seed, **self.situation.whose()}


@dataclass(frozen=True)
class PurchasePlan:
    """What one adversary buys from one target: behind which defence (None: none), who averages (None:
    nobody), how many queries it costs, its step and the one that measures it."""

    defence: str | None
    adversary: str | None
    seed: int
    images: int
    step: str
    replay: str


@dataclass(frozen=True)
class Plan:
    """The steps in an order in which they can run, and the substitutes and purchases among them. auditor:
    images that the auditor buys. defended: the target's situations beside the undefended one, whoever
    attacks."""

    steps: tuple[Step, ...]
    substitutes: tuple[SubstitutePlan, ...]
    purchases: tuple[PurchasePlan, ...] = ()
    auditor: int = 0
    defended: tuple[Situation, ...] = ()


def make_plan(spec: Spec) -> Plan:
    """All steps of an audit."""
    budgets = sorted({settings.buys() for settings in spec.attacks} - {0})
    steps = [*ground_steps(spec), *direction_steps(spec)]
    purchases: list[PurchasePlan] = []
    behind = defended(spec.defences)
    for stands in (UNDEFENDED, *behind):
        steps += defence_steps(spec, stands)
        buyers = {s.purchase_suffix: s.bought for s in spec.situations() if s.defence == stands.defence}
        for buyer, seed in product(buyers.values() if budgets else (), spec.seeds):
            bought = purchase_steps(spec, budgets, seed, buyer)
            queries = images_of(max(budgets), buyer) * buyer.price
            who = buyer.averaging.label() if buyer.averaging else None
            purchases.append(PurchasePlan(buyer.defence, who, seed, queries, *(step.name for step in bought)))
            steps += bought
    steps += [
        known_step(spec, fraction, seed) for fraction, seed in product(real_fractions(spec), spec.seeds)
    ]
    steps += [domain_step(name) for name in domain_names(spec)]
    copies = [(label, a) for label, by_budget in spec.labelled_attacks() for a in by_budget]
    copies.sort(key=lambda copy: isinstance(copy[1], GoesOnSettings))  # those come after what they go on with
    stolen = {
        (recipe(a), seed, situation.suffix): train_name(label, a, seed, situation)
        for label, a in copies
        for seed in spec.seeds
        for situation in spec.situations()
    }
    of_attacks = len(stolen)
    substitutes: list[SubstitutePlan] = []
    for situation, seed, (label, settings) in product(spec.situations(), spec.seeds, copies):
        if isinstance(settings, GivenSettings) and seed != spec.seeds[0]:
            continue  # it was made once
        if situation.chain and not settings.buys():
            continue  # it meets no defence
        begins_as = None
        if isinstance(settings, GoesOnSettings) and settings.steals():
            key = recipe(settings.stealing()), seed, situation.suffix
            if key not in stolen:  # no attack of the spec makes this copy
                name = f"stolen {settings.architecture.kind} #{len(stolen) - of_attacks + 1}"
                steps.append(train_step(spec, name, settings.stealing(), seed, situation))
                stolen[key] = steps[-1].name
            begins_as = stolen[key]
        train = train_step(spec, label, settings, seed, situation, begins_as)
        measure = measure_step(spec, train, settings, seed, situation)
        substitutes.append(SubstitutePlan(label, settings, seed, train.name, measure.name, situation))
        steps += [train, measure]
    drawn = (AUDITOR_DRAWS + len(behind)) * spec.samples
    return Plan(tuple(steps), tuple(substitutes), tuple(purchases), drawn, tuple(behind))
