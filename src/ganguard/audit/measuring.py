"""The two kinds of steps that measure: the yardsticks, and each substitute against them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from ganguard.architectures.networks import parse_architecture, require_buildable
from ganguard.audit.pictures import TILES, save_grid
from ganguard.audit.results import Against, Measurement, Subject
from ganguard.audit.steps import Digests, StepCall, auditor_store, load_real, open_metered, open_target
from ganguard.base.cache import content_key, tensor_digest, write_json
from ganguard.base.compute import Compute, use_threads
from ganguard.base.errors import DataError, MetricError
from ganguard.base.images import shape_of
from ganguard.base.seeds import derived_seed, torch_generator
from ganguard.data.splits import halves
from ganguard.metrics import frechet_distance, precision_recall_density_coverage
from ganguard.metrics.features.network import Standardisation, extract, load_features, parse_features, require_side
from ganguard.queries.harvest import harvest
from ganguard.targets.checkpoint import CheckpointTarget

MEASUREMENTS = "measurements.json"
NEIGHBOURS = 5  # k of precision, recall, density and coverage
CHUNK = 1024  # images that are made and turned into features at once


def run_yardsticks(call: StepCall) -> Digests:
    """Buy the auditor's two draws of the target, take the features of everything copies are compared with, and measure the
    floors (two draws, two halves of the real data, its two splits), the target itself, and noise."""
    real, samples = load_real(call.inputs["real"]), int(call.settings["samples"])
    embed = load_embedding(call.inputs["features"], call.compute)
    target = open_target(call.inputs["target"], call.compute)
    stores = [auditor_store(call.audit, target, draw) for draw in (0, 1)]
    draws = [harvest(open_metered(call, store, target, samples), store, samples, call.progress) for store in stores]
    save_grid(draws[0], call.directory)
    first, second = embed(draws[0]), embed(draws[1])
    reference, everything = embed(real.images[real.reference]), embed(real.images)
    noise = embed_in_chunks(embed, _noise(real.images), samples)
    one, other = halves(len(everything))
    measurements = [
        *compare("target", second, first, "target"),
        *compare("target", first, reference, "reference"),
        *compare("real", everything[one], everything[other], "reference"),
        *compare("train", everything[real.train], reference, "reference"),
        *compare("noise", noise, first, "target"),
        *compare("noise", noise, reference, "reference"),
    ]
    features = {"target": first, "reference": reference}
    save_file(features, call.directory / "features.safetensors")
    _write(call.directory, measurements)
    return {"result": content_key(features=tensor_digest(features), measurements=_dump(measurements))}


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
    """Fidelity and accuracy, precision, recall, density and coverage of one substitute, for each draw of its images."""
    samples, seed = int(call.settings["samples"]), int(call.settings["seed"])
    embed = load_embedding(call.inputs["features"], call.compute)
    yardsticks = load_file(call.inputs["yardsticks"] / "features.safetensors")
    checkpoint = CheckpointTarget(checkpoint=str(call.inputs["substitute"] / "checkpoint")).load(call.compute)
    measurements: list[Measurement] = []
    draws = int(call.settings["draws"])
    for draw in range(draws):
        draw_seed = derived_seed(seed, "measured", str(draw))
        features = embed_in_chunks(embed, lambda rows, s=draw_seed: checkpoint.sample(rows, seed=s), samples)
        for against in ("target", "reference"):
            measurements += compare("substitute", features, yardsticks[against], against, draw)
        call.progress(draw + 1, draws, "measuring")
    save_grid(checkpoint.sample(range(TILES), seed=derived_seed(seed, "measured", "0")), call.directory)
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


def compare(subject: Subject, features: Tensor, against: Tensor, name: Against, draw: int = 0) -> list[Measurement]:
    """Every metric of features (N, D) against features (M, D), as records that do not say yet whose attack it was."""
    neighbours = precision_recall_density_coverage(against, features, k=NEIGHBOURS)
    values = {
        "frechet_distance": frechet_distance(features, against),
        "precision": neighbours.precision,
        "recall": neighbours.recall,
        "density": neighbours.density,
        "coverage": neighbours.coverage,
    }
    return [
        Measurement(
            subject=subject,
            draw=draw,
            metric=metric,
            against=name,
            value=value,
            images=len(features),
            compared=len(against),
        )
        for metric, value in values.items()
    ]


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
        return {m.metric: m.value for m in compare("substitute", one, other, "target")}


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
