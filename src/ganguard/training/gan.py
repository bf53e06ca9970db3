"""The training of a GAN, put together from networks that lie on their device."""

from typing import Any

from ganguard.architectures.networks import GAN
from ganguard.training.adaptive import augmentation_of
from ganguard.training.device import as_pass
from ganguard.training.growth import Growth
from ganguard.training.initial_weights import RANDOM_WEIGHTS, InitialWeights
from ganguard.training.losses import AdversarialLoss
from ganguard.training.parts import adam
from ganguard.training.penalties import LeCam, PathLength
from ganguard.training.settings import TrainingSettings
from ganguard.training.update import GANTraining


def gan_training(
    networks: GAN,
    loss: AdversarialLoss,
    settings: TrainingSettings,
    initial_weights: InitialWeights,
    common: dict[str, Any],
) -> GANTraining:
    """Return the training of networks that lie on their device with their initial weights.

    common: what every training has.
    """
    G, D = networks.generator, networks.discriminator
    device, complete = common["fabric"].device, settings.completed()
    frozen = initial_weights.frozen_parameters(D)
    D.requires_grad_(False)
    trained = [parameter for parameter in D.parameters() if parameter not in frozen]
    grows = settings.grow and initial_weights is RANDOM_WEIGHTS
    return GANTraining(
        networks=networks,
        G=as_pass(G, device, compiled=settings.compile),
        D=as_pass(D, device, compiled=settings.compile),
        optimizers={
            "D": adam(trained, complete),
            "G": adam(list(G.parameters()), complete, complete.generator_pace),
        },
        loss=loss,
        augmentation=augmentation_of(settings.augment, device),
        trained=trained,
        growth=Growth([G, D, common["ema"].module] if grows else [], settings.steps),
        path_length=PathLength().to(device) if complete.path_length_weight else None,
        lecam=LeCam(settings.lecam_weight).to(device) if settings.lecam_weight else None,
        **common,
    )
