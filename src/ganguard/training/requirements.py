"""What must hold before a training begins."""

from ganguard.architectures.checkpoint import read_description
from ganguard.architectures.networks import has_discriminator
from ganguard.base.errors import SpecError
from ganguard.base.image_rows import Images
from ganguard.base.images import shape_of
from ganguard.base.labels import Labels
from ganguard.training.batches import require_shareable
from ganguard.training.beginning import Beginning
from ganguard.training.classes import require_classes
from ganguard.training.guess import Guess
from ganguard.training.initial_weights import require_beginning
from ganguard.training.processes import Devices
from ganguard.training.settings import TrainingSettings


def require_trainable(
    images: Images, settings: TrainingSettings, devices: Devices, guess: Guess | None, labels: Labels | None
) -> None:
    """Raise SpecError unless a training with the arguments of `train_generator` can begin.

    Raises CheckpointError if the checkpoint that it begins with cannot be read.
    """
    if guess is not None and not has_discriminator(settings.architecture):
        raise SpecError(
            f"{settings.architecture.kind} has no D that could look through a guessed defence. Train another "
            "architecture through it, or leave the guess out."
        )
    require_shareable(settings, devices, guess)
    require_classes(settings, labels, len(images))
    require_beginning(settings, shape_of(images), "the network to train")
    if settings.beginning and labels:
        _require_same_classes(settings.beginning, labels.names)


def _require_same_classes(beginning: Beginning, names: tuple[str, ...]) -> None:
    """Raise SpecError if the checkpoint that a training begins with numbers its classes otherwise: each class
    would go on from the weights of another one."""
    theirs = read_description(beginning.path).class_names or ()
    for number, (found, wanted) in enumerate(zip(theirs, names, strict=True)):
        if found != wanted:
            raise SpecError(
                f"{beginning.checkpoint}: its class {number} is {found[:80]!r}, and the images' is "
                f"{wanted[:80]!r}. Give images with the same classes in the same order, or leave `beginning` "
                "out."
            )
