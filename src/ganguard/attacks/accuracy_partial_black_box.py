"""Accuracy extraction, partial black box (Hu & Pang 2021): as fidelity extraction, and the adversary holds some real images
X_r of the target's training set, with which it goes on."""

from typing import Literal

from ganguard.attacks.protocol import Attack, Knowledge, Substitute, Workspace
from ganguard.attacks.real_images import RealImagesSettings, require_real, train_with_real
from ganguard.queries.harvest import harvest
from ganguard.targets.protocol import BlackBoxTarget


class PartialBlackBoxSettings(RealImagesSettings):
    """query_budget images are bought; real_fraction of the target's training images are known already."""

    kind: Literal["accuracy_partial_black_box"] = "accuracy_partial_black_box"


def run(
    target: BlackBoxTarget, settings: PartialBlackBoxSettings, knowledge: Knowledge, workspace: Workspace, *, seed: int
) -> Substitute:
    """Buy `query_budget` images, and train a substitute on them and on X_r.

    Raises SpecError without X_r, and BudgetError, before an image is bought that the account cannot pay.
    """
    require_real(knowledge, target.image_shape)
    images = harvest(target, workspace.store, settings.query_budget, workspace.progress)
    checkpoint = train_with_real(images, settings, knowledge, workspace, seed=seed)
    return Substitute(checkpoint, settings.query_budget)


PARTIAL_BLACK_BOX = Attack(PartialBlackBoxSettings, run)
