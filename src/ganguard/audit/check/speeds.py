"""The speeds that an estimate is made of: measured here, on noise or on the images that a check opened."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from ganguard.audit.check.pace import (
    classifier_pace,
    comparing_pace,
    embedding_pace,
    pace_of,
    recipe_key,
)
from ganguard.audit.check.work import Work
from ganguard.base.cache import write_json
from ganguard.base.compute import Compute
from ganguard.base.errors import DataError
from ganguard.base.images import colours_of
from ganguard.base.seeds import torch_generator
from ganguard.base.settings import Positive, Settings, read_record
from ganguard.metrics.features.classifier import Classifier
from ganguard.metrics.features.network import FeatureNetwork, FeatureSettings, load_features

FILE = "check.json"
IMAGES = 64  # that speeds are measured with
CLASSES = 10  # of a classifier that is only timed

Seconds = Annotated[float, Field(ge=0)]


class TrainingSpeed(Settings):
    """The seconds of one step of a training, and of one image that its G makes."""

    step: Seconds
    image: Seconds


class Speeds(Settings):
    """Seconds that pieces of work take; those that are None are not known.

    Attributes:
        device: type of the device that they were measured on.
        threads: of each process.
        image_shape: (C, H, W) of the images.
        real_images: how many real images there are; None if they were not read.
        trainings: by `recipe_key`.
        drawing: one image of the audited target.
        embedding: one image that goes through the feature network.
        dimensions: how many features that gives.
        classifying: one update of the classifier.
        comparing: one comparison of two sets.
        samples: images of each of these sets.
    """

    device: str
    threads: Positive
    image_shape: tuple[Positive, Positive, Positive]
    real_images: Positive | None = None
    trainings: dict[str, TrainingSpeed] = Field(default_factory=dict)
    drawing: Seconds | None = None
    embedding: Seconds | None = None
    dimensions: Positive = 64
    classifying: Seconds | None = None
    comparing: Seconds | None = None
    samples: Positive = 1


def read_speeds(directory: Path, compute: Compute) -> Speeds | None:
    """Return the speeds that a check noted in an audit's directory, or None if there are none of this
    machine's device and threads."""
    try:
        found = read_record(directory / FILE, Speeds, DataError)
    except DataError:
        return None
    here = compute.torch_device().type, compute.threads
    return found if (found.device, found.threads) == here else None


def write_speeds(directory: Path, speeds: Speeds) -> None:
    """Note speeds in an audit's directory."""
    write_json(directory / FILE, speeds.model_dump(mode="json"))


def noise(image_shape: tuple[int, int, int], count: int = IMAGES) -> Tensor:
    """Return images of noise, (count, C, H, W) uint8."""
    generator = torch_generator(0, "speeds")
    return torch.randint(0, 256, (count, *image_shape), dtype=torch.uint8, generator=generator)


def with_trainings(
    speeds: Speeds, works: Iterable[Work], compute: Compute, say: Callable[[str], None]
) -> Speeds:
    """Return speeds with the pace of every training of some work. Those that are known are not measured.

    say: is told what is being measured.
    """
    found = dict(speeds.trainings)
    for training in [training for work in works for training, _ in work.trainings]:
        key = recipe_key(training)
        if key not in found:
            say(f"timing {training.architecture.kind}")
            step, image = pace_of(training, noise(speeds.image_shape, 2 * training.batch_size), compute)
            found[key] = TrainingSpeed(step=step, image=image)
    return speeds.model_copy(update={"trainings": found})


def with_features(
    speeds: Speeds, settings: FeatureSettings, network: FeatureNetwork, compute: Compute
) -> Speeds:
    """Return speeds with those of a feature network, and of comparing its features."""
    images = noise(speeds.image_shape)
    embedding, dimensions = embedding_pace(network, images, compute)
    learns = isinstance(settings, Classifier)
    return speeds.model_copy(
        update={
            "embedding": embedding,
            "dimensions": dimensions,
            "classifying": classifier_pace(network, images, compute) if learns else None,
        }
    )


def with_comparing(speeds: Speeds, samples: int, compute: Compute) -> Speeds:
    """Return speeds with that of comparing two sets of so many images, unless it is known."""
    if speeds.comparing is not None and speeds.samples == samples:
        return speeds
    comparing = comparing_pace(samples, speeds.dimensions, compute)
    return speeds.model_copy(update={"comparing": comparing, "samples": samples})


def untrained(settings: FeatureSettings, channels: int) -> FeatureNetwork:
    """Return a feature network whose time can be taken; one that must be trained first has random weights.

    Raises InputError if its files are absent or damaged.
    """
    if isinstance(settings, Classifier):
        return settings.untrained(colours_of(channels), CLASSES)
    return load_features(settings, Path(), channels)
