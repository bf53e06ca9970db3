"""One step of a rectified flow's training: the velocity learns, and the average of its weights follows."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from ganguard.architectures.networks import Networks
from ganguard.base.image_rows import Images
from ganguard.base.images import to_float
from ganguard.training.device import Pass, batch
from ganguard.training.ema import EMA
from ganguard.training.growth import Growth
from ganguard.training.guess import Change
from ganguard.training.processes import Processes
from ganguard.training.restoring import Restorer
from ganguard.training.settings import CompleteTraining
from ganguard.training.velocity_loss import velocity_loss

if TYPE_CHECKING:
    from lightning_fabric import Fabric


@dataclass
class FlowTraining:
    """Everything that a step touches.

    Attributes:
        losses: what `step` returns, in its order.
        networks: G alone.
        velocity: G's velocity, or its compiled form.
        ema: the average of G's weights.
        optimizers: that of "G", and that of the restorer, "R", if there is one.
        complete: the settings that a recipe may fill, all set.
        images: (N, C, H, W) uint8, wherever `device.placed` left them.
        batch_size: images of all processes together.
        growth: the growth of the networks; a flow does not grow.
        generator: the source of the training's random numbers.
        fabric: the devices.
        processes: the processes of the training.
        labels: (N,) int64, the class of each image; None without classes.
        moved: what the adversary's guessed defence does to codes, or None.
        restorer: undoes what it does to images, or None.
    """

    losses: ClassVar[tuple[str, ...]] = ("velocity",)
    networks: Networks
    velocity: Pass
    ema: EMA
    optimizers: dict[str, Optimizer]
    complete: CompleteTraining
    images: Images
    batch_size: int
    growth: Growth
    generator: torch.Generator
    fabric: "Fabric"
    processes: Processes
    labels: Tensor | None = None
    moved: Change | None = None
    restorer: Restorer | None = None

    def modules(self) -> dict[str, nn.Module]:
        """Return what a saved state holds, by name."""
        restorer = self.restorer.modules() if self.restorer else {}
        return {**self.networks.named(), "ema": self.ema.module, **restorer}

    def step(self, step: int) -> Tensor:
        """Do an update of G. Return its loss, (1,), of this process's images.

        Times are logit-normal, which asks most about the middle of the way (Esser et al. 2024, section 3.1).
        """
        device = self.fabric.device
        rows = self.processes.own(
            torch.randint(len(self.images), (self.batch_size,), generator=self.generator)
        )
        t = self._normal().sigmoid()
        z = self._codes().view(-1, *self.images.shape[1:])
        x = to_float(batch(self.images, rows, device))
        y = None if self.labels is None else self.labels[rows].to(device)
        if self.restorer:
            x = self.restorer.step(x, y, self.generator, step)
        with self.fabric.autocast():
            loss = velocity_loss(self.velocity, x, z, t, y)
        self.optimizers["G"].zero_grad(set_to_none=True)
        self.fabric.backward(loss)
        self.processes.average_gradients(self.optimizers["G"])
        self.optimizers["G"].step()
        self.ema.update(step)
        return loss.detach()[None]

    def forget(self, *, at_end: bool) -> None:
        """Do nothing: a flow has no secret."""

    def published(self) -> Networks:
        """Return the networks that a checkpoint holds: the average of G."""
        return Networks(self.ema.module, None)  # pyright: ignore[reportArgumentType]

    def _codes(self) -> Tensor:
        """Draw codes (N, C·H·W), as they would reach G behind the guessed defence."""
        z = torch.randn(self.batch_size, self.networks.generator.latent_dim, generator=self.generator)
        if self.moved:
            z = self.moved(z, self.generator)
        return self.processes.own(z).to(self.fabric.device)

    def _normal(self) -> Tensor:
        """Draw a number for each image of a batch, from N(0, 1)."""
        numbers = torch.randn(self.batch_size, generator=self.generator)
        return self.processes.own(numbers).to(self.fabric.device)
