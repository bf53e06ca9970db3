"""The parts of a training, put together: networks on their device, optimisers, the average of G, growth."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from ganguard.architectures.checkpoint import save_checkpoint
from ganguard.architectures.drawing import Drawing
from ganguard.architectures.networks import GAN, Networks, build_networks
from ganguard.base.image_rows import Images
from ganguard.base.images import shape_of
from ganguard.base.labels import Labels
from ganguard.base.seeds import seeded_weights, torch_generator
from ganguard.training.batches import share_out
from ganguard.training.device import placed
from ganguard.training.differential_privacy import Guarantee, secret_of
from ganguard.training.ema import EMA
from ganguard.training.flow import FlowTraining
from ganguard.training.gan import gan_training
from ganguard.training.growth import Growth
from ganguard.training.guess import Guess
from ganguard.training.initial_weights import InitialWeights
from ganguard.training.losses import LOSSES
from ganguard.training.pairs import CodedImages
from ganguard.training.parts import adam, place, velocity_of
from ganguard.training.processes import Processes
from ganguard.training.projected import Projection
from ganguard.training.restoring import restorer_of
from ganguard.training.settings import TrainingSettings
from ganguard.training.update import GANTraining

if TYPE_CHECKING:
    from lightning_fabric import Fabric

Training = GANTraining | FlowTraining


def set_up(
    images: Images,
    settings: TrainingSettings,
    seed: int,
    fabric: "Fabric",
    initial_weights: InitialWeights,
    guess: Guess | None = None,
    projection: Projection | None = None,
) -> Training:
    """Return a training that is ready to begin.

    Args:
        images: (N, C, H, W) uint8, the real images.
        settings: how to train.
        seed: seed of the weights and of all random numbers.
        fabric: the devices.
        initial_weights: the weights to begin with; they decide which parameters are frozen.
        guess: the defence that the images have passed through, as far as an adversary knows.
        projection: what a projected D looks at.
    """
    with seeded_weights(seed):
        networks = build_networks(settings.architecture, shape_of(images))
        if settings.discriminator and projection:
            D = projection.discriminator(settings.discriminator, images, fabric.device)
            networks = Networks(networks.generator, D)
    initial_weights.put_into(networks)
    generator, complete = torch_generator(seed, "training"), settings.completed()
    processes = Processes(fabric)
    if processes.count > 1:
        share_out(networks, settings, processes=processes.count, device_type=fabric.device.type)
    for module in networks.named().values():
        place(module, settings, fabric)
    common: dict[str, Any] = {
        "ema": EMA(networks.generator, settings.ema_decay, warm_up=not initial_weights.of_generator()),
        "complete": complete,
        "images": placed(images, fabric.device),
        "batch_size": settings.batch_size,
        "generator": generator,
        "fabric": fabric,
        "processes": processes,
    }
    for module in networks.named().values():
        if isinstance(module, Drawing):
            module.random = generator if processes.count == 1 else torch.Generator()
    if networks.discriminator is None or complete.loss is None:
        return _flow(networks, settings, common, guess, seed)
    gan, loss = GAN(networks.generator, networks.discriminator), LOSSES[complete.loss]
    return gan_training(gan, loss, settings, initial_weights, common)


def tell(
    training: Training,
    settings: TrainingSettings,
    labels: Labels | None,
    guess: Guess | None,
    guarantee: Guarantee | None,
    pairs: CodedImages | None,
) -> None:
    """Tell a training what is known of its images, and what must not be learnt from them."""
    training.labels = labels.numbers if labels else None
    if isinstance(training, GANTraining):
        training.guess, training.pairs = guess, pairs
        if guarantee and (secret := secret_of(settings)):
            training.make_private(guarantee, secret)


def publish_training(
    training: Training,
    place: Path,
    settings: TrainingSettings,
    provenance: dict[str, Any],
    labels: Labels | None,
) -> Path:
    """Write the checkpoint of a training as far as it has come, and return its directory, `place`.

    Args:
        provenance: JSON values that say where it comes from.
        labels: the classes of the images; None without classes.
    """
    networks, shape = training.published(), shape_of(training.images)
    names = labels.names if labels else None
    return save_checkpoint(place, networks, settings.architecture, shape, provenance, class_names=names)


def _flow(
    networks: Networks, settings: TrainingSettings, common: dict[str, Any], guess: Guess | None, seed: int
) -> FlowTraining:
    """Return the training of a G without D that lies on its device with its initial weights.

    common: what every training has.
    """
    G, optimizers = networks.generator, {"G": adam([*networks.generator.parameters()], common["complete"])}
    restorer = None
    if guess and guess.images:
        restorer = restorer_of(guess.images, settings, shape_of(common["images"]), seed, common["fabric"])
        optimizers["R"] = restorer.optimizer
    return FlowTraining(
        networks=networks,
        velocity=velocity_of(G, settings, common["fabric"]),
        optimizers=optimizers,
        growth=Growth([], settings.steps),
        moved=guess.codes if guess else None,
        restorer=restorer,
        **common,
    )
