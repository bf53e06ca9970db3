"""The kinds of steps that measure in another domain: its yardsticks, and each copy that was moved to it
against them."""

from safetensors.torch import load_file

from ganguard.audit.steps.call import Digests, StepCall
from ganguard.audit.steps.measurements import DRAWS, write_measurements
from ganguard.audit.steps.real import load_real
from ganguard.base.cache import content_key, tensor_digest, write_tensors
from ganguard.base.grids import TILES, save_grid
from ganguard.base.seeds import derived_seed
from ganguard.comparison.compare import NEIGHBOURS, by_itself, compare, compare_with_training
from ganguard.comparison.embedding import load_embedding
from ganguard.data.splits import halves, some_of
from ganguard.metrics import Balls
from ganguard.results.records import Measurement
from ganguard.targets.checkpoint import CheckpointTarget

_REFERENCE = "reference.safetensors"


def run_domain(call: StepCall) -> Digests:
    """The features of the domain's reference split, and the floors: its two splits, and two halves of all its
    images."""
    real, embed = load_real(call.inputs["real"]), load_embedding(call.inputs["features"], call.compute)
    everything = embed(real.images)
    one, other = halves(len(everything), real.labels)
    reference, train, half, other_half = (
        Balls.around(everything[rows], k=NEIGHBOURS) for rows in (real.reference, real.train, one, other)
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


def run_measure_transfer(call: StepCall) -> Digests:
    """Every metric of one moved copy: each draw of its images against the domain's reference split; the first
    by itself, and beside the images that it was trained on."""
    samples, seed = int(call.settings["samples"]), int(call.settings["seed"])
    embed, domain = (
        load_embedding(call.inputs["features"], call.compute),
        load_real(call.inputs["domain images"]),
    )
    reference = Balls(**load_file(call.inputs["domain"] / _REFERENCE), k=NEIGHBOURS)
    trained_on = embed(domain.images[some_of(domain.train, call.settings["domain_images"], seed=seed)])
    copy = CheckpointTarget(checkpoint=str(call.inputs["substitute"] / "checkpoint")).load(call.compute)
    measurements: list[Measurement] = []
    for draw in range(DRAWS):
        images = copy.sample(range(samples), seed=derived_seed(seed, "measured", str(draw)))
        balls = Balls.around(embed(images), k=NEIGHBOURS)
        measurements += compare("substitute", balls, reference, "domain", draw)
        if draw == 0:
            measurements += by_itself("substitute", images, embed.probabilities(images), None)
            measurements += compare_with_training(
                "substitute", balls.points, trained_on, reference.points, "known"
            )
            save_grid(images[:TILES], call.directory)
        call.progress(draw + 1, DRAWS, "measuring")
    return {"result": content_key(measurements=write_measurements(call.directory, measurements))}
