"""The weights with which a training begins: random ones, a checkpoint's, or somebody's discriminator."""

from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from ganguard.architectures.checkpoint import load_checkpoint, read_description
from ganguard.architectures.networks import (
    ArchitectureSettings,
    DiscriminatorNetwork,
    Growing,
    Networks,
    build_networks,
)
from ganguard.base.cache import content_key, tensor_digest
from ganguard.base.errors import SpecError
from ganguard.base.weights import weights_of
from ganguard.training.beginning import Beginning
from ganguard.training.classes import require_same_order
from ganguard.training.settings import TrainingSettings


@dataclass(frozen=True)
class InitialWeights:
    """The weights with which a training begins, if these are not random.

    Attributes:
        checkpoint: a checkpoint of the same architecture. G and its average begin with the weights of its G,
            and D with those of its D.
        discriminator: a network with D's weights, which D begins with.
        frozen: stages of D, counted from the image, that are not trained; -1 leaves only the last one to
            train.
    """

    checkpoint: Path | None = None
    discriminator: nn.Module | None = None
    frozen: int = 0

    def after(self, beginning: Beginning | None) -> "InitialWeights":
        """Return these weights, with the checkpoint that a training's settings name if they have none of
        their own."""
        if beginning is None or self.checkpoint is not None:
            return self
        return replace(self, checkpoint=beginning.path)

    def put_into(self, networks: Networks) -> None:
        """Copy the weights into networks. Raises SpecError if they belong to another architecture."""
        if self.checkpoint is not None:
            found = load_checkpoint(self.checkpoint).networks
            _take_over(networks.generator, found.generator, f"{self.checkpoint}: its generator")
            if networks.discriminator and found.discriminator:
                whose = f"{self.checkpoint}: its discriminator"
                _take_over(networks.discriminator, found.discriminator, whose)
        if networks.discriminator and self.discriminator is not None:
            _take_over(networks.discriminator, self.discriminator, "the target's discriminator")
        if self.checkpoint is not None or self.discriminator is not None:
            for module in networks.named().values():
                if isinstance(module, Growing):  # a half-grown network is trained whole from here on
                    module.set_growth(module.levels - 1, 1.0)

    def of_generator(self) -> bool:
        """Return whether G begins with given weights; somebody's discriminator leaves G random."""
        return self.checkpoint is not None

    def frozen_parameters(self, D: DiscriminatorNetwork) -> set[nn.Parameter]:
        """Return the parameters of D that are not trained."""
        stages = D.stages() if self.frozen else []
        return {parameter for stage in stages[: self.frozen] for parameter in stage.parameters()}

    def require_fits(
        self,
        architecture: ArchitectureSettings,
        image_shape: tuple[int, int, int],
        whose: str = "the substitute",
        *,
        classes: tuple[str, ...] | None = None,
    ) -> None:
        """Raise SpecError, before any work, if the weights do not fit the architecture for images (C, H, W),
        or if its D has no stage beyond the frozen ones.

        Args:
            architecture: of the network that is to be trained.
            image_shape: (C, H, W) of its images.
            whose: names that network, in messages.
            classes: of the target, in their order, as which a checkpoint must know its own. None compares
                nothing: `train_generator` compares them with those of its images.
        """
        with torch.device("meta"):
            D = build_networks(architecture, image_shape).discriminator
        if self.checkpoint is not None:
            found = read_description(self.checkpoint)
            if (found.architecture, found.image_shape) != (architecture, image_shape):
                theirs = f"{_named(found.architecture)} for images {found.image_shape} (C, H, W)"
                raise SpecError(
                    f"{self.checkpoint} has another architecture than {whose}: {theirs}, not "
                    f"{_named(architecture)} for images {image_shape}. Give both the same one."
                )
            advice = "Give a copy that knows the target's classes in the target's order."
            require_same_order(self.checkpoint, classes or (), "the target's", advice)
        if D is None:
            if self.discriminator is not None or self.frozen:
                raise SpecError(
                    f"{architecture.kind} has no D that could begin as the target's, or keep stages. Choose "
                    "another architecture."
                )
            return
        if self.discriminator is not None and _shapes(self.discriminator) != _shapes(D):
            raise _of_another("the target's discriminator")
        frozen = self.frozen if self.frozen >= 0 else len(D.stages()) + self.frozen
        if self.frozen and not 0 < frozen < len(D.stages()):
            raise SpecError(
                f"frozen must freeze a stage of D and leave one to train: {architecture.kind}'s D has "
                f"{len(D.stages())} stages; got {frozen}."
            )

    def digest(self) -> str:
        """Return a hash of the weights, for the identity of a training."""
        parts = [] if self.discriminator is None else [tensor_digest(weights_of(self.discriminator))]
        checkpoint = load_checkpoint(self.checkpoint).digest() if self.checkpoint else None
        # A state whose average had forgotten the given weights at once is not continued.
        average = {"average": "goes on"} if self.of_generator() else {}
        return content_key(checkpoint=checkpoint, parts=parts, frozen=self.frozen, **average)


RANDOM_WEIGHTS = InitialWeights()


def require_beginning(
    settings: TrainingSettings,
    image_shape: tuple[int, int, int],
    whose: str = "the substitute",
    *,
    classes: tuple[str, ...] | None = None,
) -> None:
    """Raise SpecError, before any work, if the checkpoint that a training's settings name does not fit the
    network that is to be trained. The other arguments are those of `InitialWeights.require_fits`."""
    if settings.beginning:
        begun = RANDOM_WEIGHTS.after(settings.beginning)
        begun.require_fits(settings.architecture, image_shape, whose, classes=classes)


def _take_over(module: nn.Module, found: nn.Module, what: str) -> None:
    try:
        module.load_state_dict(_own_tensors(found))
    except RuntimeError:
        raise _of_another(what) from None


def _shapes(module: nn.Module) -> dict[str, torch.Size]:
    return {key: value.shape for key, value in _own_tensors(module).items()}


def _own_tensors(module: nn.Module) -> dict[str, Tensor]:
    """Return a network's state without what is no tensor, which another class may have put there."""
    return {key: value for key, value in module.state_dict().items() if isinstance(value, Tensor)}


def _named(architecture: ArchitectureSettings) -> str:
    """Return an architecture's kind, and those of its settings that are not as usual."""
    said = architecture.model_dump(mode="json", exclude_defaults=True, exclude={"kind"})
    return " ".join([architecture.kind, *(f"{name} {value}" for name, value in said.items())])


def _of_another(what: str) -> SpecError:
    return SpecError(f"{what} has another architecture than the substitute. Give both the same one.")
