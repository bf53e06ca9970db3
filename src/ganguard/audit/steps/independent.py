"""Train and measure an honest model, which never saw an answer of the target."""

from pathlib import Path

from ganguard.architectures.networks import classes_of
from ganguard.audit.plan.independent_work import (
    IndependentInputs,
    IndependentSettings,
    MeasureIndependentInputs,
    MeasureIndependentSettings,
)
from ganguard.audit.steps.by_class import Seen, read_class_yardsticks
from ganguard.audit.steps.call import Digests, Kind, StepCall
from ganguard.audit.steps.drawn import drawn
from ganguard.audit.steps.measurements import DRAWS, MEASURES, write_measurements
from ganguard.audit.steps.real import load_real
from ganguard.audit.steps.target_files import OPENS_CHECKPOINT, trained_here
from ganguard.audit.steps.yardstick_files import Yardsticks
from ganguard.base.cache import content_key
from ganguard.base.grids import TILES, save_grid
from ganguard.base.image_rows import ImageRows
from ganguard.base.seeds import derived_seed
from ganguard.comparison.compare import NEIGHBOURS, by_itself, compare, compare_pixels
from ganguard.comparison.embedding import load_embedding
from ganguard.data.splits import some_of
from ganguard.metrics import Balls
from ganguard.results.records import Measurement
from ganguard.training.loop import train_generator

STREAM = "independent"  # its seeds are derived under this name, and so equal no copy's and no target's


def run_independent(call: StepCall[IndependentSettings, IndependentInputs[Path]]) -> Digests:
    """Train an honest model on a share of the train split of the real images."""
    said, real = call.settings, load_real(call.inputs.real)
    seed = derived_seed(said.seed, STREAM)
    rows = some_of(real.train, honest_images(len(real.train), said.share), seed=seed)
    train_generator(
        ImageRows(real.images, rows),
        said.training,
        call.directory,
        seed=seed,
        compute=call.compute,
        progress=call.progress,
        labels=real.labels_of(rows) if classes_of(said.training.architecture) else None,
    )
    (call.directory / "training.safetensors").unlink()
    return {"result": trained_here(call.directory).load(call.compute).identity}


def run_measure_independent(
    call: StepCall[MeasureIndependentSettings, MeasureIndependentInputs[Path]],
) -> Digests:
    """Measure each draw of an honest model's images against the target and the reference split."""
    settings, inputs = call.settings, call.inputs
    embed, yardsticks = load_embedding(inputs.features, call.compute), Yardsticks.read(inputs.yardsticks)
    points = [balls.points for balls in (*yardsticks.draws, yardsticks.reference)]
    by_class = read_class_yardsticks(inputs.yardsticks, points)
    honest = trained_here(inputs.independent).load(call.compute)
    measurements: list[Measurement] = []
    for draw in range(DRAWS):
        seed = derived_seed(settings.seed, STREAM, "measured", str(draw))
        images, labels = drawn(honest, range(settings.samples), settings.ask, seed=seed)
        balls = Balls.around(embed(images), k=NEIGHBOURS)
        probabilities = None if draw else embed.probabilities(images)
        measurements += compare("independent", balls, yardsticks.draws[draw], "target", draw)
        measurements += compare("independent", balls, yardsticks.reference, "reference", draw)
        if by_class:
            seen = Seen.of(by_class.names, balls.points, labels, probabilities)
            measurements += by_class.compare("independent", seen, draw)
        if draw == 0:
            measurements += by_itself("independent", images, probabilities, yardsticks.natural)
            measurements += compare_pixels("independent", images, yardsticks.bins, "target")
            save_grid(images[:TILES], call.directory)
        call.progress(draw + 1, DRAWS, "measuring")
    return {"result": content_key(measurements=write_measurements(call.directory, measurements))}


def honest_images(train: int, share: float) -> int:
    """Return how many of `train` real images a share is: at least one."""
    return max(1, round(share * train))


_HERE = "ganguard.audit.steps.independent"
INDEPENDENT = Kind(
    run_independent,
    code=(
        "ganguard.base",
        *OPENS_CHECKPOINT,
        "ganguard.data.splits",
        "ganguard.training",
        "ganguard.audit.steps.real",
        "ganguard.audit.steps.target_files",
        _HERE,
    ),
)
MEASURE_INDEPENDENT = Kind(
    run_measure_independent,
    code=(
        *MEASURES,
        *OPENS_CHECKPOINT,
        "ganguard.comparison.classes",
        "ganguard.audit.steps.by_class",
        "ganguard.audit.steps.drawn",
        "ganguard.audit.steps.target_files",
        "ganguard.audit.steps.yardstick_files",
        _HERE,
    ),
)
