"""Measure the floors of another domain, and the copies that were moved to it."""

from pathlib import Path

from safetensors.torch import load_file

from ganguard.audit.plan.adversary_work import MeasureTransferInputs, MeasureTransferSettings
from ganguard.audit.plan.ground_work import DomainInputs, DomainSettings
from ganguard.audit.steps.call import Digests, Kind, StepCall
from ganguard.audit.steps.measurements import DRAWS, MEASURES, write_measurements
from ganguard.audit.steps.real import load_real
from ganguard.audit.steps.target_files import OPENS_CHECKPOINT
from ganguard.base.cache import content_key, tensor_digest, write_tensors
from ganguard.base.grids import TILES, save_grid
from ganguard.base.seeds import derived_seed
from ganguard.comparison.compare import NEIGHBOURS, around, by_itself, compare, compare_with_training
from ganguard.comparison.embedding import load_embedding
from ganguard.data.splits import halves, some_of
from ganguard.metrics import Balls
from ganguard.results.records import Measurement
from ganguard.targets.checkpoint import CheckpointTarget

_REFERENCE = "reference.safetensors"


def run_domain(call: StepCall[DomainSettings, DomainInputs[Path]]) -> Digests:
    """Compute the features of the domain's reference split, and measure the floors.

    The floors are the distances between its two splits, and between two halves of all its images.
    """
    real, embed = load_real(call.inputs.real), load_embedding(call.inputs.features, call.compute)
    everything = embed(real.images)
    one, other = halves(len(everything), real.labels)
    reference, train, half, other_half = (
        around(everything[rows]) for rows in (real.reference, real.train, one, other)
    )
    measurements = [
        *compare("train", train, reference, "domain"),
        *compare("real", half, other_half, "domain"),
    ]
    tensors = {"points": reference.points, "squared_radii": reference.squared_radii}
    write_tensors(call.directory / _REFERENCE, tensors)
    save_grid(real.images[real.train[:TILES]], call.directory)
    said = write_measurements(call.directory, measurements)
    return {"result": content_key(reference=tensor_digest(tensors), measurements=said)}


def run_measure_transfer(call: StepCall[MeasureTransferSettings, MeasureTransferInputs[Path]]) -> Digests:
    """Measure each draw of a moved copy's images against the domain's reference split.

    The first draw is also measured by itself, and beside the images that the copy was trained on.
    """
    settings, inputs = call.settings, call.inputs
    embed, domain = load_embedding(inputs.features, call.compute), load_real(inputs.domain_images)
    reference = Balls(**load_file(inputs.domain / _REFERENCE), k=NEIGHBOURS)
    rows = some_of(domain.train, settings.domain_images, seed=settings.seed)
    trained_on = embed(domain.images[rows])
    copy = CheckpointTarget(checkpoint=str(inputs.substitute / "checkpoint")).load(call.compute)
    measurements: list[Measurement] = []
    for draw in range(DRAWS):
        seed = derived_seed(settings.seed, "measured", str(draw))
        images = copy.sample(range(settings.samples), seed=seed)
        balls = around(embed(images))
        measurements += compare("substitute", balls, reference, "domain", draw)
        if draw == 0:
            points = balls.points
            measurements += by_itself("substitute", images, embed.probabilities(images), None)
            measurements += compare_with_training("substitute", points, trained_on, reference.points, "known")
            save_grid(images[:TILES], call.directory)
        call.progress(draw + 1, DRAWS, "measuring")
    return {"result": content_key(measurements=write_measurements(call.directory, measurements))}


_CODE = (*MEASURES, "ganguard.data.splits", "ganguard.audit.steps.real", "ganguard.audit.steps.transfer")
DOMAIN = Kind(run_domain, code=_CODE)
MEASURE_TRANSFER = Kind(run_measure_transfer, code=(*_CODE, *OPENS_CHECKPOINT))
