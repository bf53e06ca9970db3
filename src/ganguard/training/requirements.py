"""What must hold before a training begins."""

from ganguard.base.image_rows import Images
from ganguard.base.labels import Labels
from ganguard.training.batches import require_shareable
from ganguard.training.classes import require_classes
from ganguard.training.guess import Guess
from ganguard.training.processes import Devices
from ganguard.training.settings import TrainingSettings


def require_trainable(
    images: Images, settings: TrainingSettings, devices: Devices, guess: Guess | None, labels: Labels | None
) -> None:
    """Raise SpecError if several devices cannot share the training, or the labels do not fit it."""
    require_shareable(settings, devices, guess)
    require_classes(settings, labels, len(images))
