"""What a training begins from: random weights, a checkpoint, or somebody's discriminator."""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from ganguard.architectures.checkpoint import load_checkpoint
from ganguard.architectures.networks import ArchitectureSettings, Networks, build_networks
from ganguard.base.cache import content_key, tensor_digest
from ganguard.base.errors import SpecError


@dataclass(frozen=True)
class Beginning:
    """What a training begins from, where that is not random weights.

    checkpoint: of the same architecture; G and its average begin as its G, D as its D.
    discriminator: a network with D's weights, which D begins as.
    """

    checkpoint: Path | None = None
    discriminator: nn.Module | None = None

    def put_into(self, networks: Networks) -> None:
        """Raises SpecError where the weights are of another architecture."""
        if self.checkpoint is not None:
            found = load_checkpoint(self.checkpoint).networks
            _take_over(networks.generator, found.generator, f"{self.checkpoint}: its generator")
            _take_over(networks.discriminator, found.discriminator, f"{self.checkpoint}: its discriminator")
        if self.discriminator is not None:
            _take_over(networks.discriminator, self.discriminator, "the target's discriminator")

    def require_fits(self, architecture: ArchitectureSettings, image_shape: tuple[int, int, int]) -> None:
        """Raise SpecError, before any work, where `discriminator` is not of the architecture for images (C, H, W)."""
        if self.discriminator is None:
            return
        with torch.device("meta"):
            wanted = build_networks(architecture, image_shape).discriminator.state_dict()
        found = self.discriminator.state_dict()
        if {key: value.shape for key, value in found.items()} != {key: value.shape for key, value in wanted.items()}:
            raise _of_another("the target's discriminator")

    def digest(self) -> str:
        """Of the weights, for the identity of a training."""
        parts = [] if self.discriminator is None else [tensor_digest(dict(self.discriminator.state_dict()))]
        return content_key(checkpoint=load_checkpoint(self.checkpoint).digest() if self.checkpoint else None, parts=parts)


RANDOM_WEIGHTS = Beginning()


def _take_over(module: nn.Module, found: nn.Module, what: str) -> None:
    try:
        module.load_state_dict(found.state_dict())
    except RuntimeError:
        raise _of_another(what) from None


def _of_another(what: str) -> SpecError:
    return SpecError(f"{what} is of another architecture than the substitute. Give both the same one.")
