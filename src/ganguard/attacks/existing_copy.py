"""A copy that exists already, of whatever attack: it is graded like the others, and nothing is bought for
it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, cast

from pydantic import model_validator

from ganguard.architectures.checkpoint import read_description
from ganguard.attacks.protocol import Attack, AttackSettings, Knowledge, Substitute, Workspace
from ganguard.base.cache import copy_directory
from ganguard.base.errors import CheckpointError
from ganguard.targets.checkpoint import CheckpointTarget
from ganguard.targets.protocol import BlackBoxTarget


class GivenSettings(AttackSettings):
    """substitute: `{checkpoint: …}`, the copy. query_budget: how many images it was made from, as far as is
    known: where it stands in tables and pictures. Its architecture is that of the checkpoint."""

    kind: Literal["given"] = "given"
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

    def label(self) -> str:
        """The copy's directory, or the one around it where that is called "checkpoint"."""
        path = self.substitute.path
        return f"given copy {path.parent.name if path.name == 'checkpoint' else path.name}"

    def buys(self) -> int:
        """Nothing."""
        return 0


def run(
    target: BlackBoxTarget, settings: GivenSettings, knowledge: Knowledge, workspace: Workspace, *, seed: int
) -> Substitute:
    """Take the copy as it is."""
    copy_directory(settings.substitute.path, workspace.directory / "checkpoint")
    return Substitute(workspace.directory / "checkpoint", 0)


def require(target: BlackBoxTarget, settings: GivenSettings) -> None:
    """Raise CheckpointError where the copy's images are of another shape than the target's: nothing could be
    compared."""
    if (found := read_description(settings.substitute.path).image_shape) != target.image_shape:
        raise CheckpointError(
            f"{settings.substitute.path}: the target makes images {target.image_shape} (C, H, W), this copy "
            f"{found}. Give a copy of this target."
        )


GIVEN = Attack(GivenSettings, run, require=require)
