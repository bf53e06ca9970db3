"""The classes of the images that an adversary trains a conditional substitute on.

A substitute whose architecture has no `classes` throws them away.
"""

from typing import NamedTuple

from torch import Tensor

from ganguard.architectures.networks import classes_of
from ganguard.attacks.class_names import class_names_of, require_learnt_classes, require_scored_classes
from ganguard.attacks.protocol import Knowledge
from ganguard.attacks.subsampling.reading import Shown
from ganguard.base.errors import DataError
from ganguard.base.labels import Labels
from ganguard.queries.store import Store
from ganguard.targets.conditions import conditions_of
from ganguard.targets.protocol import BlackBoxTarget, WhiteBoxTarget
from ganguard.training.settings import TrainingSettings


def bought_labels(
    settings: TrainingSettings, target: BlackBoxTarget, store: Store, count: int
) -> Labels | None:
    """Return what the first `count` bought images were asked for; None for a substitute without classes.

    Raises DataError if the store does not say it.
    """
    return _asked(target, store, count) if classes_of(settings.architecture) else None


def real_labels(
    settings: TrainingSettings, target: BlackBoxTarget, knowledge: Knowledge, images: Tensor
) -> Labels | None:
    """Return the classes of real images that the adversary holds; None for a substitute without classes.

    images: (m, C, H, W), as many as there must be labels.

    Raises DataError if it does not know them, or if the target lacks one.
    """
    known = class_names_of(target)
    if known is None or not classes_of(settings.architecture):
        return None
    require_learnt_classes(settings.architecture.kind, _names(knowledge), known)
    return _told_as(known, knowledge, images)


class HeldClasses(NamedTuple):
    """The classes of the real images of an adversary that holds D.

    Attributes:
        learnt: as the substitute learns them; None if it has no classes.
        shown: (m,) int64, as which a conditional D scores them. Another D does not see them, and they may be
            None.
    """

    learnt: Labels | None
    shown: Tensor | None


def held_labels(
    settings: TrainingSettings, target: WhiteBoxTarget, knowledge: Knowledge, images: Tensor
) -> HeldClasses:
    """Return the classes of the adversary's real images (m, C, H, W). Called before anything is bought.

    Raises DataError if a substitute with classes, or a conditional D, needs them, and the adversary does not
    know them or the target lacks one.
    """
    known = class_names_of(target)
    learnt = real_labels(settings, target, knowledge, images)
    if known is None:
        return HeldClasses(None, None)
    if scores_classes(target):
        require_scored_classes(_names(knowledge), known)
        return HeldClasses(learnt, _told_as(known, knowledge, images).numbers)
    told = knowledge.real_labels and knowledge.real_labels.told(known)
    return HeldClasses(learnt, told.numbers if told else None)


def scores_classes(target: WhiteBoxTarget) -> bool:
    """Return whether a target's D scores an image as one of a class."""
    return bool(getattr(target.discriminator, "conditional", False))


class Told(NamedTuple):
    """The classes of the images of an attack that holds D.

    Attributes:
        bought: of bought images, as the substitute learns them; None if it has no classes.
        shown: of bought and of real images, as a conditional D scores them.
    """

    bought: Labels | None
    shown: Shown


def told_of(
    settings: TrainingSettings, target: WhiteBoxTarget, store: Store, held: HeldClasses, count: int
) -> Told:
    """Return the classes of the first `count` bought images, beside those of the real ones.

    Raises DataError if the store does not say them.
    """
    asked = _asked(target, store, count)
    bought = asked if classes_of(settings.architecture) else None
    return Told(bought, Shown(asked.numbers if asked else None, held.shown))


def _names(knowledge: Knowledge) -> list[str]:
    """Return the classes that the adversary's real images show."""
    return knowledge.real_labels.occurring() if knowledge.real_labels else []


def _told_as(known: tuple[str, ...], knowledge: Knowledge, images: Tensor) -> Labels:
    """Return the classes of real images by the target's names. Raises DataError if they are not as many."""
    told = knowledge.real_labels and knowledge.real_labels.told(known)
    if told is None or len(told.numbers) != len(images):
        raise DataError(
            f"real: each of the {len(images):,} real images needs one class of the target's. Give both."
        )
    return told


def _asked(target: BlackBoxTarget, store: Store, count: int) -> Labels | None:
    """Return what the first `count` bought images were asked for; None if the target takes no conditions."""
    known = conditions_of(target)
    return None if known is None else Labels(known.numbers(store.read_conditions(count)), known.names)
