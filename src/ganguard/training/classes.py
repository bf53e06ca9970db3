"""The classes of a conditional training: one label for each image."""

import torch

from ganguard.architectures.networks import classes_of
from ganguard.base.errors import SpecError
from ganguard.base.labels import Labels
from ganguard.training.differential_privacy import PrivateTraining
from ganguard.training.settings import TrainingSettings


def require_classes(settings: TrainingSettings, labels: Labels | None, images: int) -> None:
    """Raise SpecError unless labels fit what is trained.

    Args:
        settings: how to train. An architecture without classes takes no labels.
        labels: the class of each image, or None.
        images: how many images there are.
    """
    classes, kind = classes_of(settings.architecture), settings.architecture.kind
    if not classes:
        if labels is not None:
            raise SpecError(f"{kind} has no classes, and labels were given. Set `classes`, or give none.")
        return
    if labels is None:
        raise SpecError(
            f"{kind} with {classes} classes learns from images with labels, and these have none. Leave "
            "`classes` out, or give images with classes."
        )
    require_as_many(settings, len(labels.names))
    y = labels.numbers
    if y.dtype != torch.int64 or tuple(y.shape) != (images,):
        raise SpecError(f"labels must be ({images},) int64; got {y.dtype} {tuple(y.shape)}.")
    if not 0 <= int(y.min()) <= int(y.max()) < classes:
        raise SpecError(f"labels must be 0 to {classes - 1}; got {int(y.min())} to {int(y.max())}.")
    if isinstance(settings, PrivateTraining) and settings.differential_privacy is not None:
        raise SpecError(
            "differential_privacy: the labels of a conditional training would not be private. Leave `classes`"
            " out, or differential_privacy."
        )


def require_as_many(settings: TrainingSettings, classes: int, whose: str = "the images have") -> None:
    """Raise SpecError if a conditional architecture has another number of classes than `classes`.

    whose: begins the end of the message.
    """
    wanted = classes_of(settings.architecture)
    if wanted and wanted != classes:
        found = f"{whose} {classes}" if classes else f"{whose} none"
        advice = f"Set classes: {classes}" if classes else "Leave `classes` out"
        raise SpecError(f"{settings.architecture.kind} has {wanted} classes, and {found}. {advice}.")
