"""From the names and shapes of another package's weights to a network of ganguard's that computes the same.

- mimicry (Lee & Town 2020, "Mimicry: Towards the Reproducibility of GAN Research"): the SNGAN networks, whose
  G its other unconditional residual GANs share, and its cGAN-PD.
- StudioGAN (Kang et al. 2023, "StudioGAN: A Taxonomy and Benchmark of GANs for Image Synthesis"): the
  backbone "resnet", unconditional, or conditional by BatchNorm in G and by projection in D.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from ganguard.architectures.sngan import SNGANDiscriminator, SNGANGenerator
from ganguard.base.errors import TargetError
from ganguard.base.settings import one_line
from ganguard.targets.other_houses.class_norms import by_class
from ganguard.targets.other_houses.networks import discriminator, generator

Weights = Mapping[str, Tensor]
Network = TypeVar("Network", bound=nn.Module)
_NO_NETWORK = (ArithmeticError, LookupError, RuntimeError, TypeError, ValueError)
_ORIGINAL = "parametrizations.weight"


@dataclass(frozen=True)
class Layout:
    """How a package names the parts of G and D.

    Attributes:
        name: the package.
        g_parts, d_parts: pattern of a name's beginning -> our name. `{n}` in ours is the number in theirs.
        first_block: the number of the first block of G, and of D, in names.
        repeating: whether G enlarges by repeating pixels.
        epsilon: what BatchNorm adds to the variance.
        widens_first: whether a block of D widens at its first convolution.
    """

    name: str
    g_parts: Mapping[str, str]
    d_parts: Mapping[str, str]
    first_block: tuple[int, int]
    repeating: bool
    epsilon: float
    widens_first: bool


_MIMICRY_BLOCK = {"b1": "norm1", "b2": "norm2", "c1": "conv1", "c2": "conv2", "c_sc": "shortcut"}
_STUDIO_BLOCK = {
    "bn1": "norm1",
    "bn2": "norm2",
    "conv2d1": "conv1",
    "conv2d2": "conv2",
    "conv2d0": "shortcut",
}
MIMICRY = Layout(
    "mimicry",
    {"l1": "project", r"b\d+": "norm", r"c\d+": "to_image"}
    | {rf"block(\d+)\.{theirs}": f"blocks.{{n}}.{ours}" for theirs, ours in _MIMICRY_BLOCK.items()},
    {r"l\d+": "linear", "l_y": "embedding"}
    | {rf"block(\d+)\.{theirs}": f"blocks.{{n}}.{ours}" for theirs, ours in _MIMICRY_BLOCK.items()},
    (2, 1),
    repeating=False,
    epsilon=1e-5,
    widens_first=False,
)
STUDIOGAN = Layout(
    "StudioGAN",
    {"linear0": "project", "bn4": "norm", "conv2d5": "to_image"}
    | {rf"blocks\.(\d+)\.0\.{theirs}": f"blocks.{{n}}.{ours}" for theirs, ours in _STUDIO_BLOCK.items()},
    {"linear1": "linear", "embedding": "embedding"}
    | {rf"blocks\.(\d+)\.0\.{theirs}": f"blocks.{{n}}.{ours}" for theirs, ours in _STUDIO_BLOCK.items()},
    (0, 0),
    repeating=True,
    epsilon=1e-4,
    widens_first=True,
)


def layout_of(weights: Weights) -> Layout:
    """Return the layout of the weights of a G. Raises TargetError if it is none of those known here."""
    if {"l1.weight", "block2.c1.weight"} <= weights.keys():
        return MIMICRY
    if {"linear0.weight", "linear0.weight_orig"} & weights.keys() and "conv2d5.bias" in weights:
        return STUDIOGAN
    names = one_line(", ".join(list(weights)[:4]), 120)
    raise TargetError(
        "its layout must be that of mimicry's SNGAN generators or of StudioGAN's resnet generators; its "
        f"first tensors are {names}. Build the generator in Python, and name its factory: `python: "
        "module:factory`."
    )


def generator_of(weights: Weights, layout: Layout, label: int | None) -> SNGANGenerator:
    """Return G with those weights.

    Raises TargetError if they are of another network, or if the label does not fit.

    label: the only class whose images a conditional G shall make; None for a G that is asked for classes, if
        it knows any.
    """
    normed, classes = by_class(_divided(weights), label)
    found = _renamed(normed, layout.g_parts, layout.first_block[0])
    try:
        mean = "norm1.norm.running_mean" if classes else "norm1.running_mean"
        blocks = [found[f"blocks.{n}.{mean}"] for n in _numbers(found, mean)]
        widths = [len(channels) for channels in (*blocks, found["norm.running_mean"])]
        project, image = found["project.weight"], found["to_image.weight"]
        bottom = math.isqrt(project.shape[0] // widths[0])
        if bottom**2 * widths[0] != project.shape[0]:
            raise ValueError(f"its first layer has {project.shape[0]} outputs, for {widths[0]} channels")
        with torch.device("meta"):
            G = generator(
                image.shape[0],
                bottom,
                widths,
                project.shape[1],
                classes,
                repeating=layout.repeating,
                epsilon=layout.epsilon,
            )
    except _NO_NETWORK as problem:
        raise _misfit(layout, "generator", problem) from None
    return _loaded(G, found, layout, "generator")


def discriminator_of(weights: Weights, layout: Layout, side: int, classes: int) -> SNGANDiscriminator:
    """Return D with those weights, for images of that side.

    Raises TargetError if they are of another network, as those of a D that knows other classes are.

    classes: how many G is asked for; 0 for none.
    """
    found = _normalised(_renamed(weights, layout.d_parts, layout.first_block[1]), layout)
    numbers = _numbers(found, f"conv2.{_ORIGINAL}.original")
    try:
        widths = [found[f"blocks.{n}.conv2.{_ORIGINAL}.original"].shape[0] for n in numbers]
        channels = found[f"blocks.0.conv1.{_ORIGINAL}.original"].shape[1]
        known = classes if f"embedding.{_ORIGINAL}.original" in found else 0
        with torch.device("meta"):
            downs = _downs(layout, len(widths), side)
            D = discriminator(channels, widths, downs, known, side=side, widens_first=layout.widens_first)
    except _NO_NETWORK as problem:
        raise _misfit(layout, "discriminator", problem) from None
    return _loaded(D, found, layout, "discriminator")


def _downs(layout: Layout, blocks: int, side: int) -> int:
    """Return how many blocks of D halve the side: names and shapes do not tell. From the packages' tables."""
    if blocks == 4:
        return 2
    return blocks if layout is MIMICRY and side == 64 else blocks - 1


