"""An adversary's guess of what lies between a generator's codes and the images that it bought.

The adversary applies its guess in its own training: D compares bought images with guess(G(z)), so G itself
learns the distribution that the provider meant to hide (AmbientGAN, Bora et al. 2018). A flow, which has no
D, learns to undo the guess (`restoring.py`).
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

Change = Callable[[Tensor, torch.Generator], Tensor]


@dataclass(frozen=True)
class Guess:
    """A guessed defence.

    Attributes:
        digest: tells guesses apart.
        codes: changes codes (N, latent_dim) on their way to G, with the training's generator.
        images: changes G's float images (N, C, H, W) in [-1, 1] on their way to D, with the training's
            generator. Gradients flow through it, as through `codes`.
    """

    digest: str
    codes: Change | None = None
    images: Change | None = None
