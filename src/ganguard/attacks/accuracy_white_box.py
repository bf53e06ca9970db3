"""Accuracy extraction, white box (Hu & Pang 2021, Algorithm 1): refine the bought images with the target's D.

The adversary holds real images, as in the partial black box, and the target's discriminator D. It refines the
bought images by Metropolis-Hastings subsampling before it trains on them.

How far to refine is the adversary's choice. Its judge compares sets that were refined with the density ratio
to the power of 0, 1/4, 1/2, 3/4 and 1. The power 0 refines nothing; it is chosen if subsampling does not
help.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar, Literal

from torch import Tensor

from ganguard.attacks.labels import held_labels, told_of
from ganguard.attacks.protocol import Attack, Knowledge, Needs, Relation, Substitute, Workspace
from ganguard.attacks.real_images import RealImagesSettings, require_real, train_with_real
from ganguard.attacks.subsampling.density_ratio import RATIOS
from ganguard.attacks.subsampling.reading import Shown, scores_of
from ganguard.attacks.subsampling.refinement_files import kept_before, write_refinement
from ganguard.attacks.subsampling.refining import refine, require_readable
from ganguard.attacks.subsampling.refining_settings import Refining
from ganguard.base.cache import content_key, tensor_digest
from ganguard.base.compute import use_threads
from ganguard.base.plugins import PluginTable
from ganguard.base.weights import weights_of
from ganguard.queries.harvest import harvest
from ganguard.targets.conditions import conditions_of
from ganguard.targets.protocol import Discriminator, WhiteBoxTarget
from ganguard.training.initial_weights import RANDOM_WEIGHTS, InitialWeights


class WhiteBoxSettings(RealImagesSettings):
    """Settings: `query_budget` images are bought; they are the pool, or the stream, that is refined.

    Attributes:
        refining: density ratio, chains and powers.
        start_discriminator: the substitute's D begins with the weights of the "target"'s, which must be of
            the same architecture, or with "random" ones.
    """

    kind: Literal["accuracy_white_box"] = "accuracy_white_box"
    improves_on: ClassVar[Mapping[Relation, str]] = {"R5": "accuracy_partial_black_box"}
    refining: Refining = Refining()
    start_discriminator: Literal["random", "target"] = "random"

    def label(self) -> str:
        """Return the name, which also says if subsampling is the paper's, and if D begins as the target's.

        With the latter, subsampling is not the only difference to other attacks.
        """
        letter = ", Algorithm 1 to the letter" if self.refining.algorithm == "paper" else ""
        return (
            super().label() + letter + (", D from the target" if self.start_discriminator == "target" else "")
        )

    def needs(self) -> Needs:
        """Return the purchase, the real images and D."""
        return replace(super().needs(), discriminator=True)

    def plugins(self) -> list[tuple[PluginTable, str]]:
        """Return the plugins of every attack, and the density ratio."""
        return [*super().plugins(), (RATIOS, self.refining.ratio)]

    def require_known(self, own: int) -> None:
        """Raise SpecError if the budget buys fewer images than refining needs beside `own` real ones."""
        self.refining.require_budget(self.query_budget, own)


def run(
    target: WhiteBoxTarget,
    settings: WhiteBoxSettings,
    knowledge: Knowledge,
    workspace: Workspace,
    *,
    seed: int,
) -> Substitute:
    """Buy `query_budget` images, refine them with D and X_r, train on those kept, and then on X_r.

    Raises:
        SpecError: there is no X_r, the budget is too small for refining, cross-fitting has no judges, or D
            gives NaN.
        DataError: X_r lacks the classes that the substitute learns, or that D scores.
        StepError: all chains are stuck.
        BudgetError: the account cannot pay; raised before an image is bought.
    """
    X_r, _ = require_real(knowledge, target.image_shape)
    settings.require_known(len(X_r))
    settings.refining.require_judges(knowledge.judge_against)
    held = held_labels(settings, target, knowledge, X_r)
    images = harvest(target, workspace.store, settings.query_budget, workspace.progress)
    told = told_of(settings, target, workspace.store, held, len(images))
    kept = _refined(target, images, told.shown, settings, knowledge, workspace, seed=seed)
    checkpoint = train_with_real(
        images[kept],
        settings,
        knowledge,
        workspace,
        seed=seed,
        initial_weights=_initial_weights(target, settings),
        labels=told.bought and told.bought.of(kept),
        of_real=held.learnt,
    )
    return Substitute(checkpoint, settings.query_budget)


def _refined(
    target: WhiteBoxTarget,
    images: Tensor,
    shown: Shown,
    settings: WhiteBoxSettings,
    knowledge: Knowledge,
    workspace: Workspace,
    *,
    seed: int,
) -> Tensor:
    """Return the indices (N,) of the images to train on, as an earlier run chose them, or chosen now.

    shown: the classes by which a conditional D scores the images.
    """
    (X_r, judge), D = require_real(knowledge, target.image_shape), target.discriminator
    identity = content_key(
        images=tensor_digest({"bought": images, "real": X_r, **_told(D, X_r, shown.real)}),
        refining=settings.refining.model_dump(mode="json"),
        judged_by=knowledge.judged_by,
        seed=seed,
    )
    before = kept_before(workspace.directory, identity)
    if before is not None:
        return before
    with use_threads(workspace.compute.threads):
        refinement = refine(
            images,
            X_r,
            D,
            settings.refining,
            judge,
            seed=seed,
            shown=shown,
            judge_against=knowledge.judge_against,
        )
    write_refinement(refinement, workspace.directory, identity)
    return refinement.kept


def _told(D: Discriminator, X_r: Tensor, shown: Tensor | None) -> dict[str, Tensor]:
    """Return the weights of D, or its scores of X_r if it has none: other threads change a score's last
    bits."""
    return weights_of(D.module()) or {"scores": scores_of(D, X_r, shown)}


def _initial_weights(target: WhiteBoxTarget, settings: WhiteBoxSettings) -> InitialWeights:
    return (
        InitialWeights(discriminator=target.discriminator.module())
        if settings.start_discriminator == "target"
        else RANDOM_WEIGHTS
    )


def require(target: WhiteBoxTarget, settings: WhiteBoxSettings) -> None:
    """Raise InputError if D lacks what the density ratio reads, or the substitute cannot begin with it."""
    conditional = conditions_of(target) is not None
    require_readable(target.discriminator, target.image_shape, settings.refining, conditional=conditional)
    _initial_weights(target, settings).require_fits(settings.architecture, target.image_shape)


WHITE_BOX = Attack(WhiteBoxSettings, run, require=require)
