"""Refuse an audit that cannot work, before a target is trained."""

import math
from pathlib import Path

from ganguard.architectures.networks import classes_of
from ganguard.attacks.class_names import require_domain_count
from ganguard.attacks.protocol import AttackSettings, Domain, learns_domain
from ganguard.attacks.transfer import require_domain
from ganguard.audit.plan.ground_work import ReadyInputs, ReadySettings
from ganguard.audit.steps.call import Digests, Kind, StepCall
from ganguard.audit.steps.judge_classes import require_classes
from ganguard.audit.steps.real import Real, load_real
from ganguard.audit.steps.target_files import OPENS_CHECKPOINT
from ganguard.base.errors import MetricError, SpecError
from ganguard.base.images import shape_of
from ganguard.comparison.compare import NEIGHBOURS
from ganguard.data.splits import TRAIN_SHARE, adversary_split
from ganguard.targets.conditions import Conditions


def run_ready(call: StepCall[ReadySettings, ReadyInputs[Path]]) -> Digests:
    """Raise InputError, before anything is trained, if an attack cannot be trained or a set not measured."""
    real = load_real(call.inputs.real)
    _require_trainable(call, real)
    samples, least = call.settings.samples, NEIGHBOURS + 1
    if min(samples, len(real.reference)) < least:
        raise MetricError(
            f"each measured set must hold at least {least} images; samples is {samples}, and the reference "
            f"split (30 % of the real images) holds {len(real.reference)}. Set samples to {least} or more, "
            f"and give at least {math.ceil(least / (1 - TRAIN_SHARE))} real images, in classes of 2 or more."
        )
    return {"result": ""}


def _require_trainable(call: StepCall[ReadySettings, ReadyInputs[Path]], real: Real) -> None:
    """Raise InputError if an attack does not fit the real images that it is to train on."""
    trained_on = load_real(call.inputs.trained_on)
    for ask in call.settings.asks if trained_on.classes else ():
        ask.shares(Conditions(names=trained_on.classes))
    domains = [load_real(directory) for directory in call.inputs.domains]
    for attack in call.settings.attacks:
        attack.require_buildable(shape_of(real.images))
        needs = attack.needs()
        if needs.real_fraction is not None:
            where = "`real`" if call.inputs.trained_on == call.inputs.real else "`target.train.dataset`"
            _require_as_many(attack, len(trained_on.classes), where, honest=False)
            attack.require_real_classes(len(trained_on.classes))
        if call.settings.honest and attack.from_scratch():
            _require_as_many(attack, len(real.classes), "`real`", honest=True)
        if needs.real_fraction is not None:
            _require_held(call.settings, attack, needs.real_fraction, trained_on)
        if needs.domain:
            images = domains[call.settings.domains.index(needs.domain.dataset)]
            if learns_domain(attack):
                require_domain_count(len(images.classes), classes_of(attack.architecture))
            _require_domain(needs.domain, images, real)


def _require_held(settings: ReadySettings, attack: AttackSettings, fraction: float, real: Real) -> None:
    """Raise InputError if the real images that an adversary holds do not do, under any seed.

    fraction: the share of `real` that it holds.
    """
    for seed in settings.seeds:
        own, _ = adversary_split(real.train, fraction, seed=seed, groups=real.groups)
        _require_known(attack, len(own), settings.price)
        if settings.judge_learns:
            require_classes(real.labels_of(own))


def _require_as_many(attack: AttackSettings, classes: int, where: str, *, honest: bool) -> None:
    """Raise SpecError if a substitute learns from real images with another number of classes than its own.

    The target's number, which it must have too, is not known yet: the message says what to do in each case.

    Args:
        attack: of the substitute.
        classes: of the real images.
        where: the setting that names them.
        honest: whether an honest model of the substitute's recipe learns from them, or the adversary itself.
    """
    kind, wanted = attack.architecture.kind, classes_of(attack.architecture)
    if wanted in (0, classes):
        return
    who = "an honest model of its recipe" if honest else "the adversary itself"
    found = f"{kind} has {wanted} classes, and {where}, from which {who} learns, has {classes or 'none'}"
    or_none = ", or set `independent: off`" if honest else ""
    if not classes:
        raise SpecError(f"{found}. Give images with classes, or leave `classes` out{or_none}.")
    more = "leave the other classes out of" if classes > wanted else "add the missing ones to"
    raise SpecError(
        f"{found}. If the target has {wanted} classes, {more} {where}{or_none}; if it has {classes}, set "
        f"classes: {classes}."
    )


def _require_domain(domain: Domain, images: Real, real: Real) -> None:
    """Raise InputError if a domain's images are too few, or of another shape than the real ones."""
    domain.chosen(images.train, seed=0)
    require_domain(images.images, shape_of(real.images))
    if min(len(images.reference), len(images.train)) <= NEIGHBOURS:
        raise MetricError(
            f"domain: its reference split (30 % of {len(images.images)} images) holds "
            f"{len(images.reference)}; a measured set must hold at least {NEIGHBOURS + 1}. Give more images "
            "of the domain."
        )


def _require_known(attack: AttackSettings, own: int, price: int) -> None:
    """Raise SpecError if the budget buys too few images beside `own` real ones.

    price: the most queries that any adversary pays for an image.
    """
    images = attack.query_budget // price
    try:
        attack.model_copy(update={"query_budget": images}).require_known(own)
    except SpecError as problem:
        if price == 1:
            raise
        raise SpecError(
            f"adversaries: one asks {price:,} times for an image, so that "
            f"query_budget {attack.query_budget:,} buys {images:,}: {problem}"
        ) from None


ASKS_ATTACKS = (
    "ganguard.base",
    "ganguard.data",
    "ganguard.attacks",
    "ganguard.queries.harvest",
    "ganguard.queries.choosing",
    "ganguard.queries.judged_ask",
    "ganguard.queries.sent_codes",
    "ganguard.queries.store",
    "ganguard.results.panels",
    "ganguard.training",
    "ganguard.audit.steps.real",
)
"""Code that the check of an attack depends on."""
READY = Kind(
    run_ready,
    code=(
        *OPENS_CHECKPOINT,
        *ASKS_ATTACKS,
        "ganguard.comparison.compare",
        "ganguard.targets.protocol",
        "ganguard.audit.steps.judge_classes",
        "ganguard.audit.steps.preflight",
    ),
    not_followed={
        "ganguard.attacks.found_copy:FoundCopySettings": "another step opens the copies that were found",
    },
)
