"""What must hold before a training begins."""

from ganguard.base.errors import SpecError
from ganguard.base.image_rows import Images
from ganguard.base.images import shape_of
from ganguard.base.labels import Labels
from ganguard.training.batches import require_shareable
from ganguard.training.classes import require_classes, require_same_order
from ganguard.training.early_stopping import Watch
from ganguard.training.guess import Guess
from ganguard.training.initial_weights import InitialWeights, require_beginning
from ganguard.training.pairs import CodedImages, require_pairs
from ganguard.training.processes import ONE_DEVICE, Devices
from ganguard.training.projected import Projection
from ganguard.training.settings import TrainingSettings


def require_trainable(  # noqa: PLR0913 - those of `train_generator`
    images: Images,
    settings: TrainingSettings,
    devices: Devices,
    guess: Guess | None,
    labels: Labels | None,
    initial_weights: InitialWeights,
    watch: Watch | None,
    pairs: CodedImages | None = None,
    projection: Projection | None = None,
) -> None:
    """Raise SpecError unless a training with the arguments of `train_generator` can begin.

    Raises CheckpointError if the checkpoint that it begins with cannot be read.
    """
    if watch is not None and settings.held_out is not None:
        raise SpecError(
            "held_out: this training has a judge already, which chooses the step that is published. Leave "
            "one of them out."
        )
    require_shareable(settings, devices, guess)
    require_classes(settings, labels, len(images))
    require_pairs(pairs, images, settings)
    _require_projection(settings, projection, devices)
    require_beginning(settings, shape_of(images), "the network to train")
    _require_same_classes(settings, initial_weights, labels)


def _require_projection(settings: TrainingSettings, projection: Projection | None, devices: Devices) -> None:
    """Raise SpecError unless a training has what its projected D looks at, on one device, or has neither."""
    if settings.discriminator is None:
        if projection is not None:
            raise SpecError("a projection is looked at by a projected D alone. Set `discriminator` too.")
        return
    if projection is None:
        raise SpecError(
            f"discriminator: {settings.discriminator.features['kind']} is not at hand as what D looks at. "
            "Give the training a projection."
        )
    if devices != ONE_DEVICE:
        raise SpecError("discriminator: a projected D trains on one device. Leave --devices out.")


def _require_same_classes(
    settings: TrainingSettings, initial_weights: InitialWeights, labels: Labels | None
) -> None:
    """Raise SpecError if the checkpoint that a training begins with numbers its classes otherwise than the
    labels."""
    begun = initial_weights.after(settings.beginning).checkpoint
    if begun is None or labels is None:
        return
    named = settings.beginning is not None and begun == settings.beginning.path
    other = "leave `beginning` out" if named else "begin with a checkpoint of these classes"
    advice = f"Give images with the same classes in the same order, or {other}."
    require_same_order(begun, labels.names, "the images'", advice)
