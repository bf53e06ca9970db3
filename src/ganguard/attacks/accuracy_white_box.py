"""Accuracy extraction, white box (Hu & Pang 2021, Algorithm 1): as the partial black box, and the adversary holds the target's
discriminator D. It refines the bought images by Metropolis-Hastings subsampling before it trains on them.

How far to refine is the adversary's choice: its judge compares sets that were refined with the density ratio to the power of
0, 1/4, 1/2, 3/4 and 1. The power 0 refines nothing, and says that subsampling does not help here.
"""

from typing import Literal

from ganguard.attacks.protocol import Attack, Knowledge, Substitute, Workspace
from ganguard.attacks.real_images import RealImagesSettings, require_real, train_with_real
from ganguard.attacks.subsampling.refining import Refining, refine, require_readable, write_refinement
from ganguard.queries.harvest import harvest
from ganguard.targets.protocol import WhiteBoxTarget
from ganguard.training.beginning import RANDOM_WEIGHTS, Beginning


class WhiteBoxSettings(RealImagesSettings):
    """query_budget images are bought, and are the pool that is refined.

    refining: density ratio, chains and powers.
    start_discriminator: the substitute's D begins as the "target"'s (which must be of the same architecture), or at "random".
    """

    kind: Literal["accuracy_white_box"] = "accuracy_white_box"
    refining: Refining = Refining()
    start_discriminator: Literal["random", "target"] = "random"


def run(
    target: WhiteBoxTarget, settings: WhiteBoxSettings, knowledge: Knowledge, workspace: Workspace, *, seed: int
) -> Substitute:
    """Buy `query_budget` images, refine them with D and X_r, train a substitute on those kept, and go on with X_r.

    Raises SpecError without X_r, where D gives NaN, and where all chains are stuck; BudgetError, before an image is bought that
    the account cannot pay.
    """
    X_r, judge = require_real(knowledge, target.image_shape)
    D = target.discriminator
    require_readable(D, X_r, settings.refining)
    beginning = Beginning(discriminator=D.module()) if settings.start_discriminator == "target" else RANDOM_WEIGHTS
    beginning.require_fits(settings.architecture, target.image_shape)
    images = harvest(target, workspace.store, settings.query_budget, workspace.progress)
    refinement = refine(images, X_r, D, settings.refining, judge, seed=seed)
    write_refinement(refinement, workspace.directory)
    checkpoint = train_with_real(images[refinement.kept], settings, knowledge, workspace, seed=seed, beginning=beginning)
    return Substitute(checkpoint, settings.query_budget)


WHITE_BOX = Attack(WhiteBoxSettings, run, white_box=True)
