"""Penalties on the gradients of D or G that keep them smooth. They are added to the losses.

Call them outside autocast: they differentiate a gradient, and bfloat16 would round its squares away.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from ganguard.architectures.karras_layers import EqualisedEmbedding
from ganguard.architectures.networks import DiscriminatorNetwork, StyleBased, gradient_factor, made_by

PATH_DECAY = 0.01  # how fast the running mean of path lengths follows (Karras et al. 2020, appendix B)
ANCHOR_DECAY = 0.01  # how fast the anchors of D's scores follow (Tseng et al. 2021, section 4.1)


def gradient_penalty(
    D: DiscriminatorNetwork, real: Tensor, fake: Tensor, share: Tensor, y: Tensor | None = None
) -> Tensor:
    """Return E[(|∇ D(x)| - 1)²], (), at points x between real and generated images: share · real + (1 -
    share) · fake (Gulrajani et al. 2017, equation 3).

    Args:
        D: the discriminator.
        real: (N, C, H, W) float.
        fake: (N, C, H, W) float.
        share: (N,), uniform in [0, 1].
        y: (N,) the class that each point counts as; None without classes.
    """
    between = torch.lerp(fake.detach(), real, share.view(-1, 1, 1, 1)).requires_grad_()
    return (torch.linalg.vector_norm(_gradients(D, between, y).flatten(1), dim=1) - 1).square().mean()


def r1(D: DiscriminatorNetwork, real: Tensor, y: Tensor | None = None) -> Tensor:
    """Return E[|∇ D(x)|²] / 2, (), at real images (N, C, H, W) float of classes y (N,) (Mescheder et al.
    2018, equation 9, without its gamma)."""
    return _gradients(D, real.detach().requires_grad_(), y).square().sum((1, 2, 3)).mean() / 2


def _gradients(D: DiscriminatorNetwork, images: Tensor, y: Tensor | None) -> Tensor:
    """Return the gradients of D's scores at images, scaled to the size that D has grown to."""
    (found,) = torch.autograd.grad(made_by(D, images, y).sum(), images, create_graph=True)
    return gradient_factor(D) * found


def orthogonality(G: nn.Module) -> Tensor:
    """Return the sum, (), of |W Wᵀ ⊙ (1 - I)|² / 2 over the weights W of G, with a row for each output
    (Brock et al. 2019, equation 3).

    It makes G smooth enough for truncated codes. Rows may have any length. Embeddings of classes are left
    out, and the factor is that of BigGAN's PyTorch code, which adds W's gradient directly. A weight that is
    divided by its largest singular value counts as it was before.
    """
    embeddings = [m for m in G.modules() if isinstance(m, nn.Embedding | EqualisedEmbedding)]
    left_out = {id(parameter) for module in embeddings for parameter in module.parameters()}
    weights = [p.flatten(1) for p in G.parameters() if p.ndim > 1 and id(p) not in left_out]
    return torch.stack([_between_rows(W) for W in weights]).sum()


def _between_rows(W: Tensor) -> Tensor:
    """Return half the sum of squares of the inner products of different rows of W, ()."""
    products = W @ W.T
    return (products - products.diagonal().diag()).square().sum() / 2


class PathLength(nn.Module):
    """E[(|Jᵀ_w y| - a)²], a penalty on G (Karras et al. 2020, equation 4).

    It makes G turn a step in w into an equally long step in the images, wherever and in whichever direction
    it is taken. J is the Jacobian of G's synthesis at w, and y an image of noise. a is the running mean of
    such lengths, and part of a training's state.
    """

    mean: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(()))

    def forward(
        self,
        G: StyleBased,
        z: Tensor,
        noise: Tensor,
        everywhere: Callable[[Tensor], Tensor] = lambda x: x,
        y: Tensor | None = None,
    ) -> Tensor:
        """Return the penalty, (), and move a towards the mean length of this batch.

        Args:
            G: the generator.
            z: codes (N, latent_dim).
            noise: y (N, C, H, W), N(0, 1).
            everywhere: turns the mean of this process's images into the mean over all processes.
            y: classes (N,) of a conditional G.
        """
        w = made_by(G.mapping, z, y)
        images = G.synthesis(w)
        of_noise = noise / math.sqrt(images.shape[2] * images.shape[3])
        (gradients,) = torch.autograd.grad((images * of_noise).sum(), w, create_graph=True)  # (N, layers, D)
        lengths = torch.linalg.vector_norm(gradients.flatten(1), dim=1) / math.sqrt(gradients.shape[1])
        with torch.no_grad():
            self.mean.lerp_(everywhere(lengths.mean()), PATH_DECAY)
        return (lengths - self.mean).square().mean()


class LeCam(nn.Module):
    """E[(D(x) - a_G)²] + E[(D(G(z)) - a_x)²], a regulariser of D for few images (Tseng et al. 2021, equation
    8).

    It keeps D's scores of either kind of image near what the other kind has been getting, so that D is never
    sure of the few images that it trains on. The anchors a_x and a_G are moving averages of D's scores of
    real and of generated images, and part of a training's state; while they are young, they are plain means.

    Args:
        weight: of the regulariser in D's loss.
    """

    anchors: Tensor
    updates: Tensor

    def __init__(self, weight: float) -> None:
        super().__init__()
        self.weight = weight
        self.register_buffer("anchors", torch.zeros(2))
        self.register_buffer("updates", torch.zeros(()))

    def forward(
        self, real: Tensor, fake: Tensor, everywhere: Callable[[Tensor], Tensor] = lambda x: x
    ) -> Tensor:
        """Move the anchors towards the means of D's scores (N,) of real and generated images, and return the
        regulariser times its weight, ().

        everywhere: turns the means of this process's images into the means over all processes.
        """
        with torch.no_grad():
            means = everywhere(torch.stack([real.mean(), fake.mean()]))
            self.updates += 1
            self.anchors.lerp_(means, self.updates.reciprocal().clamp(min=ANCHOR_DECAY))
        of_real, of_fake = self.anchors
        return self.weight * ((real - of_fake).square().mean() + (fake - of_real).square().mean())
