"""Measure a substitute against the target, the reference split and its own purchase."""

from pathlib import Path

from torch import Tensor

from ganguard.audit.plan.adversary_work import MeasureInputs, MeasureSettings
from ganguard.audit.steps.bin_files import write_bins
from ganguard.audit.steps.by_class import Seen, read_class_yardsticks, save_by_class
from ganguard.audit.steps.call import Digests, Kind, StepCall
from ganguard.audit.steps.known_files import read_known
from ganguard.audit.steps.measure_chosen import compare_chosen
from ganguard.audit.steps.measurements import DRAWS, MEASURES, write_measurements
from ganguard.audit.steps.replay import FEWEST_REMEMBERED, read_features
from ganguard.audit.steps.substitute_files import draws_of
from ganguard.audit.steps.target_files import OPENS_CHECKPOINT
from ganguard.audit.steps.yardstick_files import Yardsticks
from ganguard.base.cache import content_key
from ganguard.base.grids import TILES, save_grid
from ganguard.comparison.compare import (
    around,
    by_itself,
    compare,
    compare_pixels,
    compare_with_training,
)
from ganguard.comparison.embedding import Embedding
from ganguard.comparison.published import load_published
from ganguard.results.records import Measurement

Call = StepCall[MeasureSettings, MeasureInputs[Path]]


def run_measure(call: Call) -> Digests:
    """Measure each draw of a substitute's images against a draw of the target's and the reference split.

    The first draw is also measured by itself, by its pixels, and beside what the substitute was trained on.
    """
    settings, inputs = call.settings, call.inputs
    embed, published = load_published(inputs.features, call.compute)
    yardsticks = Yardsticks.read(inputs.yardsticks)
    bought = read_features(inputs.replay, settings.bought) if inputs.replay else None
    drawn = draws_of(inputs.substitute, settings.samples, call.compute, settings.ask, seed=settings.seed)
    points = [balls.points for balls in (*yardsticks.draws, yardsticks.reference)]
    classes = read_class_yardsticks(inputs.yardsticks, points)
    measurements: list[Measurement] = []
    binned: list[dict[str, object]] = []
    for draw in range(DRAWS):
        images, labels = drawn(draw)
        balls = around(embed(images))
        probabilities = None if draw else embed.probabilities(images)
        of_target = yardsticks.draws[draw]
        measurements += compare("substitute", balls, of_target, "target", draw, published=published)
        measurements += yardsticks.to_real("substitute", balls, draw, published)
        if classes:
            seen = Seen.of(classes.names, balls.points, labels, probabilities)
            measurements += classes.compare("substitute", seen, draw)
        if draw == 0:
            natural = yardsticks.natural
            measurements += by_itself(
                "substitute",
                images,
                probabilities,
                natural,
                unscaled=published.unscaled(balls.points) if published else None,
            )
            measurements += compare_pixels("substitute", images, yardsticks.bins, "target")
            binned = write_bins(call.directory, yardsticks.train_bins, {"substitute": images})
            measurements += _beside_training(call, balls.points, embed, yardsticks, bought)
            save_grid(images[:TILES], call.directory)
            if classes:
                save_by_class(images, labels, classes.names, call.directory)
        call.progress(draw + 1, DRAWS, "measuring")
    if bought is not None:
        measurements += compare_chosen(inputs.substitute, bought, yardsticks)
    said = write_measurements(call.directory, measurements)
    return {"result": content_key(measurements=said, bins=binned)}


def _beside_training(
    call: Call, measured: Tensor, embed: Embedding, yardsticks: Yardsticks, bought: Tensor | None
) -> list[Measurement]:
    """Measure whether a substitute replays the images that it was trained on, bought and real ones.

    Args:
        call: the step.
        measured: features (N, D) of the substitute's images.
        embed: maps images to features.
        yardsticks: what copies are compared with.
        bought: features (M, D) of the purchase, or None.
    """
    found: list[Measurement] = []
    if bought is not None and len(bought) >= FEWEST_REMEMBERED:
        found += compare_with_training("substitute", measured, bought, yardsticks.draws[0].points)
    if call.inputs.known:
        held = embed(read_known(call.inputs.known)[0])
        found += compare_with_training("substitute", measured, held, yardsticks.reference.points, "known")
    return found


MEASURE = Kind(
    run_measure,
    code=(
        *MEASURES,
        "ganguard.comparison.bin_shares",
        "ganguard.results.bins",
        "ganguard.audit.steps.bin_files",
        *OPENS_CHECKPOINT,
        "ganguard.attacks.subsampling.refinement_files",
        "ganguard.comparison.published",
        "ganguard.data.parquet",
        "ganguard.queries.store",
        "ganguard.targets.protocol",
        "ganguard.comparison.classes",
        "ganguard.audit.steps.by_class",
        "ganguard.audit.steps.drawn",
        "ganguard.audit.steps.substitute_files",
        "ganguard.audit.steps.known_files",
        "ganguard.audit.steps.replay",
        "ganguard.audit.steps.yardstick_files",
        "ganguard.audit.steps.measure_chosen",
        "ganguard.attacks.sorted_fidelity",
        "ganguard.audit.steps.measure",
    ),
)