def _renamed(weights: Weights, parts: Mapping[str, str], first: int) -> dict[str, Tensor]:
    """Return the weights by our names; a name that is not known stays."""
    patterns = [(re.compile(rf"{theirs}\.(.+)"), ours) for theirs, ours in parts.items()]

    def ours(name: str) -> str:
        for pattern, part in patterns:
            if match := pattern.fullmatch(name):
                number = int(match[1]) - first if pattern.groups > 1 else 0
                return f"{part.format(n=number)}.{match[pattern.groups]}"
        return name

    return {ours(name): value for name, value in weights.items()}


def _numbers(weights: Weights, part: str) -> range:
    return range(sum(name.startswith("blocks.") and name.endswith(f".{part}") for name in weights))


def _divided(weights: Weights) -> dict[str, Tensor]:
    """Return a G's weights with those that torch normalises spectrally divided by their singular values."""
    found = dict(weights)
    for name in [name for name in weights if name.endswith(".weight_orig")]:
        stem = name.removesuffix("_orig")
        u, v = found.pop(f"{stem}_u", None), found.pop(f"{stem}_v", None)
        if u is not None and v is not None:
            W = found.pop(name)
            found[stem] = W / _product(W, u, v, stem)
    return found


def _normalised(weights: Weights, layout: Layout) -> dict[str, Tensor]:
    """Return a D's weights with its singular vectors as ganguard's spectral norm keeps them.

    Most are torch's. Early versions of mimicry kept u alone (`sn_u`), and took one step of the power
    iteration from it at each use.
    """
    found = dict(weights)
    for name in [name for name in weights if name.endswith((".sn_u", ".weight_u"))]:
        stem, _, _ = name.rpartition(".")
        original = found.pop(f"{stem}.weight" if name.endswith(".sn_u") else f"{stem}.weight_orig", None)
        u, v = found.pop(name).flatten(), found.pop(f"{stem}.weight_v", None)
        found.pop(f"{stem}.sn_sigma", None)
        if original is None or original.ndim < 2 or len(u) != len(original):
            raise _misfit(layout, "discriminator", f"{stem}.weight")
        W = original.flatten(1)
        if v is None:
            v = normalize(u @ W, dim=0, eps=1e-12)
            u = normalize(W @ v, dim=0, eps=1e-12)
        _product(original, u, v, stem)
        # Ours counts columns by pixel first, then by channel.
        v = v.view(original.shape[1:]).movedim(0, -1).flatten() if original.ndim == 4 else v
        found |= {
            f"{stem}.{_ORIGINAL}.original": original,
            f"{stem}.{_ORIGINAL}.0.u": u,
            f"{stem}.{_ORIGINAL}.0.v": v.clone(),
        }
    return found


def _product(W: Tensor, u: Tensor, v: Tensor, stem: str) -> Tensor:
    """Return uᵀ W v, the singular value. Raises TargetError if it is none."""
    if u.shape == W.shape[:1] and v.numel() == W[0].numel() and v.ndim == 1:
        value = u @ (W.flatten(1) @ v)
        if value != 0:
            return value
    raise TargetError(f"the singular vectors of {one_line(stem, 80)} do not fit its weight.")


def _loaded(G: Network, weights: Weights, layout: Layout, what: str) -> Network:
    try:
        G.load_state_dict(dict(weights), strict=True, assign=True)
    except (RuntimeError, ValueError) as problem:
        lines = [line.strip() for line in str(problem).splitlines()[1:]] or [str(problem)]
        raise _misfit(layout, what, lines[0]) from None
    return G


def _misfit(layout: Layout, what: str, reason: object) -> TargetError:
    return TargetError(
        f"its weights must be those of a {what} in {layout.name}'s layout, without attention, other "
        f"classes or extras ({one_line(reason, 160)}). Build it in Python, and name its factory: `python: "
        "module:factory`."
    )
