"""The kinds of steps that measure: the yardsticks, and each purchase and each substitute against them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from ganguard.attacks.subsampling.refinement_files import KEPT
from ganguard.audit.buying import auditor_store, open_metered, open_to_adversary, queries_an_image
from ganguard.audit.comparisons import (
    NEIGHBOURS,
    NIQE_IMAGES,
    by_itself,
    compare,
    compare_pixels,
    compare_with_training,
    frechet_record,
    in_no_order,
    natural_model,
    pixel_bins,
)
from ganguard.audit.embedding import load_embedding
from ganguard.audit.pictures import TILES, save_grid
from ganguard.audit.results import Measurement
from ganguard.audit.steps import Digests, StepCall, load_real, open_target, read_known
from ganguard.base.cache import content_key, tensor_digest, write_json, write_tensors
from ganguard.base.seeds import derived_seed, torch_generator
from ganguard.data.splits import halves
from ganguard.metrics import Balls, NiqeModel
from ganguard.metrics.ndb_jsd import Bins
from ganguard.queries.harvest import harvest
from ganguard.targets.checkpoint import CheckpointTarget

MEASUREMENTS = "measurements.json"
DRAWS = 2  # independent sets of images that each generator is measured by
HALVINGS = 8  # of the auditor's draws of the target, which the floor is the mean of
_BALLS = "balls.safetensors"
_BOUGHT = "bought.safetensors"
_NATURAL = "niqe.safetensors"
FEWEST_REMEMBERED = 2  # bought images, beside which memorisation is measured
CHUNK = 1024  # images that are made and turned into features at once


def run_yardsticks(call: StepCall) -> Digests:
    """Buy the auditor's draws of the target, take the features of everything copies are compared with, and
    measure the floors (two draws, two halves of the real data, its two splits), the target itself, and
    noise."""
    real, samples = load_real(call.inputs["real"]), int(call.settings["samples"])
    embed, noise_images = load_embedding(call.inputs["features"], call.compute), _noise(real.images)
    target = open_target(call.inputs["target"], call.compute)
    stores = [auditor_store(call.audit, target, draw) for draw in range(DRAWS)]
    natural = natural_model(real.images[real.train])
    if natural is not None:
        natural.save(call.directory / _NATURAL)
    draws = [
        harvest(open_metered(call, store, target, samples), store, samples, call.progress) for store in stores
    ]
    save_grid(draws[0], call.directory)
    everything = embed(real.images)
    held_out = real.images[in_no_order(real.reference)]
    one, other = halves(len(everything), real.labels)
    first, second, reference, noise, train, half, other_half = (
        Balls.around(features, k=NEIGHBOURS)
        for features in (
            *map(embed, draws),
            everything[real.reference],
            _in_chunks(lambda rows: embed(noise_images(rows)), samples),
            everything[real.train],
            everything[one],
            everything[other],
        )
    )
    bins = pixel_bins(draws[0])
    measurements = [
        *compare("target", second, first, "target"),
        *_halvings(torch.cat([first.points, second.points])),
        *(
            m
            for draw, balls in enumerate((first, second))
            for m in compare("target", balls, reference, "reference", draw)
        ),
        *compare("real", half, other_half, "reference"),
        *compare("train", train, reference, "reference"),
        *compare("noise", noise, first, "target"),
        *compare("noise", noise, reference, "reference"),
        *compare_pixels("target", draws[1], bins, "target"),
        *compare_pixels("noise", _in_chunks(noise_images, samples), bins, "target"),
        *by_itself("target", draws[0], embed.probabilities(draws[0]), natural),
        *by_itself("real", held_out, embed.probabilities(held_out), natural),
        *by_itself("noise", noise_images(range(NIQE_IMAGES)), None, natural),
    ]
    balls = {"target/0": first, "target/1": second, "reference": reference}
    tensors = {
        f"{name}/{part}": getattr(b, part)
        for name, b in balls.items()
        for part in ("points", "squared_radii")
    }
    if bins is not None:
        tensors |= {f"bins/{part}": tensor for part, tensor in vars(bins).items()}
    write_tensors(call.directory / _BALLS, tensors)
    return {
        "result": content_key(
            balls=tensor_digest(tensors), measurements=write_measurements(call.directory, measurements)
        )
    }


def _halvings(pool: Tensor) -> list[Measurement]:
    """The distance of two draws again and again: random halvings of all that the auditor drew, (2 N, D), as
    draws 1, 2 ...

    One pair of draws says little of what distance to expect; halvings of the same images say much more, and
    buy nothing.
    """
    found: list[Measurement] = []
    half = len(pool) // 2
    for draw in range(1, HALVINGS):
        order = torch.randperm(2 * half, generator=torch_generator(draw, "halving"))
        found.append(frechet_record("target", pool[order[:half]], pool[order[half:]], "target", draw))
    return found


def run_measure(call: StepCall) -> Digests:
    """Every metric of one substitute: each draw of its images against another draw of the target's and
    against the reference split; the first by itself, by its pixels, and beside what was bought."""
    samples, seed, budget = (int(call.settings[name]) for name in ("samples", "seed", "query_budget"))
    embed = load_embedding(call.inputs["features"], call.compute)
    yardsticks = load_file(call.inputs["yardsticks"] / _BALLS)
    bought = load_file(call.inputs["replay"] / _BOUGHT)["features"][:budget] if budget else None
    copy = CheckpointTarget(checkpoint=str(call.inputs["substitute"] / "checkpoint")).load(call.compute)
    natural = load_natural(call.inputs["yardsticks"])
    measurements: list[Measurement] = []
    for draw in range(DRAWS):
        images = copy.sample(range(samples), seed=derived_seed(seed, "measured", str(draw)))
        balls = Balls.around(embed(images), k=NEIGHBOURS)
        of_target = _balls(yardsticks, f"target/{draw}")
        measurements += compare("substitute", balls, of_target, "target", draw)
        measurements += compare("substitute", balls, _balls(yardsticks, "reference"), "reference", draw)
        if draw == 0:
            measurements += by_itself("substitute", images, embed.probabilities(images), natural)
            measurements += compare_pixels("substitute", images, _bins(yardsticks), "target")
            if bought is not None and budget >= FEWEST_REMEMBERED:
                measurements += compare_with_training("substitute", balls.points, bought, of_target.points)
            if "known" in call.inputs:
                held = embed(read_known(call.inputs["known"])[0])
                reference = _balls(yardsticks, "reference").points
                measurements += compare_with_training("substitute", balls.points, held, reference, "known")
            save_grid(images[:TILES], call.directory)
        call.progress(draw + 1, DRAWS, "measuring")
    if bought is not None:
        measurements += compare_refined(call.inputs["substitute"], bought, _balls(yardsticks, "reference"))
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


def run_replay(call: StepCall) -> Digests:
    """What the bought images themselves would measure, by budget: where a copy stands that only replays them.
    And how near
    fresh images of the target come to them: where a copy stands that remembers none."""
    embed = load_embedding(call.inputs["features"], call.compute)
    yardsticks = load_file(call.inputs["yardsticks"] / _BALLS)
    budgets, seed = [int(budget) for budget in call.settings["budgets"]], int(call.settings["seed"])
    price = queries_an_image(call)
    target, store = open_to_adversary(call, max(budgets))
    images = harvest(target, store, max(budgets) // price, call.progress)  # what was lost comes again
    features, probabilities = embed(images), embed.probabilities(images)
    measurements: list[Measurement] = []
    for budget in budgets:
        whose, bought = {"query_budget": budget, "seed": seed}, features[: budget // price]
        if len(bought) >= FEWEST_REMEMBERED:
            drawn = [_balls(yardsticks, f"target/{draw}").points for draw in (1, 0)]
            measurements += [
                m.model_copy(update=whose)
                for m in compare_with_training("target", drawn[0], bought, drawn[1])
            ]
        if len(bought) <= NEIGHBOURS:
            continue
        balls = Balls.around(bought, k=NEIGHBOURS)
        found = compare("purchase", balls, _balls(yardsticks, "reference"), "reference")
        for draw in range(DRAWS):
            found += compare("purchase", balls, _balls(yardsticks, f"target/{draw}"), "target", draw)
        measurements += [m.model_copy(update=whose) for m in found]
    tensors = {"features": features}
    if probabilities is not None:
        tensors |= {"classes": probabilities.argmax(1), "class_count": torch.tensor([probabilities.shape[1]])}
    write_tensors(call.directory / _BOUGHT, tensors)
    parts = {
        str(budget): tensor_digest({name: rows[: budget // price] for name, rows in tensors.items()})
        for budget in budgets
    }
    return {"result": content_key(measurements=write_measurements(call.directory, measurements)), **parts}


def read_classes(replay: Path, budget: int) -> tuple[Tensor, int] | None:
    """Of a replay step: the class (N,) int64 of each image that `budget` buys, as the feature network sees
    it, and how many classes it knows; None where it knows none."""
    tensors = load_file(replay / _BOUGHT)
    return (tensors["classes"][:budget], int(tensors["class_count"])) if "classes" in tensors else None


def load_natural(directory: Path) -> NiqeModel | None:
    """Of a yardsticks step: the NIQE model of the real images; None where they allow none."""
    return NiqeModel.load(directory / _NATURAL) if (directory / _NATURAL).is_file() else None


def _in_chunks(make: Callable[[range], Tensor], count: int) -> Tensor:
    """What `make` gives for ranges of the index, together, (count, …)."""
    return torch.cat([make(range(start, min(start + CHUNK, count))) for start in range(0, count, CHUNK)])


def _balls(tensors: dict[str, Tensor], name: str) -> Balls:
    return Balls(tensors[f"{name}/points"], tensors[f"{name}/squared_radii"], NEIGHBOURS)


def read_balls(directory: Path, name: str) -> Balls:
    """Of a yardsticks step: "reference", "target/0" or "target/1"."""
    return _balls(load_file(directory / _BALLS), name)


def _bins(tensors: dict[str, Tensor]) -> Bins | None:
    found = {part.partition("/")[2]: tensor for part, tensor in tensors.items() if part.startswith("bins/")}
    return Bins(**found) if found else None


def _noise(like: Tensor) -> Callable[[range], Tensor]:
    """Images of independent uniform bytes, of the shape of `like` (N, C, H, W); a chunk depends on where it
    begins."""
    shape = tuple(like.shape[1:])

    def make(rows: range) -> Tensor:
        generator = torch_generator(0, "noise", str(rows.start))
        return torch.randint(0, 256, (len(rows), *shape), dtype=torch.uint8, generator=generator)

    return make


def write_measurements(directory: Path, measurements: list[Measurement]) -> list[dict[str, Any]]:
    """Write measurements.json, and return what it says."""
    dumped = [measurement.model_dump(mode="json") for measurement in measurements]
    write_json(directory / MEASUREMENTS, dumped)
    return dumped


def read_measurements(directory: Path) -> list[Measurement]:
    """The measurements that a step of this file wrote."""
    return [Measurement.model_validate(row) for row in json.loads((directory / MEASUREMENTS).read_text())]
