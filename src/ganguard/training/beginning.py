"""A checkpoint that a training begins with, as its settings name it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from pydantic import ValidationError, field_validator, model_validator

from ganguard.architectures.checkpoint import read_description
from ganguard.base.settings import Settings, absolute, explain, shortened


class Beginning(Settings):
    """`beginning: {checkpoint: …}`: G, its average and D begin with the weights of this checkpoint.

    Attributes:
        checkpoint: a directory that `ganguard train` or `ganguard attack` wrote, kept as an absolute path.
    """

    checkpoint: str

    @model_validator(mode="before")
    @classmethod
    def _one_directory(cls, value: Any) -> Any:
        known = cast(Mapping[str, Any], value) if isinstance(value, Mapping) else {}
        if not isinstance(value, Beginning) and not isinstance(known.get("checkpoint"), str):
            raise ValueError(
                "must be {checkpoint: …}, a directory that `ganguard train` or `ganguard attack` wrote; got "
                f"{shortened(cast(object, value))}"
            )
        return cast(object, value)

    @field_validator("checkpoint")
    @classmethod
    def _absolute(cls, path: str) -> str:
        return absolute(path)

    @property
    def path(self) -> Path:
        """The directory."""
        return Path(self.checkpoint)

    def name(self) -> str:
        """Return the name of the directory, or of its parent if it is called "checkpoint"."""
        return self.path.parent.name if self.path.name == "checkpoint" else self.path.name

    def fingerprint(self) -> str:
        """Return a digest of checkpoint.json, which holds the digests of the weights.

        Raises CheckpointError.
        """
        return read_description(self.path).fingerprint()


def with_its_architecture(values: object) -> object:
    """Return the values of a training's settings, with the architecture of the checkpoint that it begins with
    if they name none, or only its kind.

    Raises CheckpointError if that checkpoint cannot be read.
    """
    if not isinstance(values, Mapping):
        return values
    said = cast(Mapping[str, Any], values)
    beginning = said.get("beginning")
    named = said.get("architecture")
    if beginning is None or not (named is None or isinstance(named, str)):
        return said
    if not isinstance(beginning, Beginning):
        try:
            beginning = Beginning.model_validate(beginning)
        except ValidationError as problem:
            raise ValueError(explain(problem, Beginning, "beginning")) from None
    found = read_description(beginning.path).architecture
    return {**said, "architecture": found if named in (None, found.kind) else named}
