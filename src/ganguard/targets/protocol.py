"""The protocols of a target, so that the signature of an attack states its threat model."""

from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from ganguard.base.errors import TargetError


@runtime_checkable
class BlackBoxTarget(Protocol):
    """Gives images; the provider draws the codes.

    identity: what the images are a function of, beside seed and index (a digest of the weights, a URL ...).
    image_shape: (C, H, W).
    """

    @property
    def identity(self) -> str: ...
    @property
    def image_shape(self) -> tuple[int, int, int]: ...

    def sample(self, indices: range, *, seed: int) -> Tensor:
        """Images (len(indices), C, H, W) uint8; image i is a pure function of (seed, i)."""
        ...


@runtime_checkable
class LatentTarget(BlackBoxTarget, Protocol):
    """Codes may be chosen by the client. `sample(indices, seed)` equals `generate(draw_latents(indices,
    seed))`."""

    @property
    def latent_dim(self) -> int: ...

    def draw_latents(self, indices: range, *, seed: int) -> Tensor:
        """Codes (len(indices), latent_dim) float32 from this target's own prior."""
        ...

    def generate(self, latents: Tensor) -> Tensor:
        """Codes (N, latent_dim) to images (N, C, H, W) uint8."""
        ...


class Discriminator(Protocol):
    """The target's D. It is handed over, not queried: neither metered nor defended."""

    def scores(self, images: Tensor) -> Tensor:
        """Images (N, C, H, W) uint8 to raw scores (N,) float32; higher = more real."""
        ...

    def features(self, images: Tensor) -> Tensor:
        """Images (N, C, H, W) uint8 to the inputs of D's last layer, (N, F) float32."""
        ...

    def module(self) -> nn.Module:
        """A copy of the network, to train on."""
        ...


@runtime_checkable
class WhiteBoxTarget(BlackBoxTarget, Protocol):
    """A target whose discriminator the adversary holds."""

    @property
    def discriminator(self) -> Discriminator: ...


def require_answer(images: Tensor, target: BlackBoxTarget, count: int) -> Tensor:
    """Return what a target answered if it is `count` images of its shape, uint8. Raises TargetError
    otherwise."""
    wanted = (count, *target.image_shape)
    if images.dtype != torch.uint8 or tuple(images.shape) != wanted:
        raise TargetError(
            f"the target must answer with uint8 images {wanted}; got {images.dtype} {tuple(images.shape)}."
        )
    return images
