"""Extraction by distillation (Aguinaldo et al. 2019, "Compressing GANs using Knowledge Distillation"): where
the client sends the codes, each bought image comes with the code that it was made from.

The adversary trains its substitute on the images, as in fidelity extraction, and draws its image of each code
towards the one that the target gave for it: the loss of G is the adversarial one + weight * ||G̃(z) - G(z)||.
What comes out is a copy of the function, not only of the distribution: it can be asked for the same codes.
"""

from dataclasses import replace
from typing import Annotated, Literal

import torch
from pydantic import Field, model_validator

from ganguard.architectures.networks import build_networks, classes_of, has_discriminator
from ganguard.attacks.protocol import Attack, AttackSettings, Knowledge, Needs, Substitute, Workspace
from ganguard.attacks.purchase_training import train_on_purchase
from ganguard.base.errors import SpecError, TargetError
from ganguard.base.settings import Float
from ganguard.queries.harvest import harvest
from ganguard.targets.conditions import conditions_of
from ganguard.targets.prior import NORMAL, prior_of
from ganguard.targets.protocol import BlackBoxTarget, LatentTarget
from ganguard.training.pairs import CodedImages, Norm


class DistillationSettings(AttackSettings):
    """Settings of extraction by distillation.

    Attributes:
        pair_weight: weight of the distance between the copy's and the target's image of a bought code.
        pair_norm: that distance: "l1" or "l2", a mean over the numbers of an image in [-1, 1].
    """

    kind: Literal["distillation"] = "distillation"
    pair_weight: Annotated[Float, Field(gt=0, le=1e6)] = 3.0
    pair_norm: Norm = "l1"

    @model_validator(mode="after")
    def _has_discriminator(self) -> "DistillationSettings":
        if not has_discriminator(self.architecture):
            raise ValueError(
                f"{self.architecture.kind} has no D, and distillation trains against one. Choose another "
                "architecture"
            )
        return self

    @model_validator(mode="after")
    def _sends_its_own_codes(self) -> "DistillationSettings":
        if self.ask is not None and self.ask.prior is not None:
            raise ValueError(
                f"ask: distillation's copy draws N(0, I), and D would compare its images with those of "
                f"{self.ask.prior.kind} codes. Leave `prior` out, or use fidelity"
            )
        return self

    def needs(self) -> Needs:
        """Return the purchase, and that its codes must be the client's."""
        return replace(super().needs(), codes=True)

    def trains_through(self) -> bool:
        """Return whether a D looks at the images: it does, and the pairs pass through the guess, too."""
        return True


def run(
    target: LatentTarget,
    settings: DistillationSettings,
    knowledge: Knowledge,
    workspace: Workspace,
    *,
    seed: int,
) -> Substitute:
    """Buy `query_budget` images of codes that are sent, and train a substitute on these pairs.

    Args:
        knowledge: only a guessed defence is used.
        seed: seed of the substitute's weights and training. The store has its own seed, which decides which
            codes are sent.

    Raises SpecError, before an image is bought, if the store keeps no codes. Raises BudgetError, also before,
    if the account cannot pay.
    """
    store, count = workspace.store, settings.query_budget
    if store.codes != "client":
        raise SpecError(
            "distillation learns from the codes that it sends, and this purchase keeps none. Set codes: "
            "client."
        )
    images = harvest(target, store, count, workspace.progress)
    pairs = CodedImages(store.read_codes(count), settings.pair_weight, settings.pair_norm)
    checkpoint = train_on_purchase(images, target, settings, knowledge, workspace, seed=seed, pairs=pairs)
    return Substitute(checkpoint, count)


def require_codes_in_common(target: BlackBoxTarget, settings: DistillationSettings) -> None:
    """Check that the substitute can be asked for the target's codes.

    Raises TargetError if the target takes no codes, draws them otherwise than a substitute does, or is
    conditional and the substitute is not. Raises SpecError if the substitute's codes have another length.
    """
    if not isinstance(target, LatentTarget):
        raise TargetError(
            "distillation sends codes, and this target takes none. Use fidelity, which learns from images "
            "alone."
        )
    if (prior := prior_of(target)) != NORMAL:
        raise TargetError(
            f"distillation asks its copy for the target's codes; a copy's are N(0, I), and this target's are "
            f"{prior.kind}. Use fidelity."
        )
    kind = settings.architecture.kind
    if conditions_of(target) is not None and not classes_of(settings.architecture):
        raise TargetError(
            f"distillation: the target's images follow from a code and a condition, and this {kind} takes no "
            "condition. Give it `classes`, or use fidelity."
        )
    with torch.device("meta"):
        own = build_networks(settings.architecture, target.image_shape).generator.latent_dim
    if own != target.latent_dim:
        raise SpecError(
            f"distillation: the target's codes have {target.latent_dim} entries, those of this {kind} {own}. "
            f"Set the architecture's latent_dim to {target.latent_dim}."
        )


DISTILLATION = Attack(DistillationSettings, run, require_codes_in_common)
