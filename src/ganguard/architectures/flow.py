"""Rectified flow: a generator that is trained without a discriminator (Liu et al., "Flow Straight and Fast",
ICLR 2023; Lipman et al., "Flow Matching for Generative Modeling", ICLR 2023).

A network learns the velocity of the straight lines x_t = (1 - t) z + t x from noise z to images x. G follows
that velocity from t = 0 to t = 1 by Heun's method, in a fixed number of steps. Nothing is random on the way:
an image is a pure function of its code, which is the noise z, one number for each pixel and channel.

The network is a small U-Net of residual blocks with GroupNorm (Ho et al. 2020). The time, and a class if
there are any, scale and shift each block (Dhariwal & Nichol 2021).
"""

import math
from collections import deque
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Annotated, ClassVar, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from ganguard.architectures.networks import (
    ConditionalSettings,
    GeneratorNetwork,
    Networks,
    Recipe,
    enlarged,
    pooled,
    require_labels,
)
from ganguard.architectures.sizes import Canvas, canvas_of
from ganguard.base.settings import Positive

GROUPS = 8  # of GroupNorm, or as many as the channels allow
WIDEST = 4  # the most channels, as a multiple of the width
FREQUENCIES, FASTEST = 16, 1000.0  # of the sines and cosines that a time is told by
TIMED_BY: list[float] = torch.linspace(0, math.log(FASTEST), FREQUENCIES).exp().tolist()

Style = tuple[Tensor, Tensor]
"""What a time, and a class, do to the maps of a block, (N or 1, C, 1, 1) each: a factor and a summand."""


class Flow(ConditionalSettings):
    """Settings of a rectified flow. Its codes have an entry for each number of an image.

    Attributes:
        width: channels next to the image; each halving of the side doubles them, up to four times as many.
        solver_steps: steps of Heun's method from noise to an image. Each but the last asks the network twice.
        spacing: 1 makes these steps equally long; more makes them shorter near the image, where its details
            are decided.
        classes: how many classes the network knows; 0 for a network without classes.
    """

    kind: Literal["flow"] = "flow"
    width: Positive = 32
    solver_steps: Annotated[Positive, Field(le=1000)] = 8
    spacing: Annotated[float, Field(ge=1, le=4)] = 1.0

    recipe: ClassVar[Recipe] = Recipe(loss=None, learning_rate=1e-3, betas=(0.9, 0.999), n_dis=1)

    def left_out(self) -> set[str]:
        """Return the fields at their defaults that keys and checkpoints leave out."""
        return super().left_out() | ({"spacing"} if self.spacing == 1 else set[str]())

    def build(self, image_shape: tuple[int, int, int]) -> Networks:
        """Build G for images (C, H, W). There is no D."""
        channels, canvas = canvas_of(image_shape, self.kind)
        times = solver_times(self.solver_steps, self.spacing)
        return Networks(FlowGenerator(channels, canvas, self.width, times, self.classes), None)


def solver_times(steps: int, spacing: float) -> tuple[float, ...]:
    """Return the times at which the solver asks, from 0 to 1: 1 - (1 - i / steps)^spacing (steps + 1,)."""
    return tuple(1 - (1 - step / steps) ** spacing for step in range(steps + 1))


