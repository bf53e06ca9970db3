"""Fit a semantic direction to the target, and measure what moving codes along it does."""

from pathlib import Path

from ganguard.audit.plan.ground_work import DirectionInputs, DirectionSettings
from ganguard.audit.steps.call import Digests, Kind, StepCall
from ganguard.audit.steps.target_files import IDENTITY_TELLS, OPENS, open_target
from ganguard.base.cache import content_key, write_json
from ganguard.base.errors import DataError, TargetError
from ganguard.base.settings import read_record
from ganguard.comparison.directions import effect_on, fit_for, save_strip
from ganguard.comparison.embedding import class_probabilities, load_embedding
from ganguard.defences.direction_files import save_direction
from ganguard.results.direction_record import DirectionRecord
from ganguard.targets.protocol import LatentTarget

_FILE = "effect.json"


def run_direction(call: StepCall[DirectionSettings, DirectionInputs[Path]]) -> Digests:
    """Fit a direction to an attribute, and measure what moving codes along it does.

    The owner holds the target: these images are no queries.
    """
    settings, target = call.settings, open_target(call.inputs.target, call.compute)
    if not isinstance(target, LatentTarget):
        raise TargetError(
            "semantic interpolation moves codes, and this target takes none. Use one that changes images."
        )
    features = call.inputs.features
    embedding = None if features is None else load_embedding(features, call.compute)
    told = embedding and class_probabilities(embedding.network, call.compute)
    attribute, seed = settings.attribute, settings.seed
    fitted = fit_for(
        target,
        attribute,
        samples=settings.samples,
        seed=seed,
        probabilities=told,
        progress=call.progress,
    )
    found = effect_on(target, fitted, attribute, seed=seed, probabilities=told)
    save_direction(fitted, call.directory)
    save_strip(found.images, call.directory)
    said = DirectionRecord(
        attribute=attribute,
        samples=settings.samples,
        held_out_accuracy=fitted.held_out_accuracy or 0.0,
        rest_accuracy=fitted.rest_accuracy or 0.0,
        spearman=found.spearman,
        monotone=found.monotone,
    ).model_dump(mode="json")
    write_json(call.directory / _FILE, said)
    return {"result": content_key(direction=fitted.digest(), effect=said)}


def read_direction(directory: Path) -> DirectionRecord:
    """Return the record of a direction step. Raises DataError if it is damaged."""
    return read_record(directory / _FILE, DirectionRecord, DataError)


DIRECTION = Kind(
    run_direction,
    code=(
        *OPENS,
        "ganguard.defences.direction_files",
        "ganguard.defences.semantic_directions",
        "ganguard.metrics.arrays",
        "ganguard.metrics.attributes",
        "ganguard.metrics.arrays",
        "ganguard.metrics.features",
        "ganguard.metrics.piqe",
        "ganguard.comparison.directions",
        "ganguard.comparison.embedding",
        "ganguard.results.direction_record",
        "ganguard.audit.steps.direction",
    ),
    not_followed=IDENTITY_TELLS,
)
