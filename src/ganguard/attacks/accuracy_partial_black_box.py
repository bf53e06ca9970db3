"""Accuracy extraction, partial black box (Hu & Pang 2021): fidelity extraction, continued with real images.

The adversary holds X_r, some of the target's training images, and goes on training with them.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar, Literal

from ganguard.attacks.class_names import class_names_of
from ganguard.attacks.continued_copy import ContinuedCopySettings, copy_to_continue
from ganguard.attacks.labels import bought_labels, real_labels
from ganguard.attacks.protocol import Attack, Knowledge, Needs, Relation, Substitute, Workspace
from ganguard.attacks.real_images import RealImagesSettings, continue_with_real, require_real, train_with_real
from ganguard.base.errors import SpecError
from ganguard.queries.harvest import harvest
from ganguard.targets.protocol import BlackBoxTarget
from ganguard.training.initial_weights import InitialWeights


class PartialBlackBoxSettings(RealImagesSettings, ContinuedCopySettings):
    """Settings: `query_budget` images are bought, and `real_fraction` of the training images are known.

    With the schedule "fine_tune", a copy is stolen as fidelity extraction steals it, and then continued.
    """

    kind: Literal["accuracy_partial_black_box"] = "accuracy_partial_black_box"
    improves_on: ClassVar[Mapping[Relation, str]] = {"R4": "fidelity"}

    def steals(self) -> bool:
        """Return whether a copy must be stolen first. "mix" needs none: it trains on everything at once."""
        return self.schedule == "fine_tune" and super().steals()

    def needs(self) -> Needs:
        """Return the copy, the real images, and the purchase, which "mix" makes without a copy."""
        purchase = self.query_budget if self.substitute is None else 0
        return replace(super().needs(), purchase=purchase, real_fraction=self.real_fraction)

    def training_steps(self, *, copy_at_hand: bool) -> int:
        """Return the steps on X_r and, unless the copy is at hand, those that steal it."""
        return self.real_steps if copy_at_hand else super().training_steps(copy_at_hand=False)


def run(
    target: BlackBoxTarget,
    settings: PartialBlackBoxSettings,
    knowledge: Knowledge,
    workspace: Workspace,
    *,
    seed: int,
) -> Substitute:
    """Buy `query_budget` images, and train a substitute on them and on X_r.

    Before an image is bought, raises SpecError if the adversary has no X_r, DataError if X_r lacks the
    classes that the substitute learns, and BudgetError if the account cannot pay.
    """
    X_r, _ = require_real(knowledge, target.image_shape)
    of_real = real_labels(settings, target, knowledge, X_r)
    if settings.schedule == "mix":
        images = harvest(target, workspace.store, settings.query_budget, workspace.progress)
        labels = bought_labels(settings, target, workspace.store, settings.query_budget)
        checkpoint = train_with_real(
            images, settings, knowledge, workspace, seed=seed, labels=labels, of_real=of_real
        )
    else:
        copy = copy_to_continue(target, settings, knowledge, workspace, seed=seed)
        checkpoint = continue_with_real(copy, settings, knowledge, workspace, seed=seed, labels=of_real)
    return Substitute(checkpoint, settings.needs().purchase)


def require(target: BlackBoxTarget, settings: PartialBlackBoxSettings) -> None:
    """Raise InputError if an existing copy is of another architecture or has its classes in another order, or
    the schedule is "mix"."""
    if settings.substitute is None:
        return
    if settings.schedule == "mix":
        raise SpecError(
            "schedule: mix trains on bought images, and a copy that exists already was trained. "
            'Set "fine_tune".'
        )
    InitialWeights(settings.substitute.path).require_fits(
        settings.architecture, target.image_shape, classes=class_names_of(target)
    )


PARTIAL_BLACK_BOX = Attack(PartialBlackBoxSettings, run, require=require)
