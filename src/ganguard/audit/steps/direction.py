"""Fit a semantic direction to the target, and see what moving codes along it does."""

from pathlib import Path

from torch import Tensor

from ganguard.audit.steps.call import Digests, StepCall
from ganguard.audit.steps.target import open_target
from ganguard.base.cache import content_key, write_json
from ganguard.base.compute import Compute
from ganguard.base.errors import SpecError, TargetError
from ganguard.comparison.directions import Probabilities, effect_on, fit_for, save_strip
from ganguard.comparison.embedding import load_embedding
from ganguard.defences.direction_files import save_direction
from ganguard.results.records import DirectionRecord
from ganguard.targets.protocol import LatentTarget

EFFECT = "effect.json"


def run_direction(call: StepCall) -> Digests:
    """Fit a direction to an attribute, and see what moving codes along it does. The owner holds the target:
    these images are no queries."""
    attribute, samples, seed = (
        str(call.settings["attribute"]),
        int(call.settings["samples"]),
        int(call.settings["seed"]),
    )
    target = open_target(call.inputs["target"], call.compute)
    if not isinstance(target, LatentTarget):
        raise TargetError(
            "semantic interpolation moves codes, and this target takes none. Defend it by what changes "
            "images."
        )
    told = _probabilities(call.inputs["features"], call.compute) if "features" in call.inputs else None
    fitted = fit_for(
        target, attribute, samples=samples, seed=seed, probabilities=told, progress=call.progress
    )
    found = effect_on(target, fitted, attribute, seed=seed, probabilities=told)
    save_direction(fitted, call.directory)
    save_strip(found.images, call.directory)
    said = DirectionRecord(
        attribute=attribute,
        samples=samples,
        held_out_accuracy=fitted.held_out_accuracy or 0.0,
        rest_accuracy=fitted.rest_accuracy or 0.0,
        spearman=found.spearman,
        monotone=found.monotone,
    )
    write_json(call.directory / EFFECT, said.model_dump(mode="json"))
    return {"result": content_key(direction=fitted.digest(), effect=said.model_dump(mode="json"))}


def _probabilities(features: Path, compute: Compute) -> Probabilities:
    """What tells classes, of a features step. Raises SpecError where its network knows none."""
    embed = load_embedding(features, compute)

    def told(images: Tensor) -> Tensor:
        found = embed.probabilities(images)
        if found is None:
            raise SpecError(
                f"attribute class:K needs features that know classes; {embed.settings.kind} knows none."
            )
        return found

    return told
