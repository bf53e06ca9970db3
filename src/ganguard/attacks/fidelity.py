"""Fidelity extraction (Hu & Pang 2021): query the target, and train a substitute GAN on what it returns.

The adversary sees a black box. It knows neither the target's architecture nor its training data. It draws
codes from the prior, or the provider does, and every image costs one query.
"""

from typing import ClassVar, Literal

from ganguard.attacks.projected import projection_of
from ganguard.attacks.protocol import Attack, AttackSettings, Knowledge, Substitute, Workspace
from ganguard.attacks.purchase_training import train_on_purchase
from ganguard.queries.harvest import harvest
from ganguard.targets.protocol import BlackBoxTarget


class FidelitySettings(AttackSettings):
    """Settings of fidelity extraction: the query budget, and the substitute's architecture and training."""

    projects: ClassVar[bool] = True
    kind: Literal["fidelity"] = "fidelity"

    def trains_through(self) -> bool:
        """Return True: all that it trains on was bought."""
        return True


def run(
    target: BlackBoxTarget,
    settings: FidelitySettings,
    knowledge: Knowledge,
    workspace: Workspace,
    *,
    seed: int,
) -> Substitute:
    """Buy `query_budget` images and train a substitute on them.

    Args:
        knowledge: a guessed defence is used, and what a projected D looks at.
        seed: seed of the substitute's weights and training. The store has its own seed, which decides which
            images are bought.

    Raises BudgetError, before an image is bought, if the account cannot pay.
    """
    projection = projection_of(settings, knowledge)
    images = harvest(target, workspace.store, settings.query_budget, workspace.progress)
    checkpoint = train_on_purchase(
        images, target, settings, knowledge, workspace, seed=seed, projection=projection
    )
    return Substitute(checkpoint, settings.query_budget)


FIDELITY = Attack(FidelitySettings, run)