class FlowGenerator(GeneratorNetwork):
    """z (N, C·H·W), with classes also y (N,) -> images (N, C, H, W), about in [-1, 1]."""

    def __init__(
        self, channels: int, canvas: Canvas, width: int, times: tuple[float, ...], classes: int
    ) -> None:
        super().__init__()
        self.shape = (channels, *canvas.image)
        self.latent_dim = math.prod(self.shape)
        self.classes = classes
        self.canvas = canvas
        self.times = times
        self.network = UNet(channels, canvas.doublings + 1, width, classes)

    def velocity(self, x: Tensor, t: Tensor, y: Tensor | None = None) -> Tensor:
        """Return the velocity (N, C, H, W) of points x at times t, (N,) or (1,) for all,
        in [0, 1], of classes y (N,)."""
        return self.velocity_at(t, y)(x)

    def velocity_at(self, t: Tensor, y: Tensor | None = None) -> Callable[[Tensor], Tensor]:
        """Return the velocity, as a function of points x (N, C, H, W), at times t, (N,) or (1,) for all, in
        [0, 1], of classes y (N,). What it knows of t and y is computed once."""
        require_labels(y, self.classes)
        styles = self.network.styles(t, y)
        return lambda x: self.canvas.cropped(self.network(self.canvas.framed(x), styles))

    def forward(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        return deque(self.path(z, y), maxlen=1)[0]  # the last point; no other is kept

    def path(self, z: Tensor, y: Tensor | None = None) -> Iterator[Tensor]:
        """Yield the points (N, C, H, W) at the solver's times, from codes z (N, C·H·W) to images, of classes
        y (N,)."""
        x = z.view(-1, *self.shape)
        yield x
        begun = x.new_zeros(1)  # one time for all images
        now = self.velocity_at(begun, y)
        for t, following in pairwise(self.times[:-1]):
            h, then = following - t, self.velocity_at(begun + following, y)
            v = now(x)
            x, now = x + h * ((v + then(x + h * v)) / 2), then
            yield x
        yield x + (1 - self.times[-2]) * now(x)  # the last step is Euler's: at t = 1 nothing was learnt


class UNet(nn.Module):
    """x (N, C, H, W), and the styles of t (N,) or (1,) for all, with classes also of y (N,) -> the velocity
    (N, C, H, W)."""

    def __init__(self, channels: int, levels: int, width: int, classes: int) -> None:
        super().__init__()
        widths = [width * min(2**level, WIDEST) for level in range(levels)]
        above, below = [width, *widths[:-1]], [*widths[1:], widths[-1]]
        told = 4 * width
        self.time = nn.Sequential(
            nn.Linear(2 * FREQUENCIES, told), nn.SiLU(), nn.Linear(told, told), nn.SiLU()
        )
        if classes:
            self.embedding = nn.Embedding(classes, told)
        self.from_image = nn.Conv2d(channels, width, 3, padding=1)
        self.down = nn.ModuleList(TimedBlock(*pair) for pair in zip(above, widths, strict=True))
        self.middle = TimedBlock(widths[-1], widths[-1])
        self.up = nn.ModuleList(
            TimedBlock(inputs + outputs, outputs)
            for inputs, outputs in zip(reversed(below), reversed(widths), strict=True)
        )
        outputs = [block.outputs for block in self.modules() if isinstance(block, TimedBlock)]
        self.sizes = [size for each in outputs for size in (each, each)]
        self.scales_and_shifts = nn.Linear(told, sum(self.sizes))  # one product instead of many small ones
        self.norm = _group_norm(width)
        self.to_image = _zero(nn.Conv2d(width, channels, 3, padding=1))

    def styles(self, t: Tensor, y: Tensor | None) -> list[Style]:
        """Return the style of each block, in their order, at times t (N,) or (1,), of classes y (N,)."""
        angles = t[:, None] * torch.tensor(TIMED_BY, device=t.device)
        told = self.time(torch.cat([angles.sin(), angles.cos()], 1))
        if y is not None:
            told = told + self.embedding(y)
        parts = self.scales_and_shifts(told)[:, :, None, None].split(self.sizes, 1)
        return [(1 + scale, shift) for scale, shift in zip(parts[::2], parts[1::2], strict=True)]

    def forward(self, x: Tensor, styles: list[Style]) -> Tensor:
        style = iter(styles)
        h = self.from_image(x)
        passed: list[Tensor] = []
        for level, block in enumerate(self.down):
            h = block(_halved(h) if level else h, next(style))
            passed.append(h)
        h = self.middle(h, next(style))
        for level, block in enumerate(self.up):
            h = block(torch.cat([_doubled(h) if level else h, passed.pop()], 1), next(style))
        return self.to_image(_silu(self.norm(h)))


class TimedBlock(nn.Module):
    """x (N, inputs, H, W), and a style -> (N, outputs, H, W): a residual block that begins as its
    shortcut."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.outputs = outputs
        self.norm1, self.conv1 = _group_norm(inputs), nn.Conv2d(inputs, outputs, 3, padding=1)
        self.norm2 = nn.GroupNorm(math.gcd(GROUPS, outputs), outputs, affine=False)
        self.conv2 = _zero(nn.Conv2d(outputs, outputs, 3, padding=1))
        self.shortcut = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else nn.Identity()

    def forward(self, x: Tensor, style: Style) -> Tensor:
        factor, shift = style
        h = self.conv1(_silu(self.norm1(x)))
        if len(factor) == 1:  # one time for all images, as in sampling: the norm's own factor and summand
            h = F.group_norm(h, self.norm2.num_groups, factor.flatten(), shift.flatten())
        else:
            h = torch.addcmul(shift, self.norm2(h), factor)
        return self.shortcut(x) + self.conv2(_silu(h))


def _halved(h: Tensor) -> Tensor:
    """Halve the side, as `pooled` does and to the same bits. On CPU, unless channels lie last, four sums are
    twice as fast as torch's pooling."""
    if h.device.type != "cpu" or not h.is_contiguous():
        return pooled(h, 1)
    above, below = h[:, :, ::2], h[:, :, 1::2]
    return (above[..., ::2] + above[..., 1::2] + below[..., ::2] + below[..., 1::2]) / 4


def _doubled(h: Tensor) -> Tensor:
    """Double the side by repeating pixels. On CPU, torch is several times faster at that where channels lie
    last."""
    if h.device.type == "cpu":
        h = h.contiguous(memory_format=torch.channels_last)
    return enlarged(h, 1)


def _silu(fresh: Tensor) -> Tensor:
    """Return SiLU of what nobody else reads: in its own memory, unless a gradient will ask for it, or a trace
    must be the same with gradients."""
    traced = torch.jit.is_tracing()  # pyright: ignore[reportPrivateImportUsage]
    return F.silu(fresh, inplace=not (torch.is_grad_enabled() or traced))


def _group_norm(channels: int) -> nn.GroupNorm:
    return nn.GroupNorm(math.gcd(GROUPS, channels), channels)


def _zero(layer: nn.Conv2d) -> nn.Conv2d:
    """Return a layer that gives 0 at first."""
    nn.init.zeros_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer
