"""The kinds of steps that measure: the yardsticks, and each purchase and each substitute against them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from ganguard.architectures.networks import parse_architecture, require_buildable
from ganguard.audit.pictures import TILES, save_grid
from ganguard.audit.results import Against, Measurement, Subject
from ganguard.audit.steps import Digests, StepCall, adversary_store, auditor_store, load_real, open_metered, open_target
from ganguard.base.cache import content_key, tensor_digest, write_json, write_tensors
from ganguard.base.compute import Compute, use_threads
from ganguard.base.errors import DataError, MetricError
from ganguard.base.images import shape_of
from ganguard.base.seeds import derived_seed, torch_generator
from ganguard.data.splits import halves
from ganguard.metrics import Balls, frechet_distance, precision_recall_density_coverage
from ganguard.metrics.features.network import Standardisation, extract, load_features, parse_features, require_side
from ganguard.queries.harvest import harvest
from ganguard.targets.checkpoint import CheckpointTarget

MEASUREMENTS = "measurements.json"
NEIGHBOURS = 5  # k of precision, recall, density and coverage
DRAWS = 2  # independent sets of images that each generator is measured by
HALVINGS = 8  # of the auditor's draws of the target, which the floor is the mean of
_BALLS = "balls.safetensors"
CHUNK = 1024  # images that are made and turned into features at once


def run_yardsticks(call: StepCall) -> Digests:
    """Buy the auditor's draws of the target, take the features of everything copies are compared with, and measure the floors
    (two draws, two halves of the real data, its two splits), the target itself, and noise."""
    real, samples = load_real(call.inputs["real"]), int(call.settings["samples"])
    embed = load_embedding(call.inputs["features"], call.compute)
    target = open_target(call.inputs["target"], call.compute)
    stores = [auditor_store(call.audit, target, draw) for draw in range(DRAWS)]
    draws = [harvest(open_metered(call, store, target, samples), store, samples, call.progress) for store in stores]
    save_grid(draws[0], call.directory)
    everything = embed(real.images)
    one, other = halves(len(everything), real.labels)
    first, second, reference, noise, train, half, other_half = (
        Balls.around(features, k=NEIGHBOURS)
        for features in (
            *map(embed, draws),
            everything[real.reference],
            embed_in_chunks(embed, _noise(real.images), samples),
            everything[real.train],
            everything[one],
            everything[other],
        )
    )
    measurements = [
        *compare("target", second, first, "target"),
        *_halvings(torch.cat([first.points, second.points])),
        *(m for draw, balls in enumerate((first, second)) for m in compare("target", balls, reference, "reference", draw)),
        *compare("real", half, other_half, "reference"),
        *compare("train", train, reference, "reference"),
        *compare("noise", noise, first, "target"),
        *compare("noise", noise, reference, "reference"),
    ]
    balls = {"target/0": first, "target/1": second, "reference": reference}
    tensors = {f"{name}/{part}": getattr(b, part) for name, b in balls.items() for part in ("points", "squared_radii")}
    write_tensors(call.directory / _BALLS, tensors)
    _write(call.directory, measurements)
    return {"result": content_key(balls=tensor_digest(tensors), measurements=_dump(measurements))}


def _halvings(pool: Tensor) -> list[Measurement]:
    """The distance of two draws again and again: random halvings of all that the auditor drew, (2 N, D), as draws 1, 2 ...

    One pair of draws says little of what distance to expect; halvings of the same images say much more, and buy nothing.
    """
    found: list[Measurement] = []
    half = len(pool) // 2
    for draw in range(1, HALVINGS):
        order = torch.randperm(2 * half, generator=torch_generator(draw, "halving"))
        distance = frechet_distance(pool[order[:half]], pool[order[half:]])
        found.append(_measurement("target", "frechet_distance", "target", distance, half, half, draw))
    return found


def run_fit(call: StepCall) -> Digests:
    """Refuse what could not be trained or measured, before anything is bought."""
    real, target = load_real(call.inputs["real"]), open_target(call.inputs["target"], call.compute)
    if target.image_shape != (wanted := shape_of(real.images)):
        raise DataError(
            f"the target makes images {target.image_shape} (C, H, W), the real ones are {wanted}. "
            f"Set `size` and `channels` of the real data to the target's."
        )
    require_side(real.images)
    for architecture in call.settings["architectures"]:
        require_buildable(parse_architecture(architecture), target.image_shape)
    samples = int(call.settings["samples"])
    if min(samples, len(real.reference)) <= NEIGHBOURS:
        raise MetricError(
            f"each measured set must hold at least {NEIGHBOURS + 1} images; samples is {samples} and the reference split "
            f"(30 % of the real images) {len(real.reference)}. Raise samples, or give more real images."
        )
    return {"result": ""}


def run_measure(call: StepCall) -> Digests:
    """Fidelity and accuracy, precision, recall, density and coverage of one substitute: each draw of its images against
    another draw of the target's."""
    samples, seed = int(call.settings["samples"]), int(call.settings["seed"])
    embed = load_embedding(call.inputs["features"], call.compute)
    yardsticks = load_file(call.inputs["yardsticks"] / _BALLS)
    checkpoint = CheckpointTarget(checkpoint=str(call.inputs["substitute"] / "checkpoint")).load(call.compute)
    measurements: list[Measurement] = []
    for draw in range(DRAWS):
        draw_seed = derived_seed(seed, "measured", str(draw))
        features = embed_in_chunks(embed, lambda rows, s=draw_seed: checkpoint.sample(rows, seed=s), samples)
        balls = Balls.around(features, k=NEIGHBOURS)
        measurements += compare("substitute", balls, _balls(yardsticks, f"target/{draw}"), "target", draw)
        measurements += compare("substitute", balls, _balls(yardsticks, "reference"), "reference", draw)
        call.progress(draw + 1, DRAWS, "measuring")
    save_grid(checkpoint.sample(range(TILES), seed=derived_seed(seed, "measured", "0")), call.directory)
    _write(call.directory, measurements)
    return {"result": content_key(measurements=_dump(measurements))}


