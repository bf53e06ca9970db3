"""Refuse an audit of a target with classes whose other parts have other ones, before an image is bought."""

from pathlib import Path

from ganguard.architectures.networks import classes_of
from ganguard.attacks.class_names import (
    class_names_of,
    require_domain_classes,
    require_learnt_classes,
    require_same_classes,
    require_scored_classes,
)
from ganguard.attacks.labels import scores_classes
from ganguard.attacks.protocol import AttackSettings, learns_domain
from ganguard.audit.plan.ground_work import FitInputs, FitSettings
from ganguard.audit.steps.call import StepCall
from ganguard.audit.steps.real import count_real
from ganguard.base.errors import DataError
from ganguard.base.settings import shortened
from ganguard.targets.ask import Ask, require_askable
from ganguard.targets.conditions import conditions_of
from ganguard.targets.protocol import BlackBoxTarget, WhiteBoxTarget

Call = StepCall[FitSettings, FitInputs[Path]]


def require_classes(call: Call, real: tuple[str, ...], target: BlackBoxTarget) -> None:
    """Raise DataError if real images, or those of a domain, lack the classes that models learn of them.

    real: the classes of the real images.
    """
    _require_shown(real, target)
    if call.settings.honest:
        _require_honest(real, target)
    held = count_real(call.inputs.trained_on).classes if call.inputs.trained_on else real
    for attack in call.settings.attacks:
        _require_held(attack, held, target)
    _require_domains(call, target)


def require_model_classes(
    model: str, opened: BlackBoxTarget, target: BlackBoxTarget, ask: Ask | None, advice: str
) -> None:
    """Raise InputError if a model beside the target has other classes, or cannot be asked as the audit asks.

    A model that cannot be asked, and one beside a target that cannot, are measured as they are.

    Args:
        model: begins the message.
        opened: the model.
        target: the target.
        ask: how the audit asks.
        advice: ends the message.
    """
    if names := class_names_of(opened):
        if class_names_of(target):
            require_same_classes(model, names, target, advice)
        require_askable(opened, ask)


def _require_shown(classes: tuple[str, ...], target: BlackBoxTarget) -> None:
    """Raise DataError if the real images have classes, and lack one that the target can be asked for."""
    known = conditions_of(target)
    if known is None or known.kind == "prompts" or not classes:
        return
    if missing := [name for name in known.names if name not in set(classes)]:
        more = f", nor of {len(missing) - 1} other classes" if len(missing) > 1 else ""
        raise DataError(
            f"real: has no images of class {shortened(missing[0])}{more}, which the target can be asked for. "
            f"Its classes: {shortened(', '.join(classes))}. Name the target's classes as those of the "
            "real images, in the target's order."
        )


def _require_honest(classes: tuple[str, ...], target: BlackBoxTarget) -> None:
    """Raise DataError if honest models learn other classes than the target can be asked for.

    They could not be asked as it is.
    """
    known = class_names_of(target)
    if known is not None and set(classes) != set(known):
        raise DataError(
            f"real: an honest model learns its classes, {shortened(', '.join(classes))}, and the target can "
            f"be asked for {shortened(', '.join(known))}. Set `independent: off`, or leave `classes` out."
        )


def _require_held(attack: AttackSettings, classes: tuple[str, ...], target: BlackBoxTarget) -> None:
    """Raise DataError if real images that an adversary holds have other `classes` than the target, and its
    substitute learns them, or the target's D scores an image as one of a class."""
    needs, known = attack.needs(), class_names_of(target)
    if known is None or needs.real_fraction is None:
        return
    if classes_of(attack.architecture):
        require_learnt_classes(attack.architecture.kind, classes, known)
    if needs.discriminator and isinstance(target, WhiteBoxTarget) and scores_classes(target):
        require_scored_classes(classes, known)


def _require_domains(call: Call, target: BlackBoxTarget) -> None:
    """Raise DataError if the classes of a domain do not stand for those of the target."""
    moved = [attack for attack in call.settings.attacks if learns_domain(attack)]
    for _, domain in zip(moved, call.inputs.domains, strict=True):
        require_domain_classes(count_real(domain).classes, class_names_of(target) or ())
