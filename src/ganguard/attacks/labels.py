"""The classes of the images that an adversary trains a conditional substitute on.

A substitute whose architecture has no `classes` throws them away.
"""

from torch import Tensor

from ganguard.architectures.networks import classes_of
from ganguard.attacks.protocol import Knowledge
from ganguard.attacks.subsampling.refining import NOTHING_SHOWN, Shown
from ganguard.base.errors import SpecError
from ganguard.base.labels import Labels
from ganguard.queries.store import Store
from ganguard.targets.conditions import Conditions, conditions_of
from ganguard.targets.protocol import BlackBoxTarget
from ganguard.training.settings import TrainingSettings


def bought_labels(
    settings: TrainingSettings, target: BlackBoxTarget, store: Store, count: int
) -> Labels | None:
    """Return what the first `count` bought images were asked for; None for a substitute without classes.

    Raises DataError if the store does not say it.
    """
    known = _known(settings, target)
    return None if known is None else Labels(known.numbers(store.read_conditions(count)), known.names)


def real_labels(
    settings: TrainingSettings, target: BlackBoxTarget, knowledge: Knowledge, images: Tensor
) -> Labels | None:
    """Return the classes of real images that the adversary holds; None for a substitute without classes.

    images: (m, C, H, W), as many as there must be labels.

    Raises SpecError if it does not know them.
    """
    known = _known(settings, target)
    if known is None:
        return None
    found = knowledge.real_labels and knowledge.real_labels.told(known.names)
    if found is None or len(found.numbers) != len(images):
        raise SpecError(
            f"{settings.architecture.kind} with {len(known)} classes learns from real images too, and these "
            "do not have the target's classes. Give real images with these classes, or leave `classes` out."
        )
    return found


def shown_as(target: BlackBoxTarget, asked: Tensor | None, knowledge: Knowledge) -> Shown:
    """Return the classes by which a conditional D scores bought and real images; none if they are not known.

    asked: what each bought image was asked for, (N,).
    """
    known, of_real = conditions_of(target), knowledge.real_labels
    told = of_real.told(known.names) if known and of_real else None
    return NOTHING_SHOWN if told is None else Shown(asked, told.numbers)


def _known(settings: TrainingSettings, target: BlackBoxTarget) -> Conditions | None:
    return conditions_of(target) if classes_of(settings.architecture) else None
