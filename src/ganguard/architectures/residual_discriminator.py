"""The D that SNGAN and BigGAN have in common, whatever their blocks are."""

import torch.nn.functional as F
from torch import Tensor, nn

from ganguard.architectures.conditional_layers import projection
from ganguard.architectures.networks import DiscriminatorNetwork, require_labels
from ganguard.architectures.sizes import Canvas


class ResidualDiscriminator(DiscriminatorNetwork):
    """images (N, channels, H, W), with classes also y (N,) -> scores (N,).

    The features of residual blocks are summed over pixels, and one linear layer scores them. With classes,
    their inner product with an embedding of the class is added (Miyato & Koyama 2018).

    Attributes:
        canvas: the size that the blocks are built for.
        blocks: the residual blocks, from the image.
        linear: the last layer, (N, F) -> (N, 1).
        embedding: of the classes, (N,) -> (N, F); absent without classes.
    """

    independent_rows = True
    canvas: Canvas
    blocks: nn.Sequential
    linear: nn.Linear
    embedding: nn.Embedding

    def features(self, images: Tensor) -> Tensor:
        return F.relu(self.blocks(self.canvas.framed(images))).sum(dim=(2, 3))

    def stages(self) -> list[nn.Module]:
        return list(self.blocks)

    def head(self, features: Tensor, y: Tensor | None = None) -> Tensor:
        require_labels(y, self.classes)
        scores = self.linear(features)
        return scores if y is None else scores + projection(features, self.embedding(y))
