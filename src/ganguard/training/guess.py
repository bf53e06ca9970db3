"""What an adversary believes to stand between the codes of a generator and the images that it bought.

It puts its guess into its own training: D compares bought images with guess(G(z)), and so G itself learns the
distribution that the provider meant to hide (AmbientGAN, Bora et al. 2018).
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

Change = Callable[[Tensor, torch.Generator], Tensor]


@dataclass(frozen=True)
class Guess:
    """digest: tells guesses apart. codes: what codes (N, latent_dim) become on their way to G. images: what
    G's float images (N, C, H, W) in [-1, 1] become on their way to D; gradients flow through both. Both draw
    from the training's generator."""

    digest: str
    codes: Change | None = None
    images: Change | None = None
