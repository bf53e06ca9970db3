"""What a spec says of the target to audit, and of the reference of a remote one."""

from collections.abc import Mapping
from typing import Annotated, Any, cast

from pydantic import BeforeValidator, PlainSerializer, SerializeAsAny

from ganguard.architectures.networks import classes_of
from ganguard.attacks.class_names import require_learnable
from ganguard.attacks.protocol import AttackSettings
from ganguard.base.errors import InputError, SpecError, unknown_name
from ganguard.base.settings import NonNegative, one_line, parse
from ganguard.data.dataset import DatasetField
from ganguard.targets import TARGETS
from ganguard.targets.ask import Ask, require_suited
from ganguard.targets.load import TargetSettings, parse_target
from ganguard.training.differential_privacy import PrivateTraining


class TrainTarget(PrivateTraining):
    """`target: {train: …}`: a GAN that the audit trains itself, on the train split of `dataset`."""

    dataset: DatasetField
    seed: NonNegative = 0

    def require_askable(self, ask: Ask) -> None:
        """Raise TargetError if the target could not be asked so once it is trained."""
        require_suited(ask, conditional=classes_of(self.architecture) > 0)

    def require_copied(self, copy: AttackSettings, ask: Ask) -> None:
        """Raise InputError, which names the copy, if the target could not be asked so once it is trained, or
        has not the classes that the copy learns."""
        try:
            self.require_askable(ask)
            if copy.needs().copy is None:  # of a copy that exists, another step says what its own classes are
                require_learnable(copy, classes_of(self.architecture))
        except InputError as problem:
            raise type(problem)(f"{copy.label()}: {one_line(problem)}") from None

    def training(self) -> PrivateTraining:
        """Return the settings of the training, without the data set."""
        return PrivateTraining.model_validate(self.model_dump(include=set(PrivateTraining.model_fields)))


def _target(value: object) -> TrainTarget | TargetSettings:
    """Return the target that a spec names. Raises SpecError if it names none, or several."""
    if isinstance(value, TrainTarget | TargetSettings):
        return value
    if isinstance(value, Mapping) and "train" in value:
        values = cast(Mapping[str, Any], value)
        if len(values) > 1 or not isinstance(values["train"], Mapping):
            raise SpecError(f"target.train must be a mapping, and the only key; got {dict(values)!r}.")
        return parse(TrainTarget, cast(Mapping[str, Any], values["train"]), "target.train")
    known = ["train", *TARGETS.table()]
    if not isinstance(value, Mapping):
        raise SpecError(f"target must be a mapping with one of {', '.join(sorted(known))}; got {value!r}.")
    if not any(key in known for key in value):
        raise SpecError(unknown_name("target", next(iter(cast(Mapping[str, Any], value)), ""), known))
    return parse_target(value)


def _as_written(target: TrainTarget | TargetSettings) -> dict[str, Any]:
    """Return the target as a spec names it, so that what is dumped can be read again."""
    said = target.model_dump(mode="json")
    return {"train": said} if isinstance(target, TrainTarget) else said


def _reference(value: object) -> TargetSettings | None:
    if value is None:
        return None
    try:
        return parse_target(value)
    except SpecError as problem:
        raise SpecError(f"reference: {one_line(problem)}") from None


TargetField = Annotated[TrainTarget | TargetSettings, BeforeValidator(_target), PlainSerializer(_as_written)]
"""A field that holds the target of a spec, and is dumped as a spec names it."""
ReferenceField = Annotated[SerializeAsAny[TargetSettings] | None, BeforeValidator(_reference)]
"""A field that holds the reference of a remote target."""
