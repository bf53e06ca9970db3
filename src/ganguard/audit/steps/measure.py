"""Measure a substitute against the target, the reference split and its own purchase."""

from pathlib import Path

from safetensors.torch import load_file
from torch import Tensor

from ganguard.attacks.subsampling.refinement_files import KEPT
from ganguard.audit.steps.call import Digests, StepCall
from ganguard.audit.steps.known import read_known
from ganguard.audit.steps.measurements import DRAWS, write_measurements
from ganguard.audit.steps.replay import BOUGHT, FEWEST_REMEMBERED
from ganguard.audit.steps.yardsticks import BALLS, balls_of, bins_of, load_natural
from ganguard.base.cache import content_key
from ganguard.base.grids import TILES, save_grid
from ganguard.base.seeds import derived_seed
from ganguard.comparison.compare import NEIGHBOURS, by_itself, compare, compare_pixels, compare_with_training
from ganguard.comparison.embedding import load_embedding
from ganguard.metrics import Balls
from ganguard.results.records import Measurement
from ganguard.targets.checkpoint import CheckpointTarget


def run_measure(call: StepCall) -> Digests:
    """Every metric of one substitute: each draw of its images against another draw of the target's and
    against the reference split; the first by itself, by its pixels, and beside what was bought."""
    samples, seed, budget = (int(call.settings[name]) for name in ("samples", "seed", "query_budget"))
    embed = load_embedding(call.inputs["features"], call.compute)
    yardsticks = load_file(call.inputs["yardsticks"] / BALLS)
    bought = load_file(call.inputs["replay"] / BOUGHT)["features"][:budget] if budget else None
    copy = CheckpointTarget(checkpoint=str(call.inputs["substitute"] / "checkpoint")).load(call.compute)
    natural = load_natural(call.inputs["yardsticks"])
    measurements: list[Measurement] = []
    for draw in range(DRAWS):
        images = copy.sample(range(samples), seed=derived_seed(seed, "measured", str(draw)))
        balls = Balls.around(embed(images), k=NEIGHBOURS)
        of_target = balls_of(yardsticks, f"target/{draw}")
        measurements += compare("substitute", balls, of_target, "target", draw)
        measurements += compare("substitute", balls, balls_of(yardsticks, "reference"), "reference", draw)
        if draw == 0:
            measurements += by_itself("substitute", images, embed.probabilities(images), natural)
            measurements += compare_pixels("substitute", images, bins_of(yardsticks), "target")
            if bought is not None and budget >= FEWEST_REMEMBERED:
                measurements += compare_with_training("substitute", balls.points, bought, of_target.points)
            if "known" in call.inputs:
                held = embed(read_known(call.inputs["known"])[0])
                reference = balls_of(yardsticks, "reference").points
                measurements += compare_with_training("substitute", balls.points, held, reference, "known")
            save_grid(images[:TILES], call.directory)
        call.progress(draw + 1, DRAWS, "measuring")
    if bought is not None:
        measurements += compare_refined(call.inputs["substitute"], bought, balls_of(yardsticks, "reference"))
    return {"result": content_key(measurements=write_measurements(call.directory, measurements))}


def compare_refined(substitute: Path, bought: Tensor, reference: Balls) -> list[Measurement]:
    """Did refining help? The refined set of a substitute's step, and what Algorithm 1 as it stands would have
    kept, against the reference split. bought: features (N, D) of the purchase. Nothing for a substitute that
    refines nothing."""
    if not (substitute / KEPT).is_file():
        return []
    kept = load_file(substitute / KEPT)
    found: list[Measurement] = []
    for subject, rows in (("refined", kept["kept"]), ("plain", kept.get("plain"))):
        if rows is None or len(rows) <= NEIGHBOURS:
            continue
        balls = Balls.around(bought[rows], k=NEIGHBOURS)
        found += compare(subject, balls, reference, "reference")  # pyright: ignore[reportArgumentType]
    return found
