"""Measure how fast this machine does the work of an audit, in a few seconds a kind of work."""

import math
import time
from collections.abc import Callable, Iterator
from itertools import cycle
from typing import Any

import torch
from torch import Tensor

from ganguard.architectures.networks import GeneratorNetwork, Growing, classes_of
from ganguard.audit.steps.projecting import projecting
from ganguard.base.cache import content_key
from ganguard.base.compute import Compute, limit_threads
from ganguard.base.image_rows import ImageRows
from ganguard.base.images import to_uint8
from ganguard.comparison.compare import NEIGHBOURS, compare
from ganguard.metrics import Balls
from ganguard.metrics.features.network import FeatureNetwork, extract
from ganguard.targets.batching import MICRO_BATCH
from ganguard.training.assembling import Training, set_up
from ganguard.training.differential_privacy import Guarantee, PrivateTraining, Secret
from ganguard.training.initial_weights import RANDOM_WEIGHTS
from ganguard.training.processes import ONE_DEVICE, launched
from ganguard.training.settings import TrainingSettings
from ganguard.training.supervised import train_classifier
from ganguard.training.update import GANTraining

PATIENCE = 3.0  # seconds of one step beyond which it is judged by a small batch
LONG_ENOUGH = 0.4  # seconds that are measured, or
MOST_STEPS = 20  # so many steps
FEW = 4  # images of a small batch
COMPARED = 1000  # images of the sets that are compared to tell how long a comparison takes
GROWTH = 1.2  # power of the number of images that a comparison's time grows with; measured from 250 to 4,000
_UPDATES = 6  # of a classifier, that are measured
_COSTS_NOTHING = {"steps", "learning_rate", "learning_rate_decay", "betas", "ema_decay", "drift"}


def recipe_key(settings: TrainingSettings) -> str:
    """Return a key that is equal for trainings whose steps cost the same."""
    said: dict[str, Any] = {**settings.recipe(), **settings.completed().model_dump(mode="json")}
    private = isinstance(settings, PrivateTraining) and settings.differential_privacy is not None
    return content_key(private=private, **{k: v for k, v in said.items() if k not in _COSTS_NOTHING})


def pace_of(settings: TrainingSettings, images: Tensor, compute: Compute) -> tuple[float, float]:
    """Return the seconds that one step of a training takes, and those in which its G makes one image.

    A step that would take more than PATIENCE is judged by one of a small batch, in proportion. A training
    that is compiled is measured uncompiled.

    Args:
        settings: the training.
        images: images (N, C, H, W) uint8 of its shape; what they show changes nothing.
        compute: device type and threads.

    Raises SpecError if the architecture cannot make such images.
    """
    few = min(FEW, settings.batch_size)
    small, image = _timed(settings, few, images, compute)
    whole = small * settings.batch_size / few
    if few < settings.batch_size and whole <= PATIENCE:
        whole, image = _timed(settings, settings.batch_size, images, compute)
    return whole, image


def _timed(
    settings: TrainingSettings, batch_size: int, images: Tensor, compute: Compute
) -> tuple[float, float]:
    """Return the seconds of one step with that batch size, and of one image of its G."""
    how = settings.model_copy(update={"batch_size": batch_size, "compile": False})
    device = compute.torch_device()
    with limit_threads(compute.threads):
        fabric = launched(device.type, how.precision, ONE_DEVICE)
        looks, rows = how.discriminator, ImageRows(images, torch.arange(len(images)))
        projection = projecting(images.shape[1], compute)(looks) if looks else None
        training = set_up(rows, how, 0, fabric, RANDOM_WEIGHTS, projection=projection)
        training.labels = _made_up(len(images), classes_of(how.architecture))
        privacy = how.differential_privacy if isinstance(how, PrivateTraining) else None
        if privacy and isinstance(training, GANTraining):
            share = min(1.0, batch_size / len(images))  # noise of any strength costs the same
            guarantee = Guarantee(None, 1e-5, 1.0, privacy.max_grad_norm, share, how.steps)
            training.make_private(guarantee, Secret(0))
        typical = list(_typical_steps(training, how))
        training.step(typical[0][0])  # the first one also chooses kernels and takes memory
        step = _mean_of(typical, training.step, compute)
        return step, _making(training.published().generator, compute)


