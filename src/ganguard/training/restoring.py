"""A flow's way through a guessed defence of images: a restorer learns to undo the guess, and the flow learns
from what it restores.

The restorer is a second velocity, which moves defended images along straight lines to clean ones. No clean
image is known, so it learns from pairs that it makes itself: a bought image y is restored to x, x passes
through the guess again, and the way from guess(x) to x is learnt. That comes to rest where guess(x) is
distributed as y: then x is distributed as the provider's undefended images, as far as the guess leaves that
to be seen (Modi et al. 2025, "Generative Modeling from Black-box Corruptions via Self-Consistent Stochastic
Interpolants"). The guess may be random, and needs no gradient.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from ganguard.architectures.networks import build_networks
from ganguard.base.seeds import derived_seed, seeded_weights
from ganguard.training.device import Pass
from ganguard.training.ema import EMA
from ganguard.training.guess import Change
from ganguard.training.parts import adam, place, velocity_of
from ganguard.training.settings import TrainingSettings
from ganguard.training.velocity_loss import velocity_loss

if TYPE_CHECKING:
    from lightning_fabric import Fabric

STEPS = 3  # of Euler's method from a defended image to a restored one
DECAY = 0.99  # of the average that restores: what it was shown before should not last


@dataclass
class Restorer:
    """What undoes a guess.

    Attributes:
        network: the network of the velocity from defended images to clean ones.
        velocity: that velocity, or its compiled form.
        ema: the average of the network, which restores.
        optimizer: of the network.
        guess: the defence that images passed through, as far as the adversary knows.
        fabric: the devices.
    """

    network: nn.Module
    velocity: Pass
    ema: EMA
    optimizer: Optimizer
    guess: Change
    fabric: "Fabric"

    def modules(self) -> dict[str, nn.Module]:
        """Return what a saved state holds, by name."""
        return {"restorer": self.network, "restorer average": self.ema.module}

    def step(self, images: Tensor, y: Tensor | None, generator: torch.Generator, step: int) -> Tensor:
        """Restore a batch, and learn from it.

        Args:
            images: (N, C, H, W) float in [-1, 1], as they were bought.
            y: (N,) their classes; None without classes.
            generator: the training's.
            step: counted from 0.

        Returns:
            The restored images, (N, C, H, W) float in [-1, 1], as they were before this step.
        """
        x = self.restored(images, y)
        t = torch.rand(len(x), generator=generator).to(x.device)
        with torch.no_grad():
            defended = self.guess(x, generator)
        with self.fabric.autocast():
            loss = velocity_loss(self.velocity, x, defended, t, y)
        self.optimizer.zero_grad(set_to_none=True)
        self.fabric.backward(loss)
        self.optimizer.step()
        self.ema.update(step)
        return x

    @torch.no_grad()
    def restored(self, images: Tensor, y: Tensor | None) -> Tensor:
        """Return images (N, C, H, W) float in [-1, 1], of classes y (N,), without the guessed defence."""
        velocity: Pass = self.ema.module.velocity  # pyright: ignore[reportAssignmentType]
        with self.fabric.autocast():
            for step in range(STEPS):
                t = images.new_full((len(images),), step / STEPS)
                v = velocity(images, t) if y is None else velocity(images, t, y)
                images = images + v.float() / STEPS
        return images.clamp(-1, 1)


def restorer_of(
    guess: Change, settings: TrainingSettings, image_shape: tuple[int, int, int], seed: int, fabric: "Fabric"
) -> Restorer:
    """Return what is to undo a guess, with a network like that of the flow, and weights of its own seed."""
    with seeded_weights(derived_seed(seed, "restorer")):
        network = build_networks(settings.architecture, image_shape).generator
    place(network, settings, fabric)
    velocity, average = velocity_of(network, settings, fabric), EMA(network, DECAY)
    optimizer = adam(list(network.parameters()), settings.completed())
    return Restorer(network, velocity, average, optimizer, guess, fabric)
