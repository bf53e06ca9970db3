"""Adversarial noise (Hu & Pang 2021): a small perturbation that makes a feature network see another image.

Projected gradient steps drive the features as far as possible from those of the original image: with the norm
"linf" along the gradient's signs (Madry et al. 2018), with "l2" along the gradient. Carlini and Wagner (2017)
describe three ways to keep pixels in range. Optimising over tanh, their choice, has no slope at black and
white pixels, of which digits are full; so the first way, projection, is used here.
"""

from collections.abc import Callable
from typing import Annotated, Any, Literal, Self

import torch
from pydantic import BeforeValidator, Field
from torch import Tensor

from ganguard.base.errors import SpecError
from ganguard.base.images import to_float
from ganguard.base.settings import LONGEST_VALUE, Float, Plain, Positive, one_line
from ganguard.defences.protocol import OutputDefence, Tools
from ganguard.defences.streams import Streams
from ganguard.targets.batching import MICRO_BATCH, in_micro_batches

BYTE = 1 / 127.5  # one step of a byte on the scale of [-1, 1]
STEPS = 20
OVERSHOOT = 2.5  # length of a gradient step, in units of budget / steps (Madry et al. 2018)
# Micro-batches of larger images hold fewer of them, since even a request of one image is filled up to one.
PIXELS_AT_ONCE = MICRO_BATCH * 64 * 64
_NOTHING = 1e-12

Network = Callable[[Tensor], Tensor]


class AdversarialNoise(OutputDefence):
    """Perturb images so that a feature network sees others.

    Attributes:
        budget: size of the perturbation, in [0, 255] units: with "linf" the largest change of a byte, with
            "l2" the root mean square over an image's bytes. Perturbations are rounded towards 0 to whole
            bytes, so that the budget always holds.
        norm: how the size is measured.
        steps: steps of the optimisation.
        network: the feature network that is misled: its name, or a mapping as in `features`. A network by
            which the audit also measures would flatter the defence; the default differs from those.
    """

    kind: Literal["adversarial_noise"] = "adversarial_noise"
    budget: Annotated[Float, Field(ge=0, le=255)]
    norm: Literal["linf", "l2"] = "linf"
    steps: Positive = STEPS
    network: Annotated[Plain, BeforeValidator(lambda v: {"kind": v} if isinstance(v, str) else v)] = Field(
        default={"kind": "random_network", "seed": 1}, validate_default=True
    )

    def label(self) -> str:
        """Return the kind, the budget, and the settings that differ from the defaults."""
        kind = str(self.network.get("kind"))
        against = "" if kind == "random_network" else f", against {kind}"
        steps = "" if self.steps == STEPS else f", {self.steps} steps"
        return f"adversarial noise {self.budget:g}" + (" L2" if self.norm == "l2" else "") + steps + against

    def scaled(self, factor: float) -> Self:
        """Return the defence with `factor` times the budget."""
        return self.model_copy(update={"budget": min(255.0, self.budget * factor)})

    def require(self, image_shape: tuple[int, int, int], tools: Tools) -> None:
        """Raise InputError if the feature network cannot be made, or cannot see images (C, H, W)."""
        network = self._network(tools)
        try:
            network(torch.zeros(1, *image_shape))
        except (RuntimeError, ValueError) as problem:  # torch raises the first, other libraries the second
            channels, height, width = image_shape
            raise SpecError(
                f"adversarial_noise: network: {self.network.get('kind')} cannot see images of "
                f"{height}x{width} pixels and {channels} channels ({one_line(problem, LONGEST_VALUE)}). "
                "Choose another network."
            ) from None

    def version(self, tools: Tools) -> dict[str, Any]:
        """Return the version of the defence and of the feature network."""
        return super().version(tools) | {
            "network": tools.version_of(self.network) if tools.version_of else None
        }

    def _network(self, tools: Tools) -> Network:
        if tools.network_of is None:
            raise SpecError(
                "adversarial_noise needs a feature network, but was given no means of making one: pass "
                "Tools(network_of=...)."
            )
        return tools.network_of(self.network)

    def change(self, images: Tensor, streams: Streams, tools: Tools) -> Tensor:
        """Return images (N, C, H, W) uint8, each with a perturbation of its own.

        The search for a perturbation starts at noise from the image's stream.
        """
        if len(images) == 0 or self.budget == 0 or (self.norm == "linf" and self.budget < 1):
            return images  # there are none, or no byte may change
        network = self._network(tools)
        search = self._linf if self.norm == "linf" else self._l2

        def perturb(rows: Tensor) -> Tensor:
            with torch.inference_mode(False), torch.enable_grad():
                clean, begin = (part.clone() for part in rows.chunk(2, 1))
                return search(network, clean, begin)

        at_once = max(1, min(MICRO_BATCH, PIXELS_AT_ONCE // images[0, 0].numel()))
        changed = torch.empty_like(images)
        for first in range(0, len(images), at_once):  # floats of all images would take much memory
            part = slice(first, first + at_once)
            start = streams[part].uniform(images[0].numel()).float().mul_(2).sub_(1).view(images[part].shape)
            rows = torch.cat([to_float(images[part]), start], 1)
            found = in_micro_batches(perturb, rows, torch.device("cpu"), at_once)
            changed[part] = (images[part] + (found / BYTE).trunc_()).clamp_(0, 255).to(torch.uint8)
        return changed

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
