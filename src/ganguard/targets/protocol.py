"""The protocols of a target: an attack's signature states its threat model with one of them."""

from typing import Literal, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from ganguard.base.errors import TargetError

Codes = Literal["provider", "client"]
"""Who draws the latent codes of a target's images."""


@runtime_checkable
class BlackBoxTarget(Protocol):
    """Gives images; the provider draws the codes.

    Attributes:
        identity: what the images depend on, beside seed and index (a digest of the weights, a URL ...).
        image_shape: (C, H, W).
    """

    @property
    def identity(self) -> str: ...
    @property
    def image_shape(self) -> tuple[int, int, int]: ...

    def sample(self, indices: range, *, seed: int) -> Tensor:
        """Return images (len(indices), C, H, W) uint8; image i is a pure function of (seed, i)."""
        ...


@runtime_checkable
class LatentTarget(BlackBoxTarget, Protocol):
    """A target whose client may choose the codes.

    `sample(indices, seed)` equals `generate(draw_latents(indices, seed))`.
    """

    @property
    def latent_dim(self) -> int: ...

    def draw_latents(self, indices: range, *, seed: int) -> Tensor:
        """Return codes (len(indices), latent_dim) float32 from this target's own prior."""
        ...

    def generate(self, latents: Tensor) -> Tensor:
        """Return images (N, C, H, W) uint8 of codes (N, latent_dim)."""
        ...


class Discriminator(Protocol):
    """The target's D. It is handed over, not queried, so it is neither metered nor defended.

    A conditional D scores images as images of a condition: `scores(images, conditions)`, (N,) int64.
    """

    def scores(self, images: Tensor, conditions: Tensor | None = None) -> Tensor:
        """Return raw scores (N,) float32 of images (N, C, H, W) uint8; higher = more real."""
        ...

    def features(self, images: Tensor) -> Tensor:
        """Return the inputs of D's last layer, (N, F) float32, for images (N, C, H, W) uint8."""
        ...

    def module(self) -> nn.Module:
        """Return a copy of the network, to train on."""
        ...


@runtime_checkable
class WhiteBoxTarget(BlackBoxTarget, Protocol):
    """A target whose discriminator the adversary holds."""

    @property
    def discriminator(self) -> Discriminator: ...


def notes_of(target: BlackBoxTarget) -> tuple[str, ...]:
    """Return remarks on a target that works and may not be what its owner means; few adapters have any."""
    return getattr(target, "notes", ())


def require_answer(images: Tensor, target: BlackBoxTarget, count: int) -> Tensor:
    """Return a target's answer if it is `count` images of the target's shape, uint8.

    Raises TargetError otherwise.
    """
    wanted = (count, *target.image_shape)
    if images.dtype != torch.uint8 or tuple(images.shape) != wanted:
        raise TargetError(
            f"the target must answer with uint8 images {wanted}; got {images.dtype} {tuple(images.shape)}."
        )
    return images
