"""The kinds of steps that refuse: before a target is trained, and before an image is bought."""

import math

import torch

from ganguard.architectures.networks import build_networks, require_buildable
from ganguard.attacks.protocol import AttackSettings, require_attackable
from ganguard.attacks.real_images import real_fraction
from ganguard.attacks.transfer import TransferSettings, require_domain
from ganguard.audit.steps.call import Digests, StepCall
from ganguard.audit.steps.guess import rehearse_guess
from ganguard.audit.steps.real import Real, load_real
from ganguard.audit.steps.substitute import attack_of
from ganguard.audit.steps.target import open_target, tools_for
from ganguard.base.errors import DataError, MetricError, SpecError, TargetError
from ganguard.base.images import shape_of
from ganguard.comparison.compare import NEIGHBOURS
from ganguard.data.splits import TRAIN_SHARE, adversary_split, some_of
from ganguard.defences.protocol import parse_chain
from ganguard.targets.protocol import BlackBoxTarget


def run_fit(call: StepCall) -> Digests:
    """Refuse a target whose images are not of the real ones' shape, or that an attack or the guess of a
    defence does not fit; nothing is bought yet."""
    real, target = load_real(call.inputs["real"]), open_target(call.inputs["target"], call.compute)
    if target.image_shape != (wanted := shape_of(real.images)):
        raise DataError(
            f"the target makes images {target.image_shape} (C, H, W), the real ones are {wanted}. "
            f"Set `size` and `channels` of the real data to the target's."
        )
    if "reference" in call.inputs:
        shape = open_target(call.inputs["reference"], call.compute).image_shape
        if shape != target.image_shape:
            raise TargetError(
                f"reference makes images {shape} (C, H, W), the target {wanted}. Name the generator behind "
                "it."
            )
    for settings in call.settings.get("attacks", []):
        require_attackable(target, attack_of(settings))
    _require_guesses(call, target)
    return {"result": ""}


def _require_guesses(call: StepCall, target: BlackBoxTarget) -> None:
    """Raise InputError where a guess fits the target's images not, or not the codes of a substitute that
    trains through it."""
    attacks = [
        attack for attack in map(attack_of, call.settings.get("attacks", [])) if attack.trains_through()
    ]
    with torch.device("meta"):
        networks = [build_networks(attack.architecture, target.image_shape) for attack in attacks]
    tools = tools_for(target, call.compute)
    for latent_dim in sorted({found.generator.latent_dim for found in networks}):
        for guess in call.settings.get("guesses", []):
            rehearse_guess(parse_chain(guess), target.image_shape, latent_dim, tools)


def run_ready(call: StepCall) -> Digests:
    """Refuse what could not be trained or measured, before anything is trained."""
    real = load_real(call.inputs["real"])
    _require_trainable(call, real)
    samples, least = int(call.settings["samples"]), NEIGHBOURS + 1
    if min(samples, len(real.reference)) < least:
        raise MetricError(
            f"each measured set must hold at least {least} images; samples is {samples} and the reference "
            f"split (30 % of the real images) {len(real.reference)}. Set samples to {least} or more, and "
            f"give at least {math.ceil(least / (1 - TRAIN_SHARE))} real images, in classes of 2 or more."
        )
    return {"result": ""}


def _require_trainable(call: StepCall, real: Real) -> None:
    """Raise InputError where an attack does not fit the real images: those that the target is trained on, or
    of a domain."""
    known = load_real(call.inputs["trained on"])
    domains = [load_real(call.inputs[f"domain {i}"]) for i in range(len(call.settings["domains"]))]
    for attack in map(attack_of, call.settings["attacks"]):
        require_buildable(attack.architecture, shape_of(real.images))
        if (fraction := real_fraction(attack)) is not None:
            for seed in call.settings["seeds"]:
                own, _ = adversary_split(known.train, fraction, seed=seed, groups=known.groups)
                _require_known(attack, len(own), call.settings.get("price", 1))
        if isinstance(attack, TransferSettings):
            domain = domains[call.settings["domains"].index(attack.domain.model_dump(mode="json"))]
            some_of(domain.train, attack.domain_images, seed=0)
            require_domain(domain.images, shape_of(real.images))
            if min(len(domain.reference), len(domain.train)) <= NEIGHBOURS:
                raise MetricError(
                    f"domain: its reference split (30 % of {len(domain.images)} images) holds "
                    f"{len(domain.reference)}; a measured set must hold at least {NEIGHBOURS + 1}. Give "
                    "more images of the domain."
                )


def _require_known(attack: AttackSettings, own: int, price: int) -> None:
    """Raise SpecError where the budget buys too few images, at the highest `price` of one, beside `own` real
    ones."""
    images = attack.query_budget // price
    try:
        attack.model_copy(update={"query_budget": images}).require_known(own)
    except SpecError as problem:
        if price == 1:
            raise
        raise SpecError(
            f"adversaries: who averages asks {price:,} times for an image, so that query_budget "
            f"{attack.query_budget:,} buys {images:,}: {problem}"
        ) from None
