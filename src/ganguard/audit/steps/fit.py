"""Refuse an audit whose parts do not fit each other, before an image is bought."""

from pathlib import Path

import torch

from ganguard.architectures.networks import build_networks
from ganguard.attacks.protocol import require_attackable
from ganguard.audit.plan.ground_work import FitInputs, FitSettings
from ganguard.audit.steps.call import Digests, Kind, StepCall
from ganguard.audit.steps.fit_classes import require_classes, require_model_classes
from ganguard.audit.steps.guess import rehearse_guess
from ganguard.audit.steps.preflight import ASKS_ATTACKS
from ganguard.audit.steps.real import load_real
from ganguard.audit.steps.target_files import IDENTITY_TELLS, OPENS, open_target, read_target
from ganguard.base.errors import DataError, TargetError
from ganguard.base.images import colours_of, has_opacity, shape_of
from ganguard.defences.tools import tools_for
from ganguard.queries.asked_again import require_codes_alone
from ganguard.targets.ask import require_askable
from ganguard.targets.conditions import conditions_of
from ganguard.targets.images import BoughtImages
from ganguard.targets.protocol import BlackBoxTarget


def run_fit(call: StepCall[FitSettings, FitInputs[Path]]) -> Digests:
    """Raise InputError, before anything is bought, if the target does not fit.

    It must fit the real images, the attacks, and the guessed defences.
    """
    real, target = load_real(call.inputs.real), open_target(call.inputs.target, call.compute)
    if target.image_shape != (wanted := shape_of(real.images)):
        raise DataError(
            f"the target makes images {target.image_shape} (C, H, W), the real ones are {wanted}. Set "
            f"{_settings(target.image_shape, wanted)} of the real data."
        )
    if call.inputs.reference:
        reference = open_target(call.inputs.reference, call.compute)
        shape, advice = reference.image_shape, "Name the generator that it serves."
        if shape != target.image_shape:
            raise TargetError(f"reference makes images {shape} (C, H, W), the target {wanted}. {advice}")
        require_model_classes("reference", reference, target, call.settings.ask, advice)
    if call.inputs.bought:
        _require_bought(call, call.inputs.bought, target)
    for found in call.inputs.found:
        _require_found(call, found, target)
    require_askable(target, call.settings.ask)
    if call.settings.again:
        require_codes_alone(target)
    for attack in call.settings.attacks:
        require_attackable(target, attack)
    require_classes(call, real.classes, target)
    _require_guesses(call, target)
    return {"result": ""}


def _settings(wanted: tuple[int, int, int], found: tuple[int, int, int]) -> str:
    """Return the settings of a data set that make its images those that are wanted, each (C, H, W)."""
    (channels, height, width), size = wanted, "x".join(map(str, dict.fromkeys((wanted[2], wanted[1]))))
    said = {
        f"`size: {size}`": (height, width) != found[1:],
        f"`channels: {colours_of(channels)}`": colours_of(channels) != colours_of(found[0]),
        f"`alpha: {'keep' if has_opacity(channels) else 'white'}`": has_opacity(channels)
        != has_opacity(found[0]),
    }
    return " and ".join(setting for setting, differs in said.items() if differs)


def _require_bought(
    call: StepCall[FitSettings, FitInputs[Path]], bought: Path, target: BlackBoxTarget
) -> None:
    """Raise InputError if the images that were bought before are too few, or of another shape than the
    target's."""
    images = open_target(bought, call.compute)
    if isinstance(images, BoughtImages) and images.of_same_set(target):
        raise DataError(
            "purchase: these are the target's own images, so that copies would be measured against what they "
            "were trained on. Harvest a second set, on another seed, for one of the two."
        )
    if images.image_shape != target.image_shape:
        raise DataError(
            f"purchase: the images that were bought are {images.image_shape} (C, H, W), the target makes "
            f"{target.image_shape}. Set `size`, `channels` and `alpha` of the purchase to the target's."
        )
    if isinstance(images, BoughtImages):
        images.require(call.settings.bought)
        if known := conditions_of(target):
            images.conditions_among(known)


def _require_found(call: StepCall[FitSettings, FitInputs[Path]], found: Path, target: BlackBoxTarget) -> None:
    """Raise InputError if a found copy makes images of another shape than the target's, or has other classes,
    or is a set of fewer images than are measured."""
    copy, name, wanted = open_target(found, call.compute), read_target(found).description, call.settings.drawn
    if copy.image_shape != target.image_shape:
        raise TargetError(
            f"found copy {name}: the target makes images {target.image_shape} (C, H, W), this copy "
            f"{copy.image_shape}. Give a copy of this target, or set `size`, `channels` and `alpha` of its "
            "images."
        )
    require_model_classes(
        f"found copy {name}: it", copy, target, call.settings.ask, "Give a copy of this target."
    )
    if isinstance(copy, BoughtImages) and copy.count < wanted:
        raise DataError(
            f"found copy {name}: {wanted:,} images are measured, two sets of `samples`, none twice; it has "
            f"{copy.count:,}. Set samples to {copy.count // 2} or less."
        )


def _require_guesses(call: StepCall[FitSettings, FitInputs[Path]], target: BlackBoxTarget) -> None:
    """Raise InputError if a guess does not fit the target's images, or the codes of a substitute."""
    through = [attack for attack in call.settings.attacks if attack.trains_through()]
    with torch.device("meta"):
        recipes = [recipe for attack in through for recipe in attack.trainings()]
        networks = [build_networks(recipe.architecture, target.image_shape) for recipe in recipes]
    tools = tools_for(target.image_shape[0], call.compute)
    for latent_dim in sorted({found.generator.latent_dim for found in networks}):
        for guess in call.settings.guesses:
            rehearse_guess(guess, target.image_shape, latent_dim, tools)


FIT = Kind(
    run_fit,
    code=(
        *OPENS,
        *ASKS_ATTACKS,
        "ganguard.defences",
        "ganguard.metrics.features",
        "ganguard.queries.asked_again",
        "ganguard.audit.steps.guess",
        "ganguard.audit.steps.fit",
        "ganguard.audit.steps.fit_classes",
    ),
    not_followed=IDENTITY_TELLS,
)
