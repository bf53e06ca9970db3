"""Accuracy extraction, partial black box (Hu & Pang 2021): as fidelity extraction, and the adversary holds
some real images X_r of the target's training set, with which it goes on."""

from typing import Literal

from ganguard.attacks.continued_copy import GoesOnSettings, copy_to_go_on_with
from ganguard.attacks.protocol import Attack, Knowledge, Substitute, Workspace
from ganguard.attacks.real_images import RealImagesSettings, go_on_with_real, require_real, train_with_real
from ganguard.base.errors import SpecError
from ganguard.queries.harvest import harvest
from ganguard.targets.protocol import BlackBoxTarget
from ganguard.training.beginning import Beginning


class PartialBlackBoxSettings(RealImagesSettings, GoesOnSettings):
    """query_budget images are bought; real_fraction of the target's training images are known already.

    With the schedule "fine_tune", a copy is made as fidelity extraction makes it, and is gone on with.
    """

    kind: Literal["accuracy_partial_black_box"] = "accuracy_partial_black_box"

    def steals(self) -> bool:
        """Whether a copy has to be made first: "mix" trains on everything at once."""
        return self.schedule == "fine_tune" and super().steals()

    def buys(self) -> int:
        """Images that are bought for it."""
        return self.query_budget if self.substitute is None else 0


def run(
    target: BlackBoxTarget,
    settings: PartialBlackBoxSettings,
    knowledge: Knowledge,
    workspace: Workspace,
    *,
    seed: int,
) -> Substitute:
    """Buy `query_budget` images, and train a substitute on them and on X_r.

    Raises SpecError without X_r, and BudgetError, before an image is bought that the account cannot pay.
    """
    require_real(knowledge, target.image_shape)
    if settings.schedule == "mix":
        images = harvest(target, workspace.store, settings.query_budget, workspace.progress)
        checkpoint = train_with_real(images, settings, knowledge, workspace, seed=seed)
    else:
        copy = copy_to_go_on_with(target, settings, knowledge, workspace, seed=seed)
        checkpoint = go_on_with_real(copy, settings, knowledge, workspace, seed=seed)
    return Substitute(checkpoint, settings.buys())


def require(target: BlackBoxTarget, settings: PartialBlackBoxSettings) -> None:
    """Raise InputError where the copy that exists already is of another architecture, or is to be mixed."""
    if settings.substitute is None:
        return
    if settings.schedule == "mix":
        raise SpecError(
            "schedule: mix trains on bought images, and a copy that exists already was trained. Set "
            '"fine_tune".'
        )
    Beginning(settings.substitute.path).require_fits(settings.architecture, target.image_shape)


PARTIAL_BLACK_BOX = Attack(PartialBlackBoxSettings, run, require=require)
