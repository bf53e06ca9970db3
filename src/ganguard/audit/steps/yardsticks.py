"""Measure everything that copies are compared with: the target, the real images, noise and the floors."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from ganguard.audit.plan.ground_work import YardsticksInputs, YardsticksSettings
from ganguard.audit.steps.bin_files import write_bins
from ganguard.audit.steps.call import Digests, Kind, StepCall
from ganguard.audit.steps.class_yardsticks import measure_by_class
from ganguard.audit.steps.measurements import DRAWS, MEASURES, write_measurements
from ganguard.audit.steps.purchase import BUYS, NOT_FOLLOWED, buy_draws
from ganguard.audit.steps.real import load_real
from ganguard.audit.steps.target_files import open_target
from ganguard.audit.steps.yardstick_files import Yardsticks
from ganguard.base.cache import content_key
from ganguard.base.grids import save_grid
from ganguard.base.seeds import torch_generator
from ganguard.comparison.compare import (
    NIQE_IMAGES,
    around,
    by_itself,
    compare,
    compare_pixels,
    halvings,
    in_no_order,
    natural_model,
    pixel_bins,
)
from ganguard.comparison.published import load_published
from ganguard.data.splits import halves

HALVINGS = 8  # halvings of the auditor's draws; the floor is the mean of their distances
CHUNK = 1024  # images that are made and embedded at once


def run_yardsticks(call: StepCall[YardsticksSettings, YardsticksInputs[Path]]) -> Digests:
    """Buy the auditor's draws of the target, and measure the target, the floors and noise.

    The floors are the distances between two draws of the target, two halves of the real data, and its two
    splits.
    """
    real, samples = load_real(call.inputs.real), call.settings.samples
    embed, published = load_published(call.inputs.features, call.compute)
    noise_images = _noise(real.images)
    target = open_target(call.inputs.target, call.compute)
    bought = buy_draws(call, target, DRAWS, samples, call.settings.ask)
    draws = [draw.images for draw in bought]
    save_grid(draws[0], call.directory)
    everything = embed(real.images)
    held_out = real.images[in_no_order(real.reference)]
    one, other = halves(len(everything), real.labels)
    first, second, reference, noise, train, half, other_half = map(
        around,
        (
            *map(embed, draws),
            everything[real.reference],
            _in_chunks(lambda rows: embed(noise_images(rows)), samples),
            everything[real.train],
            everything[one],
            everything[other],
        ),
    )
    bins, natural = pixel_bins(draws[0]), natural_model(real.images[real.train])
    learnt = real.images[in_no_order(real.train)[:samples]]
    of_train = pixel_bins(learnt)
    yardsticks = Yardsticks((first, second), reference, train.points, bins, natural, of_train)
    compared = partial(compare, published=published)
    unscaled = published.unscaled if published else lambda _: None
    measurements = [
        *compared("target", second, first, "target"),
        *halvings(torch.cat([first.points, second.points]), HALVINGS),
        *yardsticks.to_real("target", first, 0, published),
        *yardsticks.to_real("target", second, 1, published),
        *compared("real", half, other_half, "reference"),
        *compared("train", train, reference, "reference"),
        *compared("noise", noise, first, "target"),
        *yardsticks.to_real("noise", noise, 0, published),
        *compare_pixels("target", draws[1], bins, "target"),
        *compare_pixels("noise", _in_chunks(noise_images, samples), bins, "target"),
        *by_itself(
            "target", draws[0], embed.probabilities(draws[0]), natural, unscaled=unscaled(first.points)
        ),
        *by_itself(
            "real", held_out, embed.probabilities(held_out), natural, unscaled=unscaled(reference.points)
        ),
        *by_itself("noise", noise_images(range(NIQE_IMAGES)), None, natural),
    ]
    points = [first.points, second.points, reference.points]
    of_classes, by_class = measure_by_class(
        call.directory, embed, target, bought, points, real, everything, call.settings.ask
    )
    measurements += of_classes
    digest = yardsticks.write(call.directory)
    said = write_measurements(call.directory, measurements)
    binned = write_bins(call.directory, of_train, {"train": learnt, "real": held_out, "target": draws[0]})
    parts = {"balls": digest, "measurements": said, "bins": binned}
    parts |= {"classes": by_class} if by_class else {}
    return {"result": content_key(**parts)}


def _in_chunks(make: Callable[[range], Tensor], count: int) -> Tensor:
    """Return the tensors (n, …) that `make` returns for ranges of the index, concatenated to (count, …)."""
    return torch.cat([make(range(start, min(start + CHUNK, count))) for start in range(0, count, CHUNK)])


def _noise(like: Tensor) -> Callable[[range], Tensor]:
    """Return a function from a range to images of independent uniform bytes, each shaped as those of `like`.

    The images depend on where the range begins.
    """
    shape = tuple(like.shape[1:])

    def make(rows: range) -> Tensor:
        generator = torch_generator(0, "noise", str(rows.start))
        return torch.randint(0, 256, (len(rows), *shape), dtype=torch.uint8, generator=generator)

    return make


YARDSTICKS = Kind(
    run_yardsticks,
    code=(
        *BUYS,
        *MEASURES,
        "ganguard.comparison.bin_shares",
        "ganguard.results.bins",
        "ganguard.audit.steps.bin_files",
        "ganguard.comparison.published",
        "ganguard.data.splits",
        "ganguard.audit.steps.real",
        "ganguard.comparison.classes",
        "ganguard.audit.steps.by_class",
        "ganguard.audit.steps.class_yardsticks",
        "ganguard.audit.steps.drawn",
        "ganguard.audit.steps.yardstick_files",
        "ganguard.audit.steps.yardsticks",
    ),
    not_followed=NOT_FOLLOWED,
)
