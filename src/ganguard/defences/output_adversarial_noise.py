"""Adversarial noise (Hu & Pang 2021): a small perturbation that makes a feature network see another image.

Projected gradient steps drive the features as far as possible from those of the original image: with the norm
"linf" along the gradient's signs (Madry et al. 2018), with "l2" along the gradient. Carlini and Wagner (2017)
describe three ways to keep pixels in range. Optimising over tanh, their choice, has no slope at black and
white pixels, of which digits are full; so the first way, projection, is used here.
"""

from typing import Annotated, Literal, Self

import torch
from pydantic import Field
from torch import Tensor

from ganguard.base.settings import Float, Positive
from ganguard.defences.misleading import BYTE, MisleadingNoise, Network, searched
from ganguard.defences.protocol import Tools
from ganguard.defences.streams import Streams

STEPS = 20
OVERSHOOT = 2.5  # length of a gradient step, in units of budget / steps (Madry et al. 2018)
_NOTHING = 1e-12


class AdversarialNoise(MisleadingNoise):
    """Perturb images so that a feature network sees others.

    Attributes:
        budget: size of the perturbation, in [0, 255] units: with "linf" the largest change of a byte, with
            "l2" the root mean square over an image's bytes. Perturbations are rounded towards 0 to whole
            bytes, so that the budget always holds.
        norm: how the size is measured.
        steps: steps of the optimisation.
    """

    kind: Literal["adversarial_noise"] = "adversarial_noise"
    budget: Annotated[Float, Field(ge=0, le=255)]
    norm: Literal["linf", "l2"] = "linf"
    steps: Positive = STEPS

    def label(self) -> str:
        """Return the kind, the budget, and the settings that differ from the defaults."""
        steps = "" if self.steps == STEPS else f", {self.steps} steps"
        return (
            f"adversarial noise {self.budget:g}"
            + (" L2" if self.norm == "l2" else "")
            + steps
            + self.against()
        )

    def scaled(self, factor: float) -> Self:
        """Return the defence with `factor` times the budget."""
        return self.model_copy(update={"budget": min(255.0, self.budget * factor)})

    def change(self, images: Tensor, streams: Streams, tools: Tools) -> Tensor:
        """Return images (N, C, H, W) uint8, each with a perturbation of its own.

        The search for a perturbation starts at noise from the image's stream.
        """
        if len(images) == 0 or self.budget == 0 or (self.norm == "linf" and self.budget < 1):
            return images  # there are none, or no byte may change
        network = self.network_by(tools)
        search = self._linf if self.norm == "linf" else self._l2
        found = searched(images, streams, lambda clean, begin: search(network, clean, begin))
        return (images + (found / BYTE).trunc_()).clamp_(0, 255).to(torch.uint8)

    def _linf(self, network: Network, x: Tensor, start: Tensor) -> Tensor:
        """Return noise optimised along the gradient's signs, from a random start in the box."""
        budget = self.budget * BYTE
        seen = network(x).detach()
        noise = start * budget
        for _ in range(self.steps):
            noise.requires_grad_()
            away = (network(x + noise) - seen).square().sum()
            (slope,) = torch.autograd.grad(away, noise)
            stepped = noise.detach() + OVERSHOOT * budget / self.steps * slope.sign()
            noise = (x + stepped.clamp_(-budget, budget)).clamp_(-1, 1) - x
        return _with_slack(noise)

    def _l2(self, network: Network, x: Tensor, start: Tensor) -> Tensor:
        """Return noise optimised along the gradient's direction, from a random start in the ball."""
        radius = self.budget * BYTE * x[0].numel() ** 0.5
        seen = network(x).detach()
        noise = _within(start, radius)
        for _ in range(self.steps):
            noise.requires_grad_()
            away = (network(x + noise) - seen).square().sum()
            (slope,) = torch.autograd.grad(away, noise)
            stepped = noise.detach() + OVERSHOOT * radius / self.steps * slope / _length(slope)
            noise = (x + _within(stepped, radius)).clamp_(-1, 1) - x
        return _with_slack(noise)


def _length(rows: Tensor) -> Tensor:
    """Return the norm of each of (N, C, H, W), (N, 1, 1, 1)."""
    return rows.flatten(1).norm(dim=1).clamp(min=_NOTHING)[:, None, None, None]


def _within(noise: Tensor, radius: float) -> Tensor:
    """Return noise (N, C, H, W) projected on the ball."""
    return noise * (radius / _length(noise)).clamp(max=1)


def _with_slack(noise: Tensor) -> Tensor:
    """Return noise a little longer, so that cutting keeps whole bytes that rounding put just below."""
    return noise * (1 + 1e-6)
