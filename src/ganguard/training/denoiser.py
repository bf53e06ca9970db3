"""A denoiser that is learnt from noisy images alone, without a clean one.

Noise2Self (Batson & Royer 2019): the network predicts pixels that it does not see, J, from all others. If the
noise of a pixel is independent of that of others and has mean 0, its loss against the noisy pixels is that
against the clean ones, plus the noise's variance. So the loss on held-out noisy images chooses the weights.

Noise2Noise (Lehtinen et al. 2018): of two noisy answers for one image, the network predicts one from the
other, and sees all of it. Its loss, too, is that against the clean image, plus the noise's variance.

With Noise2Self, a hidden pixel has a noisy value, too. If the strength of the noise is known, the network
also predicts how far it may err, and both are weighed against each other (Laine et al. 2019, equation 4): the
normal law of a pixel given those around it is the prior, and the noisy value the evidence.

Noise that is clamped to the range of a pixel has a mean other than 0 near black and white, and less variance.
The network then finds the mean of what the noise makes of a pixel, which grows with the pixel; this is undone
in the end.
"""

from dataclasses import dataclass
from types import EllipsisType
from typing import Annotated, Protocol

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn
from torch.optim import Adam

from ganguard.base.compute import Compute, use_threads
from ganguard.base.errors import StepError
from ganguard.base.images import to_float, to_uint8
from ganguard.base.progress import Progress, silent
from ganguard.base.seeds import seeded_weights, torch_generator
from ganguard.base.settings import Float, Positive, Settings

GRID = 4  # J is every fourth pixel across and down, so that no neighbour of a hidden pixel is hidden
DILATIONS = (1, 2, 2, 1)  # of the convolutions: each pixel is predicted from 13x13 around it
CROP = 32  # side of the largest piece of an image that an update learns from
HELD_OUT = 0.1  # share of the images that choose the weights
LOOKS = 10  # how often they do
FEWEST = 2  # images: one to learn from, one held out
SLOPE = 0.1
AT_ONCE = 256  # images
LOG_VARIANCE = (-12.0, 2.0)  # least and greatest that is predicted
_LEVELS = np.linspace(-1.0, 1.0, 1025)


Piece = tuple[EllipsisType, slice, slice]
"""Which rows and columns of images."""
WHOLE: Piece = (..., slice(None), slice(None))


class DenoiserSettings(Settings):
    """How a denoiser is learnt.

    Attributes:
        steps: updates.
        width: channels of its layers.
        batch_size: images of an update.
        learning_rate: at first; it falls to 0 along a cosine.
        noise: standard deviation, on the scale of [-1, 1], of Gaussian noise that was clamped to that range;
            0 if it is not known. Each pixel is then predicted from others alone.
    """

    steps: Positive = 1000
    width: Annotated[Positive, Field(le=1024)] = 32
    batch_size: Annotated[Positive, Field(le=4096)] = 64
    learning_rate: Annotated[Float, Field(gt=0, le=1)] = 2e-3
    noise: Annotated[Float, Field(ge=0, le=2)] = 0.0


@dataclass(frozen=True)
class Denoised:
    """What a denoiser made of noisy images.

    Attributes:
        images: (N, C, H, W) uint8.
        error: mean squared error, on the scale of [-1, 1], with which it predicts what it does not see of
            held-out images: hidden pixels, or the other answer. It holds the variance of their noise.
    """

    images: Tensor
    error: float


