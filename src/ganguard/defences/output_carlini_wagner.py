"""Carlini and Wagner's noise (2017, "Towards Evaluating the Robustness of Neural Networks", L2 attack): the
smallest perturbation by which a feature network sees another image.

Their attack minimises |d|^2 + c f(x + d), with f above 0 as long as the goal is missed, by Adam, and searches
c for the least perturbation that reaches the goal. Their goal is another class. Features have none, so the
goal here is a distance: the features of the image move by `distance` times their own length,

    f(x + d) = max(0, 1 - |phi(x + d) - phi(x)| / (distance |phi(x)|)).

Of their three ways to keep pixels in range, the first, projection, is taken: optimising over tanh, which they
prefer, has no slope at black and white pixels, of which digits are full.
"""

from typing import Annotated, Literal, Self

import torch
from pydantic import Field
from torch import Tensor

from ganguard.base.settings import Float, Positive
from ganguard.defences.misleading import BYTE, MisleadingNoise, Network, searched
from ganguard.defences.protocol import Tools
from ganguard.defences.streams import Streams

STEPS, SEARCHES = 30, 4
RATE = 0.02  # of Adam, on the scale of [-1, 1]
FIRST_WEIGHT, FACTOR = 1.0, 10.0  # of c, and what it grows by while no goal is reached
GREATEST = 100.0
_NOTHING = 1e-12


class CarliniWagner(MisleadingNoise):
    """Perturb images as little as makes a feature network see others.

    Attributes:
        distance: how far an image's features must move, in units of their own length. Where no perturbation
            that is found moves them so far, the one that moves them farthest is taken.
        steps: steps of Adam for each weight c.
        searches: weights c that are tried for each image.
    """

    kind: Literal["carlini_wagner"] = "carlini_wagner"
    distance: Annotated[Float, Field(ge=0, le=GREATEST)]
    steps: Positive = STEPS
    searches: Positive = SEARCHES

    def label(self) -> str:
        """Return the kind, the distance, and the settings that differ from the defaults."""
        steps = "" if self.steps == STEPS else f", {self.steps} steps"
        searches = "" if self.searches == SEARCHES else f", {self.searches} weights"
        return f"Carlini-Wagner noise {self.distance:g}" + steps + searches + self.against()

    def scaled(self, factor: float) -> Self:
        """Return the defence with `factor` times the distance."""
        return self.model_copy(update={"distance": min(GREATEST, self.distance * factor)})

    def change(self, images: Tensor, streams: Streams, tools: Tools) -> Tensor:
        """Return images (N, C, H, W) uint8, each with the least perturbation found, rounded to bytes.

        The search starts at noise of less than a byte from the image's stream.
        """
        if len(images) == 0 or self.distance == 0:
            return images
        network = self.network_by(tools)
        found = searched(images, streams, lambda clean, begin: self._least(network, clean, begin))
        return (images + (found / BYTE).round_()).clamp_(0, 255).to(torch.uint8)

    def _least(self, network: Network, x: Tensor, start: Tensor) -> Tensor:
        """Return the least noise (N, C, H, W) that reaches the goal; if none does, that which goes farthest.

        x: float images; start: noise in [-1, 1].
        """
        seen = network(x).detach()
        goal = (self.distance * seen.norm(dim=1)).clamp(min=_NOTHING)
        best = _Best(x)
        low, high = torch.zeros(len(x)), torch.full((len(x),), torch.inf)
        weight = torch.full((len(x),), FIRST_WEIGHT)
        for _ in range(self.searches):
            reached = self._descend(network, x, start * BYTE, seen, goal, weight, best)
            high, low = torch.where(reached, weight, high), torch.where(reached, low, weight)
            weight = torch.where(high.isinf(), weight * FACTOR, (low + high.nan_to_num(posinf=0.0)) / 2)
        return best.noise

    def _descend(
        self,
        network: Network,
        x: Tensor,
        noise: Tensor,
        seen: Tensor,
        goal: Tensor,
        weight: Tensor,
        best: "_Best",
    ) -> Tensor:
        """Take the steps of Adam for one weight c of each image, and return which images (N,) reached it."""
        first, second = torch.zeros_like(noise), torch.zeros_like(noise)
        reached = torch.zeros(len(x), dtype=torch.bool)
        for step in range(1, self.steps + 1):
            noise = ((x + noise).clamp(-1, 1) - x).requires_grad_()
            moved = (network(x + noise) - seen).square().sum(1).clamp(min=_NOTHING).sqrt() / goal
            size = noise.square().flatten(1).sum(1)
            (slope,) = torch.autograd.grad((size + weight * (1 - moved).clamp(min=0)).sum(), noise)
            noise = noise.detach()
            best.offer(noise, moved.detach(), size.detach())
            reached |= moved.detach() >= 1
            first.mul_(0.9).add_(slope, alpha=0.1)
            second.mul_(0.999).addcmul_(slope, slope, value=0.001)
            ahead = first / (1 - 0.9**step) / ((second / (1 - 0.999**step)).sqrt() + 1e-8)
            noise = noise - RATE * ahead
        return reached


class _Best:
    """The best noise of each image so far: the least that reached the goal, else that which went farthest."""

    def __init__(self, x: Tensor) -> None:
        self.noise = torch.zeros_like(x)
        self._moved, self._size = torch.zeros(len(x)), torch.full((len(x),), torch.inf)

    def offer(self, noise: Tensor, moved: Tensor, size: Tensor) -> None:
        """Take the noise (N, C, H, W) where it is better.

        moved: how far it moves features, in units of the goal, (N,); size: its squared length, (N,).
        """
        there, before = moved >= 1, self._moved >= 1
        better = torch.where(there & before, size < self._size, there | (~before & (moved > self._moved)))
        self.noise = torch.where(better[:, None, None, None], noise, self.noise)
        self._moved, self._size = (
            torch.where(better, new, old) for new, old in ((moved, self._moved), (size, self._size))
        )