def run_replay(call: StepCall) -> Digests:
    """What the bought images themselves would measure, by budget: where a copy stands that only replays them."""
    embed = load_embedding(call.inputs["features"], call.compute)
    yardsticks = load_file(call.inputs["yardsticks"] / _BALLS)
    budgets, seed = [int(budget) for budget in call.settings["budgets"]], int(call.settings["seed"])
    target = open_target(call.inputs["target"], call.compute)
    store, most = adversary_store(call.audit, target, seed, call.settings["codes"]), max(budgets)
    features = embed(harvest(open_metered(call, store, target, most), store, most, call.progress))  # what was lost comes again
    measurements: list[Measurement] = []
    for budget in budgets:
        if budget <= NEIGHBOURS:
            continue
        balls = Balls.around(features[:budget], k=NEIGHBOURS)
        found = compare("purchase", balls, _balls(yardsticks, "reference"), "reference")
        for draw in range(DRAWS):
            found += compare("purchase", balls, _balls(yardsticks, f"target/{draw}"), "target", draw)
        measurements += [m.model_copy(update={"query_budget": budget, "seed": seed}) for m in found]
    _write(call.directory, measurements)
    return {"result": content_key(measurements=_dump(measurements))}


Embedding = Callable[[Tensor], Tensor]


def load_embedding(directory: Path, compute: Compute) -> Embedding:
    """images (N, C, H, W) uint8 -> standardised features (N, D), by the network that a features step wrote to `directory`."""
    settings = parse_features(json.loads((directory / "features.json").read_text())["settings"])
    scale = load_file(directory / "scale.safetensors")
    standardise = Standardisation(scale["mean"], scale["std"])

    def embed(images: Tensor) -> Tensor:
        network = load_features(settings, directory, images.shape[1])
        return standardise(extract(network, images, compute))

    return embed


