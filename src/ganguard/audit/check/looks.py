"""A few images of the target beside real ones: range, purity, speed, and how near they are to them."""

import resource
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ganguard.base.cache import write_bytes
from ganguard.base.codecs import encode_png
from ganguard.base.compute import Compute
from ganguard.base.errors import MetricError
from ganguard.base.grids import GAP, tiled
from ganguard.base.images import colours_of, composed, in_channels
from ganguard.comparison.embedding import Embedding
from ganguard.metrics import kernel_distance
from ganguard.metrics.features.network import (
    FeatureNetwork,
    Standardisation,
    extract,
)
from ganguard.queries.harvest import SHARD
from ganguard.targets.ask import Ask
from ganguard.targets.conditions import conditions_of
from ganguard.targets.protocol import BlackBoxTarget

SHOWN = 64  # images of each side
PICTURE = "check.png"
_COLUMNS = 8
_GUTTER = 8  # pixels between both sides
_NARROW = 0.5  # a target's range is narrow below this share of that of real images
_TAIL = 0.01  # share of pixels at either end that a range leaves out
_ERRORS = 2.0  # standard errors


@dataclass(frozen=True)
class Pixels:
    """The range of some images, in bytes.

    Attributes:
        low, high: smallest and largest byte.
        dark, light: the bytes between which all but a hundredth of the pixels lie, at either end.
        levels: how many different bytes there are.
    """

    low: int
    high: int
    dark: int
    light: int
    levels: int

    @classmethod
    def of(cls, images: Tensor) -> "Pixels":
        """Return the range of images (N, C, H, W) uint8."""
        counts = torch.bincount(images.flatten().int(), minlength=256)
        shares = counts.cumsum(0) / counts.sum()
        there = counts.nonzero()[:, 0]
        dark, light = (int(torch.searchsorted(shares, share)) for share in (_TAIL, 1 - _TAIL))
        return cls(int(there[0]), int(there[-1]), dark, light, len(there))


@dataclass(frozen=True)
class Nearness:
    """How far some images are from real ones: kernel distances of sets of `images`, with standard errors.

    Attributes:
        target, noise, real: of the target's images, of noise, and of other real ones.
        images: in each set.
        network: kind of the feature network.
    """

    target: tuple[float, float]
    noise: tuple[float, float]
    real: tuple[float, float]
    images: int
    network: str

    def broken(self) -> bool:
        """Return whether the target is no nearer to real images than noise is, by two standard errors."""
        (target, one), (noise, other) = self.target, self.noise
        return target >= noise - _ERRORS * (one**2 + other**2) ** 0.5


def narrow(target: Pixels, real: Pixels) -> str:
    """Return a remark if a target hardly fills the range of real images, or ""."""
    own, wanted = target.light - target.dark, real.light - real.dark
    if own >= _NARROW * wanted:
        return ""
    return (
        f"the target's pixels lie in {target.dark} to {target.light}, real ones in {real.dark} to "
        f"{real.light}: check the range that its generator gives."
    )


def now() -> float:
    """Return a time in seconds, for differences."""
    return time.perf_counter()


def drawn(target: BlackBoxTarget, count: int, seed: int) -> tuple[Tensor, float]:
    """Return the first images (count, C, H, W) of a target that is at hand, and the seconds of one."""
    target.sample(range(1), seed=seed)  # the first one also chooses kernels
    began = now()
    images = target.sample(range(count), seed=seed)
    return images, (now() - began) / count


def impure(target: BlackBoxTarget, images: Tensor, seed: int) -> str:
    """Return what is wrong if a target's images depend on how they are asked for, or "".

    Its first `images` are asked for again: all, the later half alone, and the last by itself.
    """
    count = len(images)
    for first, how in ((0, "the second time"), (count // 2, "in a smaller request"), (count - 1, "alone")):
        again = target.sample(range(first, count), seed=seed)
        if not torch.equal(again, images[first:]):
            return f"images from {first} on differ when they are asked for {how}; they must be the same."
    return ""


def nearness(
    images: Tensor,
    real: Tensor,
    reference: Tensor,
    of: Embedding | tuple[str, FeatureNetwork],
    compute: Compute,
) -> Nearness:
    """Return how far images are from real ones, beside noise and other real images.

    Args:
        images: of the target, (n, C, H, W) uint8.
        real: of the train split, (M, C, H, W), which also scale the features of a network without a scale.
        reference: of the reference split.
        of: the audit's features, or the kind of another network and that network.
        compute: device type and threads.

    Raises MetricError if there are too few images.
    """
    count = min(len(images), len(real) // 2, len(reference))
    if count < 4:
        raise MetricError(f"how near images are takes at least 4 of each kind; got {count}.")
    if isinstance(of, Embedding):
        kind, embed = of.settings.kind, of
    else:
        kind, network = of
        scale = Standardisation.fit(extract(network, real, compute), "the set of real images")

        def embed(images: Tensor) -> Tensor:
            return scale(extract(network, images, compute))

    generator = torch.Generator().manual_seed(0)
    noise = torch.randint(0, 256, (count, *images.shape[1:]), dtype=torch.uint8, generator=generator)
    against = embed(reference[:count])
    sets = (embed(shown[:count]) for shown in (images, noise, real))
    found = [kernel_distance(shown, against, subsets=1, subset_size=count) for shown in sets]
    (target, noisy, other) = ((one.mean, one.std) for one in found)
    return Nearness(target, noisy, other, count, kind)


def some(images: Tensor, rows: Tensor, most: int = SHARD) -> Tensor:
    """Return up to `most` of the chosen images (N, C, H, W), evenly spread over their order."""
    step = max(1, len(rows) // most)
    return images[rows[::step][:most]]


def save_picture(generated: Tensor | None, real: Tensor, directory: Path) -> Path:
    """Write the picture: images of the target on the left, real ones on the right. Return its path."""
    right = tiled(composed(real[:SHOWN]), _COLUMNS)
    sides = [right]
    if generated is not None:
        channels = max(colours_of(side.shape[1]) for side in (generated, real))
        sides = [tiled(in_channels(side[:SHOWN], channels), _COLUMNS) for side in (generated, real)]
    height = max(side.shape[1] for side in sides)
    gutter = torch.full((sides[0].shape[0], height, _GUTTER + GAP), 255, dtype=torch.uint8)
    padded = [torch.nn.functional.pad(side, (0, 0, 0, height - side.shape[1]), value=128) for side in sides]
    whole = torch.cat([padded[0], gutter, padded[1]], 2) if len(padded) == 2 else padded[0]
    path = directory / PICTURE
    write_bytes(path, encode_png(whole))
    return path


def peak_memory(compute: Compute) -> tuple[int, int]:
    """Return the most bytes that this process has held, in memory and on a GPU."""
    held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024  # Linux counts KiB
    device = compute.torch_device()
    return held, torch.cuda.max_memory_allocated(device) if device.type == "cuda" else 0


def asks(target: BlackBoxTarget, ask: Ask) -> str:
    """Return what a target can be asked for, and how the audit asks for it; "" if it takes no conditions."""
    known = conditions_of(target)
    return f"{known}; the audit asks {ask.label()}" if known else ""
