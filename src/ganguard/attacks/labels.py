"""The classes of the images that an adversary trains a conditional substitute on.

A substitute whose architecture has no `classes` throws them away.
"""

from typing import NamedTuple

from torch import Tensor

from ganguard.architectures.networks import classes_of
from ganguard.attacks.protocol import Knowledge
from ganguard.attacks.subsampling.refining import NOTHING_SHOWN, Shown
from ganguard.base.errors import SpecError
from ganguard.base.labels import Labels
from ganguard.queries.store import Store
from ganguard.targets.conditions import conditions_of
from ganguard.targets.protocol import BlackBoxTarget
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

    Raises SpecError if it does not know them.
    """
    known = conditions_of(target)
    if known is None or not classes_of(settings.architecture):
        return None
    found = knowledge.real_labels and knowledge.real_labels.told(known.names)
    if found is None or len(found.numbers) != len(images):
        raise SpecError(
            f"{settings.architecture.kind} with {len(known)} classes learns from real images too, and these "
            "do not have the target's classes. Give real images with these classes, or leave `classes` out."
        )
    return found


class Told(NamedTuple):
    """The classes of the images of an attack that holds D.

    Attributes:
        bought: of bought images, as the substitute learns them; None if it has no classes.
        real: of the adversary's real images, likewise.
        shown: of both, as a conditional D scores them.
    """

    bought: Labels | None
    real: Labels | None
    shown: Shown


def told_of(
    settings: TrainingSettings, target: BlackBoxTarget, store: Store, knowledge: Knowledge, count: int
) -> Told:
    """Return the classes of the first `count` bought images and of the real ones.

    Raises as `bought_labels` and `real_labels` do.
    """
    X_r, learns = knowledge.real_images, classes_of(settings.architecture) > 0
    asked = _asked(target, store, count)
    known = knowledge.real_labels.told(asked.names) if asked and knowledge.real_labels else None
    return Told(
        asked if learns else None,
        None if X_r is None else real_labels(settings, target, knowledge, X_r),
        Shown(asked.numbers, known.numbers) if asked and known else NOTHING_SHOWN,
    )


def _asked(target: BlackBoxTarget, store: Store, count: int) -> Labels | None:
    """Return what the first `count` bought images were asked for; None if the target takes no conditions."""
    known = conditions_of(target)
    return None if known is None else Labels(known.numbers(store.read_conditions(count)), known.names)
