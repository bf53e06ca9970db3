"""The training of a GAN, put together from networks that lie on their device."""

from typing import Any

import torch

from ganguard.architectures.networks import GAN
from ganguard.training.adaptive import Adaptive, AdaptiveAugmentation
from ganguard.training.augment import Augmentation, diffaugmented
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
        augmentation=_augmentation(settings, device),
        trained=trained,
        growth=Growth([G, D, common["ema"].module] if grows else [], settings.steps),
        path_length=PathLength().to(device) if complete.path_length_weight else None,
        lecam=LeCam(settings.lecam_weight).to(device) if settings.lecam_weight else None,
        **common,
    )


def _augmentation(settings: TrainingSettings, device: torch.device) -> Augmentation | None:
    """Return what changes the images that D sees, or None."""
    if isinstance(settings.augment, Adaptive):
        return AdaptiveAugmentation(settings.augment).to(device)
    return diffaugmented if settings.augment == "diffaugment" else None
