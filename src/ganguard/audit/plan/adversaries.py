"""Plan the steps of adversaries: they buy, choose the real images that they know, and train substitutes."""

from collections.abc import Mapping, Sequence

from ganguard.audit.plan import adversary_work as work
from ganguard.audit.plan.codes import measure_codes_step
from ganguard.audit.plan.parts import Copy, Ground, PurchasePlan, SubstitutePlan
from ganguard.audit.plan.step import WAITED_FOR, Input, Step
from ganguard.audit.spec.adversary import Rework
from ganguard.audit.spec.graders import looked_through
from ganguard.audit.spec.judge import pinned_judge
from ganguard.audit.spec.scenarios import Scenario
from ganguard.audit.spec.spec import Spec
from ganguard.comparison.directions import needs_classifier
from ganguard.targets.ask import Ask, asked_for
from ganguard.targets.load import TargetSettings

Known = Mapping[tuple[float, int], Step]
"""(share of the real images, seed) -> the step that chooses them."""


def purchase_plan(
    spec: Spec, ground: Ground, budgets: Sequence[int], seed: int, buyer: Scenario, ask: Ask
) -> PurchasePlan:
    """Return the plan of an adversary's purchase under a seed, which all its attacks share.

    Args:
        spec: the settings of the audit.
        ground: the steps that run before.
        budgets: queries of its attacks, ascending; the largest is bought.
        seed: the seed of the purchase.
        buyer: the scenario, as far as a purchase depends on it.
        ask: how it asks a conditional target.
    """
    whose = f"seed {seed}{buyer}{asked_for(ask)}"
    settings = work.PurchaseSettings(
        codes=spec.codes, seed=seed, budgets=tuple(budgets), asking=buyer.asking, ask=ask
    )
    bought = Step(
        f"purchase, {whose}",
        settings,
        work.PurchaseInputs(Input(ground.target_in(buyer)), ground.bought_before),
        after=(ground.sound,),
        cost=WAITED_FOR,
    )
    replay = Step(
        f"replay, {whose}",
        work.ReplaySettings(seed=seed, budgets=tuple(budgets), price=buyer.price),
        work.ReplayInputs(Input(bought, str(budgets[-1])), Input(ground.features), Input(ground.yardsticks)),
    )
    # Only whole images are bought: the rest of a budget, which pays for no further one, is not spent.
    queries = budgets[-1] // buyer.price * buyer.price
    return PurchasePlan(buyer, seed, queries, bought, replay, ask)


def reworked_plan(ground: Ground, bought: PurchasePlan, rework: Rework, copy: Copy) -> PurchasePlan:
    """Return the plan of what the adversary of a copy makes of its purchase, and trains on.

    Args:
        ground: the steps that run before.
        bought: the purchase.
        rework: what it makes of it.
        copy: a copy of this adversary. Copies of the same budget, seed and ask share the result.
    """
    paid, scenario = copy.settings.needs().purchase, copy.scenario
    whose = f"{paid:,} queries, seed {copy.seed}{scenario}{asked_for(bought.ask)}"
    settings = work.ReworkSettings(
        seed=copy.seed,
        images=paid // scenario.price,
        shifts=rework.shifts,
        denoiser=rework.denoiser,
        paired=rework.paired,
    )
    purchase = Input(bought.purchase, str(paid))
    scored = any(needs_classifier(shift.attribute) for shift in rework.shifts)
    inputs = work.ReworkInputs(purchase, Input(ground.features) if scored else None)
    made = Step(f"rework, {whose}", settings, inputs, cost=WAITED_FOR)
    replay = Step(
        f"replay, {whose}",
        work.ReplaySettings(seed=copy.seed, budgets=(paid,), price=scenario.price),
        work.ReplayInputs(purchase, Input(ground.features), Input(ground.yardsticks), Input(made)),
    )
    return PurchasePlan(scenario, copy.seed, paid, bought.purchase, replay, bought.ask, made)


def known_step(spec: Spec, ground: Ground, fraction: float, seed: int) -> Step:
    """Return the step that chooses a share (`fraction`) of the real images for the adversary of a seed."""
    return Step(
        f"known real images, {100 * fraction:.10g} %, seed {seed}",
        work.KnownSettings(real_fraction=fraction, seed=seed, judge=pinned_judge(spec.judge_features)),
        work.KnownInputs(Input(ground.trained_on), Input(ground.features), Input(ground.yardsticks)),
        cost=WAITED_FOR,
    )