def _made_up(count: int, classes: int) -> Tensor | None:
    """Return a class for each of `count` images, (count,) int64; None without classes. Any cost the same."""
    return torch.arange(count) % classes if classes else None


def _typical_steps(training: Training, settings: TrainingSettings) -> Iterator[tuple[int, float]]:
    """Yield steps whose cost stands for that of all steps, each with its share of them."""
    G = training.networks.generator
    if settings.grow and isinstance(G, Growing) and G.levels > 1:
        parts = 2 * G.levels - 1  # as in `growth_at`
        for part in range(parts):
            yield int((part + 0.5) * settings.steps / parts), 1 / parts
        return
    complete = training.complete
    lazy = complete.penalty_every if complete.penalty != "none" else 1
    every = max(lazy, complete.path_length_every if complete.path_length_weight else 1)
    if every > 1:
        yield 0, 1 / every
    yield 1, 1 - 1 / every if every > 1 else 1.0


def _mean_of(typical: list[tuple[int, float]], step: Callable[[int], object], compute: Compute) -> float:
    """Return the mean seconds of steps, each weighed by its share.

    Each is done several times if it is short, and its shortest time counts: other programs disturbed that
    least.
    """
    spent = [list[float]() for _ in typical]
    for place in cycle(range(len(typical))):
        total, done = sum(map(sum, spent)), sum(map(len, spent))
        if done >= len(typical) and (total >= LONG_ENOUGH or done >= MOST_STEPS):
            break
        spent[place].append(_seconds(lambda number=typical[place][0]: step(number), compute))
    return sum(share * min(times) for (_, share), times in zip(typical, spent, strict=True))


def _making(generator: GeneratorNetwork, compute: Compute) -> float:
    """Return the seconds in which G makes one image, in the micro-batches that targets run in."""
    device = compute.torch_device()
    z, y = torch.randn(MICRO_BATCH, generator.latent_dim), _made_up(MICRO_BATCH, generator.classes)
    asked = [part.to(device) for part in (z, y) if part is not None]
    generator.eval()
    with torch.inference_mode():
        return _seconds(lambda: to_uint8(generator(*asked)), compute) / MICRO_BATCH


def embedding_pace(network: FeatureNetwork, images: Tensor, compute: Compute) -> tuple[float, int]:
    """Return the seconds in which a feature network takes one image, and how many features it gives."""
    with limit_threads(compute.threads):
        few = images[: min(len(images), FEW)]
        dimensions = extract(network, few, compute).shape[1]
        first = _seconds(lambda: extract(network, few, compute), compute) / len(few)
        if first * len(images) > PATIENCE:
            return first, dimensions
        whole = _seconds(lambda: extract(network, images, compute), compute)
    return whole / len(images), dimensions


def classifier_pace(network: FeatureNetwork, images: Tensor, compute: Compute) -> float:
    """Return the seconds of one update of a classifier that is trained on such images."""
    labels = torch.arange(len(images)) % 2

    def train(steps: int) -> None:
        train_classifier(network, images, labels, steps=steps, seed=0, compute=compute)

    with limit_threads(compute.threads):
        train(1)  # the first one also chooses kernels
        return _seconds(lambda: train(_UPDATES), compute) / _UPDATES


def comparing_pace(samples: int, dimensions: int, compute: Compute) -> float:
    """Return about how many seconds it takes to compare two sets of so many images."""
    count = min(samples, COMPARED)
    one, other = (torch.randn(count, dimensions) + shift for shift in (0.0, 0.1))
    with limit_threads(compute.threads):
        against = Balls.around(other, k=NEIGHBOURS)

        def work() -> None:
            compare("target", Balls.around(one, k=NEIGHBOURS), against, "target")

        took = min(_seconds(work, Compute(device="cpu", threads=compute.threads)) for _ in range(2))
    return took * math.pow(samples / count, GROWTH)


def _seconds(work: Callable[[], object], compute: Compute) -> float:
    """Return how long a piece of work takes, if nothing runs beside it.

    One thread of a processor is timed by the processor's own clock, which other programs do not disturb.
    """
    device = compute.torch_device()
    alone = device.type == "cpu" and compute.threads == 1
    clock = time.process_time if alone else time.perf_counter
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    began = clock()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return clock() - began
