"""The classes of a conditional training: one label for each image."""

from pathlib import Path

import torch
from torch import Tensor

from ganguard.architectures.checkpoint import read_description
from ganguard.architectures.networks import classes_of
from ganguard.base.errors import SpecError
from ganguard.base.labels import Labels
from ganguard.base.settings import one_line
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


def labels_to_learn(
    settings: TrainingSettings, labels: Tensor | None, names: tuple[str, ...], rows: Tensor
) -> Labels | None:
    """Return the classes of the images that a training sees, or None if its architecture has no classes.

    Args:
        settings: how to train.
        labels: (N,) int64, the class of each image of a data set; None if it has none.
        names: of the classes.
        rows: (n,) int64, the images among them that the training sees.

    Raises SpecError if the architecture has another number of classes, or if one has no image.
    """
    if classes_of(settings.architecture):
        require_as_many(settings, 0 if labels is None else len(names))
    if labels is None or not classes_of(settings.architecture):
        return None
    seen = Labels(labels[rows], names)
    counts = torch.bincount(seen.numbers, minlength=len(names))
    if lacking := [name for name, count in zip(names, counts.tolist(), strict=True) if not count]:
        others = f" and {len(lacking) - 1} others" if len(lacking) > 1 else ""
        raise SpecError(
            f"class {one_line(lacking[0], 80)!r}{others}: none of the images to train on has it. Give more "
            "images of it, or leave the class out."
        )
    return seen


def require_as_many(settings: TrainingSettings, classes: int, whose: str = "the images have") -> None:
    """Raise SpecError if a conditional architecture has another number of classes than `classes`.

    whose: begins the end of the message.
    """
    wanted = classes_of(settings.architecture)
    if wanted and wanted != classes:
        found = f"{whose} {classes}" if classes else f"{whose} none"
        advice = f"Set classes: {classes}" if classes else "Leave `classes` out"
        raise SpecError(f"{settings.architecture.kind} has {wanted} classes, and {found}. {advice}.")


def require_same_order(checkpoint: Path, names: tuple[str, ...], whose: str, advice: str) -> None:
    """Raise SpecError if a checkpoint that a training goes on with numbers its classes otherwise than `names`
    do: each class would go on from the weights of another one.

    Another number of classes is another architecture, and is found elsewhere.

    whose: says in the message whose the names are; advice: ends it.
    """
    theirs = read_description(checkpoint).class_names or ()
    for number, (found, wanted) in enumerate(zip(theirs, names, strict=False)):
        if found != wanted:
            theirs_and_ours = f"its class {number} is {found[:80]!r}, and {whose} is {wanted[:80]!r}"
            raise SpecError(f"{checkpoint}: {theirs_and_ours}. {advice}")
