"""What keeps D or G smooth: penalties on their gradients, which are added to the losses.

They are to be called outside autocast: their gradient is that of a gradient, whose squares bfloat16 would
round away.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from ganguard.architectures.networks import DiscriminatorNetwork, StyleBased, gradient_factor

PATH_DECAY = 0.01  # how fast the mean length of paths follows (Karras et al. 2020, appendix B)


def gradient_penalty(D: DiscriminatorNetwork, real: Tensor, fake: Tensor, share: Tensor) -> Tensor:
    """E[(|∇ D(x)| - 1)²], (), where x lies between a real and a generated image: share · real + (1 - share) ·
    fake.

    real, fake: (N, C, H, W) float; share: (N,), uniform in [0, 1]. Gulrajani et al. 2017, equation 3.
    """
    between = torch.lerp(fake.detach(), real, share.view(-1, 1, 1, 1)).requires_grad_()
    return (torch.linalg.vector_norm(_gradients(D, between).flatten(1), dim=1) - 1).square().mean()


def r1(D: DiscriminatorNetwork, real: Tensor) -> Tensor:
    """E[|∇ D(x)|²] / 2, (), at real images (N, C, H, W) float. Mescheder et al. 2018, equation 9, without its
    gamma."""
    return _gradients(D, real.detach().requires_grad_()).square().sum((1, 2, 3)).mean() / 2


def _gradients(D: DiscriminatorNetwork, images: Tensor) -> Tensor:
    """Of D's scores at images, as those of the size that D has grown to."""
    (found,) = torch.autograd.grad(D(images).sum(), images, create_graph=True)
    return gradient_factor(D) * found


class PathLength(nn.Module):
    """E[(|Jᵀ_w y| - a)²]: G shall turn a step in w into an equally long one in images, wherever and whichever
    way it is taken (Karras et al. 2020, equation 4). J is the Jacobian of G's synthesis at w, y an image of
    noise; a is the running mean of such lengths, and part of a training's state."""

    mean: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(()))

    def forward(
        self, G: StyleBased, z: Tensor, noise: Tensor, everywhere: Callable[[Tensor], Tensor] = lambda x: x
    ) -> Tensor:
        """(), of codes z (N, latent_dim) and noise y (N, C, H, W), N(0, 1); and moves a towards their mean
        length. everywhere: what makes a mean of this process's images one of all processes'."""
        w = G.mapping(z)
        images = G.synthesis(w)
        y = noise / math.sqrt(images.shape[2] * images.shape[3])
        (gradients,) = torch.autograd.grad((images * y).sum(), w, create_graph=True)  # (N, layers, D)
        lengths = torch.linalg.vector_norm(gradients.flatten(1), dim=1) / math.sqrt(gradients.shape[1])
        with torch.no_grad():
            self.mean.lerp_(everywhere(lengths.mean()), PATH_DECAY)
        return (lengths - self.mean).square().mean()
