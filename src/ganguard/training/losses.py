"""Losses of D and G as functions of raw scores (N,)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch.nn.functional as F
from torch import Tensor

LossName = Literal["hinge", "non_saturating", "wasserstein"]


@dataclass(frozen=True)
class AdversarialLoss:
    """A pair of losses for D and G.

    Attributes:
        real: D's loss of the scores of real images.
        fake: D's loss of the scores of generated images. The two add up.
        generator: G's loss of the scores of generated images.
    """

    real: Callable[[Tensor], Tensor]
    fake: Callable[[Tensor], Tensor]
    generator: Callable[[Tensor], Tensor]

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        """Return D's loss of both kinds of scores."""
        return self.real(real) + self.fake(fake)


def hinge_real(real: Tensor) -> Tensor:
    """Return E[max(0, 1 - D(x))] (Lim & Ye 2017; Miyato et al. 2018, eq. 16)."""
    return F.relu(1 - real).mean()


def hinge_fake(fake: Tensor) -> Tensor:
    """Return E[max(0, 1 + D(G(z)))] (the same)."""
    return F.relu(1 + fake).mean()


def hinge_generator(fake: Tensor) -> Tensor:
    """Return -E[D(G(z))] (Miyato et al. 2018, eq. 17)."""
    return -fake.mean()


def non_saturating_real(real: Tensor) -> Tensor:
    """Return -E[log sigmoid(D(x))] (Goodfellow et al. 2014, eq. 1)."""
    return F.softplus(-real).mean()


def non_saturating_fake(fake: Tensor) -> Tensor:
    """Return -E[log(1 - sigmoid(D(G(z))))] (the same)."""
    return F.softplus(fake).mean()


def non_saturating_generator(fake: Tensor) -> Tensor:
    """Return -E[log sigmoid(D(G(z)))] (Goodfellow et al. 2014, section 3)."""
    return F.softplus(-fake).mean()


def wasserstein_real(real: Tensor) -> Tensor:
    """Return -E[D(x)] (Arjovsky et al. 2017, eq. 2)."""
    return -real.mean()


def wasserstein_fake(fake: Tensor) -> Tensor:
    """Return E[D(G(z))] (the same)."""
    return fake.mean()


LOSSES: dict[LossName, AdversarialLoss] = {
    "hinge": AdversarialLoss(hinge_real, hinge_fake, hinge_generator),
    "wasserstein": AdversarialLoss(wasserstein_real, wasserstein_fake, hinge_generator),
    "non_saturating": AdversarialLoss(non_saturating_real, non_saturating_fake, non_saturating_generator),
}
