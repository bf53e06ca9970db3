"""What attacks share that continue a copy.

They steal the copy first, as fidelity extraction does, or take one that exists already.
"""

from pathlib import Path
from typing import ClassVar, Self

from pydantic import model_validator

from ganguard.attacks import fidelity
from ganguard.attacks.fidelity import FidelitySettings
from ganguard.attacks.protocol import AttackSettings, Knowledge, Needs, Workspace
from ganguard.targets.checkpoint import CheckpointTarget
from ganguard.targets.protocol import BlackBoxTarget
from ganguard.training.settings import TrainingSettings


class ContinuedCopySettings(AttackSettings):
    """Base of their settings. The query budget and the training settings are those of the copy to continue.

    Attributes:
        substitute: `{checkpoint: …}`, a copy that exists already and takes the place of a stolen one. Nothing
            is bought then.
    """

    own: ClassVar[frozenset[str]] = frozenset({"substitute"})
    substitute: CheckpointTarget | None = None

    @model_validator(mode="after")
    def _one_beginning(self) -> Self:
        if self.substitute and self.beginning:
            raise ValueError("beginning and substitute both say what is continued. Leave one of them out")
        return self

    def steals(self) -> bool:
        """Return whether a copy must be stolen first."""
        return self.substitute is None

    def needs(self) -> Needs:
        """Return the copy and its purchase. Nothing is bought for a copy that exists, or is not needed."""
        begun = self.substitute or self.beginning
        return Needs(
            purchase=self.query_budget if self.steals() else 0,
            stolen=self.stealing() if self.steals() else None,
            copy=begun.path if begun else None,
        )

    def from_scratch(self) -> tuple[TrainingSettings, ...]:
        """Return how the copy is stolen; nothing if it exists already: how it was trained is not known."""
        return super().from_scratch() if self.substitute is None else ()

    def trains_through(self) -> bool:
        """Return whether a copy is stolen first, and its training can pass through a guessed defence."""
        return self.steals() and self.stealing().trains_through()

    def stealing(self) -> FidelitySettings:
        """Return how the copy is stolen."""
        training = self.model_dump(include=set(TrainingSettings.model_fields))
        bought = {"query_budget": self.query_budget, "ask": self.ask}
        return FidelitySettings.model_validate({**training, **bought})


def copy_to_continue(
    target: BlackBoxTarget,
    settings: ContinuedCopySettings,
    knowledge: Knowledge,
    workspace: Workspace,
    *,
    seed: int,
) -> Path:
    """Return the checkpoint of the copy to continue: an existing one, or one that is stolen now.

    Raises BudgetError, before an image is bought, if the account cannot pay.
    """
    if settings.substitute is not None:
        return settings.substitute.path
    if knowledge.stolen is not None:
        return knowledge.stolen
    place = Workspace(workspace.directory / "stolen", workspace.store, workspace.compute, workspace.progress)
    return fidelity.run(target, settings.stealing(), knowledge, place, seed=seed).checkpoint
