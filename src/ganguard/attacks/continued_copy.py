"""Attacks that go on with a copy: one that they steal first, as fidelity extraction does, or one that exists
already."""

from pathlib import Path

from ganguard.attacks import fidelity
from ganguard.attacks.fidelity import FidelitySettings
from ganguard.attacks.protocol import AttackSettings, Knowledge, Workspace
from ganguard.targets.checkpoint import CheckpointTarget
from ganguard.targets.protocol import BlackBoxTarget
from ganguard.training.settings import TrainingSettings


class GoesOnSettings(AttackSettings):
    """query_budget images are bought for the copy that is gone on with; the training's settings are those of
    that copy.

    substitute: `{checkpoint: …}`, a copy that exists already and is taken in place of a new one: nothing is
    bought.
    """

    substitute: CheckpointTarget | None = None

    def steals(self) -> bool:
        """Whether a copy has to be made first."""
        return self.substitute is None

    def buys(self) -> int:
        """Images that are bought for it: none where a copy is not needed, or exists already."""
        return self.query_budget if self.steals() else 0

    def trains_through(self) -> bool:
        """Where a copy is made first, as fidelity extraction makes it."""
        return self.steals()

    def stealing(self) -> FidelitySettings:
        """How the copy is made."""
        training = self.model_dump(include=set(TrainingSettings.model_fields))
        return FidelitySettings.model_validate({**training, "query_budget": self.query_budget})


def copy_to_go_on_with(
    target: BlackBoxTarget, settings: GoesOnSettings, knowledge: Knowledge, workspace: Workspace, *, seed: int
) -> Path:
    """The checkpoint of the copy that exists already, or of one that is stolen now. Raises BudgetError,
    before an image is bought that the account cannot pay."""
    if settings.substitute is not None:
        return settings.substitute.path
    place = Workspace(workspace.directory / "stolen", workspace.store, workspace.compute, workspace.progress)
    return fidelity.run(target, settings.stealing(), knowledge, place, seed=seed).checkpoint
