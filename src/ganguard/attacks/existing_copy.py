"""A copy that exists already, of any attack. It is graded like other copies, and nothing is bought for it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal, Self, cast

from pydantic import model_validator

from ganguard.architectures.checkpoint import read_description
from ganguard.attacks.protocol import Attack, AttackSettings, Knowledge, Needs, Substitute, Workspace
from ganguard.base.cache import copy_directory
from ganguard.base.errors import CheckpointError
from ganguard.targets.checkpoint import CheckpointTarget
from ganguard.targets.protocol import BlackBoxTarget
from ganguard.training.settings import TrainingSettings


class ExistingCopySettings(AttackSettings):
    """Settings of an existing copy. The architecture is read from its checkpoint.

    Attributes:
        substitute: `{checkpoint: …}`, the copy.
        query_budget: how many images the copy was made from, as far as is known. It places the copy in tables
            and plots.
    """

    kind: Literal["given"] = "given"
    varies: ClassVar[bool] = False
    substitute: CheckpointTarget

    @model_validator(mode="before")
    @classmethod
    def _as_the_checkpoint(cls, values: Any) -> Any:
        if not isinstance(values, Mapping):
            return values
        known = cast(Mapping[str, Any], values)
        given = known.get("substitute")
        path = given.get("checkpoint") if isinstance(given, Mapping) else getattr(given, "checkpoint", None)  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
        if not isinstance(path, str):
            raise ValueError("substitute must be {checkpoint: …}, the directory of the copy")
        return {**known, "architecture": read_description(Path(path)).architecture}

    @model_validator(mode="after")
    def _trains_nothing(self) -> Self:
        if self.beginning:
            raise ValueError("beginning has nothing to act on: this copy is not trained. Leave it out")
        return self

    def label(self) -> str:
        """Return the name of the copy's directory, or of its parent if it is called "checkpoint"."""
        path = self.substitute.path
        return f"given copy {path.parent.name if path.name == 'checkpoint' else path.name}"

    def needs(self) -> Needs:
        """Return the copy. Nothing is bought."""
        return Needs(copy=self.substitute.path)

    def from_scratch(self) -> tuple[TrainingSettings, ...]:
        """Return nothing: how the copy was trained is not known."""
        return ()


def run(
    target: BlackBoxTarget,
    settings: ExistingCopySettings,
    knowledge: Knowledge,
    workspace: Workspace,
    *,
    seed: int,
) -> Substitute:
    """Copy the checkpoint as it is, into the workspace."""
    copy_directory(settings.substitute.path, workspace.directory / "checkpoint")
    return Substitute(workspace.directory / "checkpoint", 0)


def require(target: BlackBoxTarget, settings: ExistingCopySettings) -> None:
    """Raise CheckpointError if the copy's images have another shape than the target's.

    Its classes are compared for any attack with a copy. Their order does not count: the copy is not trained
    on, and it is asked for a class by its name.
    """
    if (found := read_description(settings.substitute.path).image_shape) != target.image_shape:
        raise CheckpointError(
            f"{settings.substitute.path}: the target makes images {target.image_shape} (C, H, W), this copy "
            f"{found}. Give a copy of this target."
        )


EXISTING_COPY = Attack(ExistingCopySettings, run, require=require)
