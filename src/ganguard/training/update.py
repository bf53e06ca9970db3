"""One step of a GAN's training: n_dis updates of D, one of G, and an average of G's weights."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from ganguard.architectures.networks import Networks
from ganguard.base.images import to_float
from ganguard.training.differential_privacy import Guarantee, PrivateUpdates
from ganguard.training.ema import EMA
from ganguard.training.guess import Guess
from ganguard.training.losses import AdversarialLoss

if TYPE_CHECKING:
    from lightning_fabric import Fabric


@dataclass
class GANTraining:
    """Everything that one update touches. trained: the parameters of D that are not frozen."""

    networks: Networks
    ema: EMA
    optimizers: dict[str, Optimizer]
    loss: AdversarialLoss
    images: Tensor  # (N, C, H, W) uint8 on the device
    batch_size: int
    n_dis: int
    trained: list[nn.Parameter]
    generator: torch.Generator
    fabric: "Fabric"
    guess: Guess | None = None
    private: PrivateUpdates | None = None

    def step(self, step: int) -> Tensor:
        """One update of G after n_dis of D; returns D's last loss plus G's, (), for the look at its health."""
        D = self.networks.discriminator
        self._train_discriminator(True)
        for _ in range(self.n_dis - 1):
            with torch.no_grad():
                fake = self._fake()
            self._update_discriminator(fake)
        fake = self._fake()  # the last update of D and the one of G see the same images
        loss_d = self._update_discriminator(fake.detach())
        self._train_discriminator(False)
        loss_g = self.loss.generator(D(fake))
        self._descend("G", loss_g)
        self.ema.update(step)
        return loss_d.detach() + loss_g.detach()

    def make_private(self, guarantee: Guarantee) -> None:
        """From now on D's updates are differentially private."""
        self._train_discriminator(True)
        D, optimizer = self.networks.discriminator, self.optimizers["D"]
        self.private = PrivateUpdates(D, optimizer, guarantee, self.batch_size)

    def _train_discriminator(self, yes: bool) -> None:
        for parameter in self.trained:
            parameter.requires_grad_(yes)

    def _update_discriminator(self, fake: Tensor) -> Tensor:
        if self.private:
            return self.private.update(self.images, fake, self.loss, self.generator)
        loss = self._discriminator_loss(fake)
        self._descend("D", loss)
        return loss

    def _discriminator_loss(self, fake: Tensor) -> Tensor:
        rows = torch.randint(len(self.images), (self.batch_size,), generator=self.generator)
        real = to_float(self.images[rows.to(self.fabric.device)])
        D = self.networks.discriminator
        if D.independent_rows:
            scores_real, scores_fake = D(torch.cat([real, fake])).chunk(2)
        else:
            scores_real, scores_fake = D(real), D(fake)
        return self.loss.discriminator(scores_real, scores_fake)

    def _fake(self) -> Tensor:
        """A batch of G's images, as they would come back if the guess were right."""
        z = torch.randn(self.batch_size, self.networks.generator.latent_dim, generator=self.generator)
        if self.guess and self.guess.codes:
            z = self.guess.codes(z, self.generator)
        fake = self.networks.generator(z.to(self.fabric.device))
        return self.guess.images(fake, self.generator) if self.guess and self.guess.images else fake

    def _descend(self, name: str, loss: Tensor) -> None:
        self.optimizers[name].zero_grad(set_to_none=True)
        self.fabric.backward(loss)
        self.optimizers[name].step()
