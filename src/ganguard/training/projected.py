"""A projected discriminator (Sauer et al., "Projected GANs Converge Faster", NeurIPS 2021).

D does not look at pixels, but at the feature maps of a network that is never trained, at several scales. The
maps are mixed by fixed random weights, across channels and from coarse scales to fine ones (sections 3.2 and
4), so that no feature is easy to ignore. A small head of its own scores each scale; the losses are means over
the scores of all heads.

The heads are convolutions with spectral normalisation, without the paper's batch normalisation, so that the
score of an image does not depend on its batch. Channels of the maps are standardised on the training images
first, since feature networks differ in scale.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, cast

import torch
import torch.nn.functional as F
from pydantic import BeforeValidator, Field
from torch import Tensor, nn

from ganguard.architectures.networks import DiscriminatorNetwork
from ganguard.architectures.spectral_norm import spectral_norm
from ganguard.base.image_rows import Images
from ganguard.base.images import to_float
from ganguard.base.settings import Plain, Positive, Settings

PENALTIES = ("penalty", "penalty_weight", "penalty_every", "drift")
SLOPE = 0.2
SCORED_SIDE = 4  # largest side of a map of scores
SEEN = 256  # training images, at most, that maps are standardised on
STILL = 1e-6  # standard deviation below which a channel counts as constant


RECIPE: Mapping[str, object] = {
    "loss": "hinge",
    "penalty": "none",
    "penalty_weight": 0.0,
    "penalty_every": 1,
    "drift": 0.0,
}
"""What D's losses are where the settings leave them open, whatever the architecture's own D has."""


def _network(value: object) -> object:
    named = {"kind": value} if isinstance(value, str) else value
    if not isinstance(named, Mapping) or not isinstance(cast(Mapping[str, Any], named).get("kind"), str):
        raise ValueError("must be the name of a feature network, or a mapping with `kind`")
    return dict(cast(Mapping[str, Any], named))


class Projected(Settings):
    """Settings of a projected D.

    Attributes:
        features: name or settings of the feature network, which must give feature maps.
        width: channels of the mixed maps.
    """

    kind: Literal["projected"] = "projected"
    features: Annotated[Plain, BeforeValidator(_network)]
    width: Annotated[Positive, Field(le=4096)] = 64

    @staticmethod
    def misfit(kind: str, classes: int, said: Mapping[str, object]) -> str:
        """Return why a training cannot have such a D, or nothing if it can.

        Args:
            kind: of its architecture.
            classes: how many its G knows.
            said: its settings by name; None is left open.
        """
        if classes:
            return f"a projected D knows no classes, and {kind} has {classes}. Leave `classes` out"
        if kind == "pggan" and said["grow"]:
            return f"{kind} grows together with its own D. Set grow: false"
        if said["beginning"]:
            return "a checkpoint's D looks at pixels. Leave `beginning` out"
        if said["compile"]:
            return "it is not known whether feature networks compile. Set compile: false"
        if said["loss"] == "wasserstein":
            return "a Wasserstein D needs a penalty. Set loss: hinge, or leave it out"
        if penalties := [name for name in PENALTIES if said[name] not in (None, "none", 0)]:
            return (
                f"{penalties[0]} would be taken through the whole feature network, whose fixed weights hold "
                "D back already. Leave it out"
            )
        return ""


@dataclass(frozen=True)
class Projection:
    """What a projected D looks at.

    Attributes:
        maps: from float images (N, C, H, W) in [-1, 1] to feature maps (N, K, h, w), the finest first, which
            gradients flow through. Nothing in it is trained.
        digest: tells feature networks apart.
    """

    maps: Callable[[Tensor], tuple[Tensor, ...]]
    digest: str

    @torch.no_grad()
    def discriminator(
        self, said: Projected, images: Images, device: torch.device
    ) -> "ProjectedDiscriminator":
        """Return a D with random heads, on the CPU.

        Args:
            said: its settings.
            images: (N, C, H, W) uint8, the training images, of which the first SEEN give maps their scale.
            device: where maps are computed.
        """
        shown = to_float(images[torch.arange(min(SEEN, len(images)))].to(device))
        return ProjectedDiscriminator(self.maps, tuple(each.cpu() for each in self.maps(shown)), said.width)


Projects = Callable[[Projected], Projection]
"""Makes what a projected D looks at, from its settings."""


class ProjectedDiscriminator(DiscriminatorNetwork):
    """Images (N, C, H, W) -> scores (N, S), those of all heads.

    Args:
        maps: see `Projection`. Its weights are no part of this module.
        examples: the maps of some training images, for the scale of each channel.
        width: channels of the mixed maps.
    """

    independent_rows = True

    def __init__(
        self, maps: Callable[[Tensor], tuple[Tensor, ...]], examples: tuple[Tensor, ...], width: int
    ) -> None:
        super().__init__()
        self._looks = (maps,)  # in a tuple, so that a network is not taken for a part of D that is trained
        self.scales = nn.ModuleList(_Scale(each) for each in examples)
        self.mixing = nn.ModuleList(_fixed(each.shape[1], width, 1) for each in examples)
        self.blending = nn.ModuleList(_fixed(width, width, 3) for _ in examples)
        self.heads = nn.ModuleList(_head(width, max(each.shape[2:])) for each in examples)

    def forward(self, images: Tensor, y: Tensor | None = None) -> Tensor:
        found = self._looks[0](images)
        shown = list(zip(self.scales, self.mixing, self.blending, self.heads, found, strict=True))
        mixed: Tensor | None = None  # each scale takes up what the coarser ones gave
        scores: list[Tensor] = []
        for scale, mixing, blending, head, each in reversed(shown):
            own = mixing(scale(each))
            if mixed is not None:
                own = (own + F.interpolate(mixed, own.shape[2:], mode="bilinear")) / math.sqrt(2)
            mixed = blending(own)
            scores.append(head(mixed).flatten(1))
        return torch.cat(scores, 1)


class _Scale(nn.Module):
    """Standardise each channel of maps (N, K, h, w) by those of example images."""

    mean: Tensor
    std: Tensor

    def __init__(self, examples: Tensor) -> None:
        super().__init__()
        std, mean = torch.std_mean(examples.float(), dim=(0, 2, 3), keepdim=True, correction=0)
        self.register_buffer("mean", mean)
        self.register_buffer("std", torch.where(std > STILL, std, torch.ones_like(std)))

    def forward(self, maps: Tensor) -> Tensor:
        return (maps - self.mean) / self.std


def _fixed(channels: int, width: int, side: int) -> nn.Conv2d:
    """Return a random convolution that keeps the variance and is not trained: its weights are buffers."""
    layer = nn.Conv2d(channels, width, side, padding=side // 2, bias=False)
    weight = torch.randn_like(layer.weight) / math.sqrt(channels * side * side)
    del layer.weight
    layer.register_buffer("weight", weight)
    return layer


def _head(width: int, side: int) -> nn.Sequential:
    """Return the head of a scale: convolutions that halve the side until that is at most SCORED_SIDE."""
    layers: list[nn.Module] = []
    halvings = max(0, math.ceil(math.log2(side / SCORED_SIDE)))
    for stride in [2] * halvings or [1]:
        layers += [spectral_norm(nn.Conv2d(width, width, 3, stride, 1)), nn.LeakyReLU(SLOPE)]
    return nn.Sequential(*layers, spectral_norm(nn.Conv2d(width, 1, 3, 1, 1)))
