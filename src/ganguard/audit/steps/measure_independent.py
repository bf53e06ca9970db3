"""Measure an honest model, which never saw an answer of the target."""

from pathlib import Path

from ganguard.audit.plan.independent_work import (
    STREAM,
    MeasureIndependentInputs,
    MeasureIndependentSettings,
)
from ganguard.audit.steps.by_class import Seen, read_class_yardsticks
from ganguard.audit.steps.call import Digests, Kind, StepCall
from ganguard.audit.steps.drawn import drawn
from ganguard.audit.steps.measurements import DRAWS, MEASURES, write_measurements
from ganguard.audit.steps.target_files import OPENS_CHECKPOINT, trained_here
from ganguard.audit.steps.yardstick_files import Yardsticks
from ganguard.base.cache import content_key
from ganguard.base.grids import TILES, save_grid
from ganguard.base.seeds import derived_seed
from ganguard.comparison.compare import around, by_itself, compare, compare_pixels
from ganguard.comparison.embedding import load_embedding
from ganguard.results.records import Measurement


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
        balls = around(embed(images))
        probabilities = None if draw else embed.probabilities(images)
        measurements += compare("independent", balls, yardsticks.draws[draw], "target", draw)
        measurements += yardsticks.to_real("independent", balls, draw)
        if by_class:
            seen = Seen.of(by_class.names, balls.points, labels, probabilities)
            measurements += by_class.compare("independent", seen, draw)
        if draw == 0:
            measurements += by_itself("independent", images, probabilities, yardsticks.natural)
            measurements += compare_pixels("independent", images, yardsticks.bins, "target")
            save_grid(images[:TILES], call.directory)
        call.progress(draw + 1, DRAWS, "measuring")
    return {"result": content_key(measurements=write_measurements(call.directory, measurements))}


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
        "ganguard.audit.steps.measure_independent",
    ),
)
