"""The training loop of a GAN, from images to a checkpoint.

Every random number comes from one CPU generator, which is saved with the state: on CPU, a resumed training
gives the same bits as one that was never interrupted.
"""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ganguard.architectures.checkpoint import save_checkpoint
from ganguard.architectures.networks import Networks, build_networks
from ganguard.base.cache import content_key, copy_directory, tensor_digest
from ganguard.base.compute import Compute, use_threads
from ganguard.base.errors import SpecError, StepError
from ganguard.base.image_rows import Images
from ganguard.base.images import shape_of
from ganguard.base.progress import Progress, silent
from ganguard.base.seeds import torch_generator
from ganguard.training.assembling import assembled
from ganguard.training.differential_privacy import Guarantee, PrivateTraining, guarantee_of
from ganguard.training.early_stopping import Best, Watch, images_of
from ganguard.training.guess import Guess
from ganguard.training.initial_weights import RANDOM_WEIGHTS, InitialWeights
from ganguard.training.pace import Pace
from ganguard.training.processes import ONE_DEVICE, Devices, launched
from ganguard.training.reporting import SHOWN, Journal, Reports
from ganguard.training.settings import TrainingSettings
from ganguard.training.state import load_state, save_state, saved_step
from ganguard.training.update import GANTraining

if TYPE_CHECKING:
    from lightning_fabric import Fabric

REPORT_EVERY = 50  # steps between progress reports, and between looks at the loss


def train_gan(  # noqa: PLR0913 - most of them have defaults
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
) -> Path:
    """Train a GAN and write its checkpoint to `directory`/checkpoint, which is returned.

    The state is saved to `directory`/training.safetensors every `checkpoint_every` steps; a run that finds a
    state there continues from it. A PrivateTraining is differentially private, and the checkpoint says how
    much.

    Args:
        images: (N, C, H, W) uint8; they may be rows of a map that is larger than memory.
        settings: how to train.
        directory: where the states and the checkpoint are written.
        seed: seed of the weights and of all random numbers.
        compute: device type and threads.
        devices: several devices take their parts of each batch, in processes of their own that all call this
            function with the same arguments. Only the first process reports, judges and writes.
        progress: receives the progress.
        initial_weights: the weights to begin with.
        watch: a judge. The best G of all its looks is published, with the D of that step; without a judge,
            the last G is published.
        guess: the defence that `images` have passed through, as far as the adversary knows.
        journal: receives losses, scores and samples. No result depends on it.

    Raises:
        CheckpointError: the state in `directory` belongs to another training.
        StepError: a loss is not finite.
        SpecError: `initial_weights` have another architecture, or several devices cannot train this.
    """
    _require_shareable(settings, devices, guess)
    recipe = settings.recipe()
    guarantee, seen = _guarantee(settings, len(images)), tensor_digest({"images": images})
    identity = content_key(
        settings=recipe,
        seed=seed,
        images=seen,
        compute=compute.model_dump(mode="json"),
        **({} if initial_weights is RANDOM_WEIGHTS else {"beginning": initial_weights.digest()}),
        **({"watch": watch.digest()} if watch else {}),
        **({"guess": guess.digest} if guess else {}),
        **({"privacy": guarantee.said()} if guarantee else {}),
        **_several(devices),
    )
    provenance = {"training": recipe, "seed": seed, "images": len(images), **_several(devices)}
    provenance |= {"differential_privacy": guarantee.said()} if guarantee else {}
    fabric = launched(compute.torch_device().type, settings.precision, devices)
    with use_threads(compute.threads):
        training = _set_up(images, settings, seed, fabric, initial_weights)
        processes = training.processes
        processes.require_same(seen, "images")
        training.guess = guess
        if guarantee:
            training.make_private(guarantee)

        def publish(place: Path) -> Path:
            networks = Networks(training.ema.module, training.networks.discriminator)  # pyright: ignore[reportArgumentType]
            return save_checkpoint(place, networks, settings.architecture, shape_of(images), provenance)

        state = directory / "training.safetensors"
        best = Best(watch, directory, saved_step(state), settings.steps, seed) if watch else None

        def look(step: int) -> None:
            if best and best.due(step):
                score = partial(best.look, step, training.ema.module, publish)  # pyright: ignore[reportArgumentType]
                processes.first(lambda: reports.judged(step, score()))

        samples = partial(images_of, training.ema.module, seed, "shown", SHOWN)  # pyright: ignore[reportArgumentType]
        pace = Pace(settings.batch_size * training.complete.n_dis)
        reports = Reports(settings.steps, pace, progress, journal, samples)
        reports = reports if processes.index == 0 else reports.unheard()
        _run(training, settings, state, processes.told(identity), reports, look)
    last = directory / "checkpoint"
    processes.first(lambda: copy_directory(best.checkpoint, last) if best else publish(last))
    return last


def _guarantee(settings: TrainingSettings, images: int) -> Guarantee | None:
    if not isinstance(settings, PrivateTraining) or settings.differential_privacy is None:
        return None
    updates = settings.steps * settings.completed().n_dis
    return guarantee_of(
        settings.differential_privacy, images=images, batch_size=settings.batch_size, updates=updates
    )


def _several(devices: Devices) -> dict[str, Any]:
    """Return what records say about several devices, whose results equal those of one except for rounding."""
    return {} if devices.count == 1 else {"devices": devices.model_dump(mode="json")}


def _require_shareable(settings: TrainingSettings, devices: Devices, guess: Guess | None) -> None:
    if devices.count == 1:
        return
    if guess is not None or (
        isinstance(settings, PrivateTraining) and settings.differential_privacy is not None
    ):
        which = "differentially private training" if guess is None else "training through a guessed defence"
        raise SpecError(f"devices: {which} needs whole batches in one process. Set devices and nodes to 1.")


def _set_up(
    images: Images, settings: TrainingSettings, seed: int, fabric: "Fabric", initial_weights: InitialWeights
) -> GANTraining:
    with seeded_weights(seed):
        networks = build_networks(settings.architecture, shape_of(images))
    initial_weights.put_into(networks)
    return assembled(networks, images, settings, initial_weights, fabric, torch_generator(seed, "training"))


@contextmanager
def seeded_weights(seed: int) -> Generator[None]:
    """Make the weights that are initialised in the body depend on the seed alone. torch's global generator
    keeps its state."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(torch_generator(seed, "weights").initial_seed())
        yield


def _run(
    training: GANTraining,
    settings: TrainingSettings,
    path: Path,
    identity: str,
    reports: Reports,
    look: Callable[[int], None],
) -> None:
    modules = {
        "generator": training.networks.generator,
        "discriminator": training.networks.discriminator,
        "ema": training.ema.module,
        **({"path_length": training.path_length} if training.path_length else {}),
    }
    generator, optimizers = training.generator, training.optimizers
    begin = load_state(path, identity=identity, modules=modules, optimizers=optimizers, generator=generator)
    processes = training.processes
    processes.require_same(begin, "saved states")

    def save(step: int) -> None:
        try:
            save_state(
                path,
                identity=identity,
                step=step,
                modules=modules,
                optimizers=optimizers,
                generator=generator,
            )
        except ValueError as problem:
            raise _diverged(str(problem), step, path) from None

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
        raise _diverged(f"the loss is {total.item()}", step, state)


def _diverged(what: str, step: int, state: Path) -> StepError:
    kept = saved_step(state)
    good = (
        f"The last good state is that of step {kept}, in {state}"
        if kept
        else "No state had been saved before"
    )
    return StepError(
        f"training diverged: {what} at step {step}. {good}. Lower learning_rate, or try another loss."
    )
