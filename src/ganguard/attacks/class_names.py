"""Whether the classes of a copy, or of another domain, are those of the target.

A class is known by its name. Its number is its place among the names, whose order differs between models and
data sets that were made apart.
"""

from collections.abc import Collection
from pathlib import Path

from ganguard.architectures.checkpoint import read_description
from ganguard.architectures.networks import classes_of
from ganguard.base.errors import DataError, SpecError, TargetError
from ganguard.base.labels import Labels
from ganguard.base.settings import shortened
from ganguard.targets.conditions import conditions_of
from ganguard.training.classes import require_as_many
from ganguard.training.settings import TrainingSettings


def class_names_of(target: object) -> tuple[str, ...] | None:
    """Return the names of what a target can be asked for, in their order; None if it is not conditional."""
    return known.names if (known := conditions_of(target)) else None


def require_same_classes(
    copy: str, names: Collection[str], target: object, advice: str = "Give a copy of this target."
) -> None:
    """Raise SpecError if a copy that can be asked for classes has others than the target, in any order.

    Args:
        copy: begins the message, and says whose classes these are.
        names: the copy's classes; none if it cannot be asked.
        target: the target.
        advice: ends the message.
    """
    known = class_names_of(target)
    if not names or set(names) == set(known or ()):
        return
    theirs = f"the target has {_listed(known)}" if known else "the target takes no conditions"
    raise SpecError(f"{copy} has the classes {_listed(names)}, and {theirs}. {advice}")


def require_copy_classes(copy: Path | None, target: object) -> None:
    """Raise SpecError if a copy's checkpoint has other classes than the target, in any order.

    Raises CheckpointError if it cannot be read.
    """
    if copy is not None:
        require_same_classes(f"{copy}: this copy", read_description(copy).class_names or (), target)


def require_learnable(settings: TrainingSettings, conditions: int) -> None:
    """Raise TargetError if a target takes no `conditions`, SpecError if it takes another number of them than
    a substitute learns."""
    classes = classes_of(settings.architecture)
    if classes and not conditions:
        raise TargetError(
            f"{settings.architecture.kind} with {classes} classes learns what was asked for, and this target "
            "takes no conditions. Leave `classes` out."
        )
    if classes:
        require_as_many(settings, conditions, "the target has")


def require_learnt_classes(kind: str, names: Collection[str], known: Collection[str]) -> None:
    """Raise DataError unless real images have classes of the target, which a substitute with classes learns.

    Args:
        kind: of the substitute's architecture.
        names: classes of the real images; none if they have none.
        known: those of the target.
    """
    why = f"{kind} with {len(known)} classes learns from real images too"
    _require_real_classes(names, known, why, "leave `classes` of the architecture out")


def require_scored_classes(names: Collection[str], known: Collection[str]) -> None:
    """Raise DataError unless real images have classes of the target, as its conditional D scores them.

    The arguments are those of `require_learnt_classes`.
    """
    why = "the target's discriminator scores an image as one of a class"
    _require_real_classes(names, known, why, "leave the white-box attack out")


def _require_real_classes(names: Collection[str], known: Collection[str], why: str, leave: str) -> None:
    if not names:
        raise DataError(
            f"real: has no classes, and {why}. Put every image into the subfolder of its class, or {leave}."
        )
    if strange := [name for name in names if name not in set(known)]:
        more = f" and {len(strange) - 1} others" if len(strange) > 1 else ""
        raise DataError(
            f"real: has images of class {shortened(strange[0])}{more}, which the target cannot be asked for, "
            f"and {why}. Leave other classes than the target's, {_listed(known)}, out of the real images, or "
            f"{leave}."
        )


def require_domain_classes(names: Collection[str], known: Collection[str]) -> None:
    """Raise DataError unless the classes of a domain stand for classes of the target.

    They do by their names or, if no name is shared and there are equally many, by their numbers.

    Args:
        names: classes of the domain's images.
        known: those of the target.
    """
    require_domain_count(len(names), len(known))
    strange = [name for name in names if name not in set(known)]
    if not strange or (len(strange) == len(names) == len(known)):
        return
    if len(strange) == len(names):
        raise DataError(
            f"domain: none of its {len(names)} classes {_listed(names)} is one of the target's {len(known)}, "
            f"{_listed(known)}. Name them as the target does, or leave `classes` of the architecture out."
        )
    more = f" and {len(strange) - 1} others" if len(strange) > 1 else ""
    raise DataError(
        f"domain: its class {shortened(strange[0])}{more} is none of the target's, {_listed(known)}. Leave "
        "that class out of the domain, or name it as the target does."
    )


def require_domain_count(found: int, wanted: int) -> None:
    """Raise DataError if a domain has no classes, or more than the `wanted` ones of a copy with classes."""
    if not 0 < found <= wanted:
        what = f"has {found} classes" if found else "has no classes"
        advice = "Leave classes out of the domain" if found else "Give a domain with classes"
        raise DataError(
            f"domain: {what}, and the copy that is moved there learns {wanted}. {advice}, or leave `classes` "
            "of the architecture out."
        )


def as_the_targets(labels: Labels, known: tuple[str, ...]) -> Labels:
    """Return the classes of a domain's images under the target's names.

    Raises DataError if they do not stand for these.
    """
    require_domain_classes(labels.names, known)
    by_name = not set(labels.names).isdisjoint(known)
    return Labels(labels.numbered(known) if by_name else labels.numbers, known)


def _listed(names: Collection[str]) -> str:
    return shortened(", ".join(names))