def train_step(
    spec: Spec,
    ground: Ground,
    copy: Copy,
    *,
    bought: PurchasePlan | None,
    known: Known,
    stolen: Step | None = None,
) -> Step:
    """Return the step that trains a copy.

    Args:
        spec: the settings of the audit.
        ground: the steps that run before.
        copy: the copy.
        bought: the purchase to train on; None if it buys nothing.
        known: the steps that choose real images.
        stolen: the training of the copy that it continues; None if it needs none.
    """
    needs, scenario = copy.settings.needs(), copy.scenario
    if needs.found:
        return _found_step(spec, ground, copy, needs.found)
    real_images = _known_to(copy, known)
    inputs = work.SubstituteInputs(
        target=Input(ground.target_in(scenario)),
        purchase=Input(bought.purchase, str(needs.purchase)) if bought else None,
        reworked=Input(bought.rework) if bought and bought.rework else None,
        known=real_images,
        features=Input(ground.features) if real_images and spec.judge_features == "audit" else None,
        domain_images=Input(ground.domain_of(needs.domain.dataset).real) if needs.domain else None,
        stolen=Input(stolen) if stolen else None,
        bought=ground.bought_before if bought else None,
    )
    settings = work.SubstituteSettings(
        attack=copy.settings,
        fingerprint=copy.settings.fingerprint(),
        codes=spec.codes,
        seed=copy.seed,
        asking=scenario.asking,
        guess=scenario.believed,
        ask=spec.asks(copy.settings),
        judged_with=work.JUDGED_WITH if needs.judging else "",
        projected=looked_through(copy.settings.trainings()),
    )
    steps = copy.settings.training_steps(copy_at_hand=stolen is not None)
    cost = float(steps) * copy.settings.batch_size
    return Step(f"substitute {copy.name}", settings, inputs, after=(ground.fit, ground.sound), cost=cost)


def _found_step(spec: Spec, ground: Ground, copy: Copy, found: TargetSettings) -> Step:
    """Return the step that draws the images of a found copy, as many as are measured."""
    settings = work.FoundSettings(count=work.COPY_DRAWS * spec.samples, ask=spec.asks(None))
    inputs = work.FoundInputs(Input(ground.found_of(found)))
    return Step(f"substitute {copy.name}", settings, inputs, after=(ground.fit, ground.sound))


def substitute_plan(
    spec: Spec, ground: Ground, copy: Copy, train: Step, bought: PurchasePlan | None, known: Known
) -> SubstitutePlan:
    """Return the plan of a copy and how it is measured: in the domain that it was moved to, or the target's.

    Args:
        spec: the settings of the audit.
        ground: the steps that run before.
        copy: the copy.
        train: the step that trains it.
        bought: its purchase; None if it buys nothing.
        known: the steps that choose real images.
    """
    domain = copy.settings.needs().domain
    if domain:
        plan = ground.domain_of(domain.dataset)
        settings = work.MeasureTransferSettings(
            samples=spec.samples, seed=copy.seed, domain_images=domain.images
        )
        inputs = work.MeasureTransferInputs(
            Input(train), Input(ground.features), Input(plan.floors), Input(plan.real)
        )
    else:
        paid = copy.settings.needs().purchase
        settings = work.MeasureSettings(
            samples=spec.samples,
            seed=copy.seed,
            bought=paid // copy.scenario.price,
            ask=spec.asks(None),
        )
        inputs = work.MeasureInputs(
            Input(train),
            Input(ground.features),
            Input(ground.yardsticks),
            replay=Input(bought.replay, str(paid)) if bought else None,
            known=_known_to(copy, known),
        )
    measure = Step(f"measure {copy.name}", settings, inputs, cost=WAITED_FOR)
    return SubstitutePlan(copy, train, measure, bought, measure_codes_step(ground, copy, train))


def _known_to(copy: Copy, known: Known) -> Input | None:
    """Return the real images that the adversary of a copy holds, or None if it holds none."""
    fraction = copy.settings.needs().real_fraction
    return None if fraction is None else Input(known[fraction, copy.seed])