def embed_in_chunks(embed: Embedding, make: Callable[[range], Tensor], count: int) -> Tensor:
    """Features (count, D) of the images that `make` gives for ranges of their index, never holding more than a chunk."""
    chunks = [range(start, min(start + CHUNK, count)) for start in range(0, count, CHUNK)]
    return torch.cat([embed(make(chunk)) for chunk in chunks])


def _balls(tensors: dict[str, Tensor], name: str) -> Balls:
    return Balls(tensors[f"{name}/points"], tensors[f"{name}/squared_radii"], NEIGHBOURS)


def compare(subject: Subject, measured: Balls, against: Balls, name: Against, draw: int = 0) -> list[Measurement]:
    """Every metric of one set's features against another's, as records that do not say yet whose attack it was."""
    neighbours = precision_recall_density_coverage(against, measured, k=NEIGHBOURS)
    values = {
        "frechet_distance": frechet_distance(measured.points, against.points),
        "precision": neighbours.precision,
        "recall": neighbours.recall,
        "density": neighbours.density,
        "coverage": neighbours.coverage,
    }
    sizes = len(measured.points), len(against.points)
    return [_measurement(subject, metric, name, value, *sizes, draw) for metric, value in values.items()]


def _measurement(
    subject: Subject, metric: str, against: Against, value: float, images: int, compared: int, draw: int
) -> Measurement:
    return Measurement(
        subject=subject, draw=draw, metric=metric, against=against, value=value, images=images, compared=compared
    )


def measure_sets(a: Tensor, b: Tensor, features: str, compute: Compute) -> dict[str, float]:
    """Every metric of images a (N, C, H, W) uint8 against images b (M, C, H, W) uint8.

    features: the directory of an audit's features, or the name of a network that needs no training, scaled by b.
    Raises InputError where the two sets do not fit each other or the features.
    """
    if shape_of(a) != shape_of(b):
        raise MetricError(f"images of {shape_of(a)} and {shape_of(b)} (C, H, W) cannot be compared. Set --size for folders.")
    if (Path(features) / "features.json").is_file():
        embed = load_embedding(Path(features), compute)
        one, other = embed(a), embed(b)
    else:
        settings = parse_features(features)
        if settings.learns_labels:
            raise MetricError(f"{features} must be trained first. Give the `features` directory of an audit that used it.")
        network = load_features(settings, Path(), a.shape[1])
        one, other = (extract(network, images, compute) for images in (a, b))
        scale = Standardisation.fit(other)
        one, other = scale(one), scale(other)
    with use_threads(compute.threads):
        balls, others = Balls.around(one, "A", k=NEIGHBOURS), Balls.around(other, "B", k=NEIGHBOURS)
        return {m.metric: m.value for m in compare("substitute", balls, others, "target")}


def _noise(like: Tensor) -> Callable[[range], Tensor]:
    """Images of independent uniform bytes, of the shape of `like` (N, C, H, W); a chunk depends on where it begins."""
    shape = tuple(like.shape[1:])

    def make(rows: range) -> Tensor:
        generator = torch_generator(0, "noise", str(rows.start))
        return torch.randint(0, 256, (len(rows), *shape), dtype=torch.uint8, generator=generator)

    return make


def _dump(measurements: list[Measurement]) -> list[dict[str, Any]]:
    return [measurement.model_dump(mode="json") for measurement in measurements]


def _write(directory: Path, measurements: list[Measurement]) -> None:
    write_json(directory / MEASUREMENTS, _dump(measurements))


def read_measurements(directory: Path) -> list[Measurement]:
    """The measurements that a step of this file wrote."""
    return [Measurement.model_validate(row) for row in json.loads((directory / MEASUREMENTS).read_text())]
