"""What the function of a step is given, and what it returns."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ganguard.base.compute import Compute
from ganguard.base.progress import Progress


@dataclass(frozen=True)
class StepCall:
    """What a runner is given: its step's settings, the directories of its inputs by role, its own directory,
    the directory of the whole audit (where the ledger and the purchases are), how to compute, and how often a
    training saves its state."""

    settings: dict[str, Any]
    inputs: dict[str, Path]
    directory: Path
    audit: Path
    compute: Compute
    progress: Progress
    checkpoint_every: int | None = None

    def trained_as(self, settings: dict[str, Any]) -> dict[str, Any]:
        """The settings of a training, with how often it saves its state."""
        return (
            settings
            if self.checkpoint_every is None
            else {**settings, "checkpoint_every": self.checkpoint_every}
        )


Digests = dict[str, str]
Runner = Callable[[StepCall], Digests]
