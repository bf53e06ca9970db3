"""The training loop of a GAN or a flow, from images to a checkpoint.

Every random number comes from one CPU generator, which is saved with the state: on CPU, a resumed training
gives the same bits as one that was never interrupted.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ganguard.base.cache import copy_directory
from ganguard.base.compute import Compute, use_threads
from ganguard.base.image_rows import Images
from ganguard.base.labels import Labels
from ganguard.base.progress import Progress, silent
from ganguard.training import assembling
from ganguard.training.assembling import set_up
from ganguard.training.course import Course
from ganguard.training.diverging import diverged
from ganguard.training.early_stopping import Watch
from ganguard.training.going_on import goes_on
from ganguard.training.guess import Guess
from ganguard.training.held_out import hold_out
from ganguard.training.identity import identify
from ganguard.training.initial_weights import RANDOM_WEIGHTS, InitialWeights
from ganguard.training.pairs import CodedImages
from ganguard.training.processes import ONE_DEVICE, Devices, launched
from ganguard.training.projected import Projection
from ganguard.training.reporting import Journal, Reports
from ganguard.training.requirements import require_trainable
from ganguard.training.settings import TrainingSettings
from ganguard.training.state import load_state, save_state

REPORT_EVERY = 50  # steps between progress reports, and between looks at the loss


def train_generator(  # noqa: PLR0913 - most of them have defaults
    images: Images,
    settings: TrainingSettings,
    directory: Path,
    *,
    seed: int,
    compute: Compute,
    devices: Devices = ONE_DEVICE,
    progress: Progress = silent,
    initial_weights: InitialWeights = RANDOM_WEIGHTS,
    watch: Watch | None = None,
    guess: Guess | None = None,
    journal: Journal | None = None,
    labels: Labels | None = None,
    pairs: CodedImages | None = None,
    projection: Projection | None = None,
) -> Path:
    """Train a generator and write its checkpoint to `directory`/checkpoint, which is returned.

    The state is saved to `directory`/training.safetensors every `checkpoint_every` steps; a run that finds a
    state there continues from it, also if `steps`, the threads or the device are others than before. A
    PrivateTraining is differentially private, and the checkpoint says how much.

    Args:
        images: (N, C, H, W) uint8; they may be rows of a map that is larger than memory.
        settings: how to train.
        directory: where the states and the checkpoint are written.
        seed: seed of the weights and of all random numbers.
        compute: device type and threads.
        devices: several devices take their parts of each batch, in processes of their own that all call this
            function with the same arguments. Only the first process reports, judges and writes.
        progress: receives the progress.
        initial_weights: the weights to begin with. If there is no checkpoint among them, the settings may
            name one.
        watch: a judge. The best G of all its looks is published, with the D of that step; without a judge,
            the last G is published, or what `held_out` images chose.
        guess: the defence that `images` have passed through, as far as the adversary knows. D looks through
            it; a flow, which has no D, learns to undo it.
        journal: receives losses, scores and samples. No result depends on it.
        labels: the class of each image. An architecture with `classes` needs them, and no other
            takes them.
        pairs: the code of each image, if G is to learn them too; it needs a D.
        projection: what a projected D looks at; needed if the settings name one.

    Raises:
        CheckpointError: the state in `directory` belongs to another training, or has come further than
            `steps`.
        StepError: a loss is not finite.
        SpecError: `initial_weights` have another architecture or other classes, `labels`, `pairs` or
            `projection` do not fit, or several devices cannot train this.
    """
    require_trainable(images, settings, devices, guess, labels, initial_weights, watch, pairs, projection)
    initial_weights = initial_weights.after(settings.beginning)
    divided = hold_out(images, labels, settings, seed=seed)
    identity = identify(
        images,
        settings,
        seed=seed,
        devices=devices,
        initial_weights=initial_weights,
        watch=watch,
        guess=guess,
        labels=labels,
        pairs=pairs,
        projection=projection,
    )
    fabric = launched(compute.torch_device().type, settings.precision, devices)
    with use_threads(compute.threads):
        training = set_up(divided.images, settings, seed, fabric, initial_weights, guess, projection)
        processes = training.processes
        processes.require_same((identity.images, identity.labels), "images or labels" if labels else "images")
        assembling.tell(training, settings, divided.labels, guess, identity.guarantee, pairs)
        state, parts = directory / "training.safetensors", processes.told(identity.parts)
        course = goes_on(training, settings, state, parts, compute, devices)
        provenance = identity.provenance | course.said()

        def publish(place: Path) -> Path:
            return assembling.publish_training(training, place, settings, provenance, labels)

        best = divided.best(training, watch, directory, course.begun, settings.steps, seed)

        def look(step: int) -> None:
            if best and best.due(step):
                score = partial(best.look, step, training.ema.module, publish)  # pyright: ignore[reportArgumentType]
                processes.first(lambda: reports.judged(step, score()))

        reports = Reports.of(training.ema.module, settings, training.losses, seed, progress, journal)  # pyright: ignore[reportArgumentType]
        reports = reports if processes.index == 0 else reports.unheard()
        if identity.guarantee:
            reports.hide("D")
        _run(training, settings, state, parts, course, reports, look)
    last = directory / "checkpoint"
    processes.first(lambda: copy_directory(best.checkpoint, last) if best else publish(last))
    return last


def _run(
    training: assembling.Training,
    settings: TrainingSettings,
    path: Path,
    identity: dict[str, Any],
    course: Course,
    reports: Reports,
    look: Callable[[int], None],
) -> None:
    modules, generator, optimizers = training.modules(), training.generator, training.optimizers
    begin = load_state(path, identity=identity, modules=modules, optimizers=optimizers, generator=generator)
    processes = training.processes
    processes.require_same(begin, "saved states")

    def save(step: int) -> None:
        training.forget(at_end=step == settings.steps)
        try:
            save_state(
                path,
                identity=identity,
                step=step,
                modules=modules,
                optimizers=optimizers,
                generator=generator,
                parts=course.until(step),
            )
        except ValueError as problem:
            raise diverged(str(problem), step, path) from None

    rates = [
        (group, float(group["lr"])) for optimizer in optimizers.values() for group in optimizer.param_groups
    ]
    falls = training.complete.learning_rate_decay == "linear"
    reports.begin(begin)
    look(begin)
    for step in range(begin, settings.steps):
        for group, rate in rates if falls else ():
            group["lr"] = rate * (1 - step / settings.steps)
        loss = training.step(step)
        done = step + 1
        look(done)
        said, saved = (
            done % every == 0 or done == settings.steps for every in (REPORT_EVERY, settings.checkpoint_every)
        )
        if said or saved:
            loss = processes.mean(loss)
            _require_finite(loss, done, path)
        if said:
            reports.losses(done, loss)
        if saved:
            processes.first(partial(save, done))
            reports.saved(done)


def _require_finite(loss: Tensor, step: int, state: Path) -> None:
    if not torch.isfinite(total := loss.sum()):
        raise diverged(f"the loss is {total.item()}", step, state)
