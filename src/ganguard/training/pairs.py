"""Pairs of codes and images: what whoever sends its codes to a generator knows of it beyond its images.

Aguinaldo et al. 2019, "Compressing GANs using Knowledge Distillation": beside the adversarial loss, G's
image of a code is drawn towards the image that the other generator gave for that code.
"""

from dataclasses import dataclass
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from ganguard.architectures.networks import build_networks, has_discriminator
from ganguard.base.cache import tensor_digest
from ganguard.base.errors import SpecError
from ganguard.base.image_rows import Images
from ganguard.base.images import shape_of
from ganguard.training.settings import TrainingSettings

Norm = Literal["l1", "l2"]


@dataclass(frozen=True)
class CodedImages:
    """The codes that the training images were made from, and how much they count.

    Attributes:
        codes: (N, latent_dim) float32, a code for each training image, in their order.
        weight: of the distance in G's loss, beside the adversarial loss.
        norm: "l1" for the mean of |x - y| over the numbers of an image in [-1, 1], "l2" for that of (x - y)².
    """

    codes: Tensor
    weight: float
    norm: Norm

    def said(self) -> dict[str, Any]:
        """Return what a checkpoint's provenance says of the pairs."""
        return {"weight": self.weight, "norm": self.norm}

    def identity(self) -> dict[str, Any]:
        """Return what tells trainings with other pairs apart."""
        return {**self.said(), "codes": tensor_digest({"codes": self.codes})}

    def loss(self, made: Tensor, wanted: Tensor) -> Tensor:
        """Return the weighted distance (), of images (N, C, H, W) in [-1, 1], pair by pair."""
        distance = F.l1_loss if self.norm == "l1" else F.mse_loss
        return self.weight * distance(made, wanted)


def require_pairs(pairs: CodedImages | None, images: Images, settings: TrainingSettings) -> None:
    """Raise SpecError unless there is a code for each image that G takes, and a D to train against."""
    if pairs is None:
        return
    kind, count = settings.architecture.kind, len(images)
    if not has_discriminator(settings.architecture):
        raise SpecError(
            f"{kind} has no D, and pairs of codes and images are learnt beside an adversarial loss. Train "
            "another architecture."
        )
    with torch.device("meta"):
        wanted = count, build_networks(settings.architecture, shape_of(images)).generator.latent_dim
    if tuple(pairs.codes.shape) != wanted:
        raise SpecError(
            f"the codes of {count:,} images must be {wanted} for this {kind}; got "
            f"{tuple(pairs.codes.shape)}. Set the architecture's latent_dim to the length of a code."
        )