class Denoiser(nn.Module):
    """Images (N, C, H, W) float32 with hidden pixels or with noise, of any H and W -> the mean of each pixel,
    and the logarithm of the variance of what it may be, both (N, C, H, W)."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        sizes = [channels, *[width] * len(DILATIONS)]
        layers: list[nn.Module] = []
        for before, after, dilation in zip(sizes, sizes[1:], DILATIONS, strict=False):
            layers += [nn.Conv2d(before, after, 3, padding=dilation, dilation=dilation), nn.LeakyReLU(SLOPE)]
        self.layers = nn.Sequential(*layers, nn.Conv2d(width, 2 * channels, 1))

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        mean, log_variance = self.layers(images).chunk(2, 1)
        return mean, log_variance.clamp(*LOG_VARIANCE)


def denoise(
    images: Tensor,
    settings: DenoiserSettings,
    *,
    seed: int,
    compute: Compute,
    others: Tensor | None = None,
    progress: Progress = silent,
) -> Denoised:
    """Learn a denoiser from noisy images, and return them without noise.

    Args:
        images: (N, C, H, W) uint8, at least FEWEST.
        settings: how it is learnt.
        seed: of its weights and its training.
        compute: device type and threads.
        others: second answers for the same images, with noise of their own, (N, C, H, W) uint8. The denoiser
            is then learnt by Noise2Noise, and an image is the mean of what it makes of both. None learns it
            by Noise2Self.
        progress: told how many of `steps` are done.

    Raises StepError if there are fewer images, or if the loss is not finite.
    """
    if len(images) < FEWEST:
        raise StepError(f"a denoiser is learnt from {FEWEST} images or more; got {len(images)}.")
    device, law = compute.torch_device(), NoiseLaw(settings.noise)
    noisy = to_float(images).to(device)
    task = _Hiding(noisy, law) if others is None else _Paired(noisy, to_float(others).to(device))
    with use_threads(compute.threads):
        network, error = _learnt(task, settings, seed, progress)
        parts = torch.arange(len(noisy), device=device).split(AT_ONCE)
        clean = torch.cat([task.cleaned(network, rows) for rows in parts])
    return Denoised(to_uint8(law.unclamped(clean.cpu())), error)


class NoiseLaw:
    """What Gaussian noise of a standard deviation, clamped to [-1, 1], makes of a pixel's level.

    noise: the standard deviation; 0 if it is not known.
    """

    def __init__(self, noise: float) -> None:
        self.known = noise > 0
        self._means, self._variances = clamped_moments(_LEVELS, noise) if self.known else (_LEVELS, _LEVELS)

    def variance(self, means: Tensor) -> Tensor:
        """Return the variance of noisy values whose means are given."""
        found = np.interp(means.detach().cpu().double().numpy(), self._means, self._variances)
        return torch.from_numpy(found).to(means)

    def unclamped(self, means: Tensor) -> Tensor:
        """Return the levels, in [-1, 1], of pixels whose noisy values have these means."""
        return torch.from_numpy(np.interp(means.double().numpy(), self._means, _LEVELS)).to(means)


class _Task(Protocol):
    """What a denoiser learns to predict from what."""

    @property
    def noisy(self) -> Tensor:
        """The noisy images, (N, C, H, W) in [-1, 1]."""
        ...

    def losses(
        self, network: Denoiser, rows: Tensor, phases: Tensor, piece: Piece = WHOLE
    ) -> tuple[Tensor, Tensor]:
        """Return the loss on some images, and the mean squared error of what is predicted unseen.

        Args:
            network: the denoiser.
            rows: (n,), the images.
            phases: (n,), which pixels of each are hidden, if any are.
            piece: what part of each image.
        """
        ...

    def cleaned(self, network: Denoiser, rows: Tensor) -> Tensor:
        """Return some images (n, C, H, W) without noise, as means of noisy values."""
        ...


@dataclass(frozen=True)
class _Hiding:
    """Noise2Self: predict hidden pixels from all others.

    The loss is the squared error, or the negative log-likelihood of the noisy values if the noise is known.
    """

    noisy: Tensor
    law: NoiseLaw

    def losses(
        self, network: Denoiser, rows: Tensor, phases: Tensor, piece: Piece = WHOLE
    ) -> tuple[Tensor, Tensor]:
        noisy = self.noisy[rows][piece]
        hidden = hidden_pixels(phases, noisy)
        mean, log_variance = network(filled(noisy, hidden))
        squared = (mean - noisy).square()
        losses = squared
        if self.law.known:
            variance = log_variance.exp() + self.law.variance(mean)
            losses = (squared / variance + variance.log()) / 2
        count = (hidden.sum() * noisy.shape[1]).clamp(min=1)
        return (losses * hidden).sum() / count, (squared * hidden).sum() / count

    @torch.no_grad()
    def cleaned(self, network: Denoiser, rows: Tensor) -> Tensor:
        noisy = self.noisy[rows]
        clean = torch.zeros_like(noisy)
        for phase in range(GRID * GRID):
            hidden = hidden_pixels(torch.full((1,), phase, device=noisy.device), noisy)
            mean, log_variance = network(filled(noisy, hidden))
            if self.law.known:
                variance = log_variance.exp()
                mean = mean + variance / (variance + self.law.variance(mean)) * (noisy - mean)
            clean += mean * hidden
        return clean


@dataclass(frozen=True)
class _Paired:
    """Noise2Noise: predict each of two answers from the other."""

    noisy: Tensor
    others: Tensor

    def losses(
        self, network: Denoiser, rows: Tensor, phases: Tensor, piece: Piece = WHOLE
    ) -> tuple[Tensor, Tensor]:
        one, other = self.noisy[rows][piece], self.others[rows][piece]
        loss = ((network(one)[0] - other).square().mean() + (network(other)[0] - one).square().mean()) / 2
        return loss, loss

    @torch.no_grad()
    def cleaned(self, network: Denoiser, rows: Tensor) -> Tensor:
        return (network(self.noisy[rows])[0] + network(self.others[rows])[0]) / 2


def _learnt(task: _Task, settings: DenoiserSettings, seed: int, progress: Progress) -> tuple[Denoiser, float]:
    """Return the network with the weights that were best on held-out images, and their squared error."""
    generator, noisy = torch_generator(seed, "denoiser"), task.noisy
    with seeded_weights(seed):
        network = Denoiser(noisy.shape[1], settings.width).to(noisy.device)
    mixed = torch.randperm(len(noisy), generator=generator).to(noisy.device)
    held_out, own = mixed.split([cut := max(1, int(HELD_OUT * len(mixed))), len(mixed) - cut])
    optimizer = Adam(network.parameters(), lr=settings.learning_rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, settings.steps)
    best, least, error = network.state_dict(), float("inf"), float("inf")
    for step in range(1, settings.steps + 1):
        rows = torch.randint(len(own), (settings.batch_size,), generator=generator).to(noisy.device)
        phases = torch.randint(GRID * GRID, (settings.batch_size,), generator=generator).to(noisy.device)
        loss, _ = task.losses(network, own[rows], phases, _piece(noisy, generator))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if step % max(1, settings.steps // LOOKS) == 0 or step == settings.steps:
            found, squared = _held_out(task, network, held_out)
            if found < least:
                best = {name: value.clone() for name, value in network.state_dict().items()}
                least, error = found, squared
            progress(step, settings.steps, "denoiser")
    if not np.isfinite(least):
        raise StepError("the denoiser diverged: its loss was never finite. Train it with other settings.")
    network.load_state_dict(best)
    return network.eval(), error


def _piece(images: Tensor, generator: torch.Generator) -> Piece:
    """Return where a piece of an image lies, of at most CROP pixels a side."""
    top, left = (
        int(torch.randint(max(1, side - CROP + 1), (1,), generator=generator)) for side in images.shape[2:]
    )
    return (..., slice(top, top + CROP), slice(left, left + CROP))


@torch.no_grad()
def _held_out(task: _Task, network: Denoiser, rows: Tensor) -> tuple[float, float]:
    """Return both losses on held-out images, of which each hides other pixels than the one before."""
    phases = torch.arange(len(rows), device=rows.device) % (GRID * GRID)
    parts = zip(rows.split(AT_ONCE), phases.split(AT_ONCE), strict=True)
    found = [(len(part), task.losses(network, part, own)) for part, own in parts]
    loss, squared = (sum(count * each[which].item() for count, each in found) / len(rows) for which in (0, 1))
    return loss, squared


def hidden_pixels(phases: Tensor, images: Tensor) -> Tensor:
    """Return 1 at the hidden pixels of each image and 0 elsewhere, (len(phases), 1, H, W) float32.

    phases: at which of the first GRID x GRID pixels the grid of hidden ones begins.
    """
    y, x = (torch.arange(side, device=images.device) % GRID for side in images.shape[2:])
    down = y == (phases // GRID)[:, None]
    across = x == (phases % GRID)[:, None]
    return (down[:, :, None] & across[:, None, :])[:, None].float()


def filled(images: Tensor, hidden: Tensor) -> Tensor:
    """Return images whose hidden pixels are the mean of the eight around them, as far as there are any."""
    channels = images.shape[1]
    around = images.new_ones(channels, 1, 3, 3)
    around[:, :, 1, 1] = 0  # so that a hidden pixel leaves no trace, not even of rounding
    sums = nn.functional.conv2d(images, around, padding=1, groups=channels)
    there = nn.functional.conv2d(torch.ones_like(images[:1]), around, padding=1, groups=channels)
    return torch.where(hidden > 0, sums / there.clamp(min=1), images)


def clamped_moments(levels: np.ndarray, noise: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean and the variance of clamp(x + N(0, noise²), -1, 1) for levels x in [-1, 1]."""
    from scipy.stats import norm

    low, high = (-1 - levels) / noise, (1 - levels) / noise
    inside, below, above = norm.cdf(high) - norm.cdf(low), norm.cdf(low), norm.sf(high)
    slope = noise * (norm.pdf(low) - norm.pdf(high))
    mean = levels * inside + slope + above - below
    # E[n²] over -1 < x + n < 1 is σ² (inside + low φ(low) - high φ(high)).
    noise_squared = noise**2 * (inside + low * norm.pdf(low) - high * norm.pdf(high))
    square = levels**2 * inside + 2 * levels * slope + noise_squared + above + below
    return mean, square - mean**2
