"""Train a substitute with real images X_r that the adversary holds (Hu & Pang 2021, accuracy extraction).

The adversary trains on the generated images and then on X_r, or mixes X_r in. Its own judge, which
compares with real images that were held out of X_r, chooses the step whose weights are kept. Without a judge,
a tiny X_r would simply be learnt by heart.
"""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal, Self, cast

import torch
from pydantic import Field, model_validator
from torch import Tensor

from ganguard.attacks.protocol import AttackSettings, Knowledge, Needs, Workspace
from ganguard.base.cache import copy_directory, copy_file
from ganguard.base.errors import DataError, SpecError
from ganguard.base.images import shape_of
from ganguard.base.labels import Labels
from ganguard.base.settings import Positive
from ganguard.training.early_stopping import JUDGED, Judge, Watch
from ganguard.training.initial_weights import RANDOM_WEIGHTS, InitialWeights
from ganguard.training.loop import train_generator
from ganguard.training.outdated import forget_if_outdated


class RealImagesSettings(AttackSettings):
    """Base of the settings of an attack whose adversary holds real images.

    Attributes:
        real_fraction: share, in (0, 1], of the target's training images that the adversary holds, X_r.
        schedule: "fine_tune" trains on generated images, then on X_r; "mix" trains on both at once.
        real_steps: steps of the training on X_r.
        real_learning_rate: learning rate of the training on X_r; None takes that of the first training.
        real_ema_decay: decay of the average of G's weights in that training; None takes that of the first.
        real_share: with "mix", about the share, in (0, 1), of X_r in the images of an update.
        judge_every: steps between two looks of the judge.
    """

    real_fraction: Annotated[float, Field(gt=0, le=1)] = 0.1
    schedule: Literal["fine_tune", "mix"] = "fine_tune"
    real_steps: Positive = 500
    real_learning_rate: Annotated[float, Field(gt=0)] | None = None
    real_ema_decay: Annotated[float, Field(ge=0, lt=1)] | None = None
    real_share: Annotated[float, Field(gt=0, lt=1)] = 0.5
    judge_every: Positive = 100

    @model_validator(mode="after")
    def _one_judge(self) -> Self:
        if self.held_out is not None and self.schedule == "mix":
            raise ValueError(
                "held_out chooses a step of the training, and so does the judge of schedule: mix. Leave "
                "held_out out"
            )
        return self

    def label(self) -> str:
        """Return the name, with the share of real images that is known, and whether they are mixed in."""
        mixed_in = " mixed in" if self.schedule == "mix" else ""
        return f"{super().label()}, {100 * self.real_fraction:g} % real{mixed_in}"

    def needs(self) -> Needs:
        """Return the purchase and the real images."""
        return replace(super().needs(), real_fraction=self.real_fraction)

    def training_steps(self, *, copy_at_hand: bool) -> int:
        """Return the steps of both trainings."""
        return self.steps + self.real_steps

    def trains_through(self) -> bool:
        """Return whether bought images are trained on apart from real ones, which pass through no defence."""
        return self.schedule == "fine_tune"


def require_real(knowledge: Knowledge, image_shape: tuple[int, int, int]) -> tuple[Tensor, Judge]:
    """Return X_r (m, C, H, W) uint8 and the judge.

    Raises SpecError if the adversary has none, and DataError if X_r has another shape than the target's
    images.
    """
    if knowledge.real_images is None or knowledge.judge is None or not len(knowledge.real_images):
        raise SpecError("this attack needs real images and a judge. Set `real_fraction`, or give `--real`.")
    if (found := shape_of(knowledge.real_images)) != image_shape:
        raise DataError(
            f"the target makes images {image_shape} (C, H, W), the adversary's real ones are {found}. "
            "Set `size`, `channels` and `alpha` of their data set."
        )
    return knowledge.real_images, knowledge.judge


def train_with_real(
    generated: Tensor,
    settings: RealImagesSettings,
    knowledge: Knowledge,
    workspace: Workspace,
    *,
    seed: int,
    initial_weights: InitialWeights = RANDOM_WEIGHTS,
    labels: Labels | None = None,
    of_real: Labels | None = None,
) -> Path:
    """Train a substitute on generated images (N, C, H, W) uint8 and on X_r, as the schedule says.

    labels, of_real: the classes of both kinds of images, for a substitute with classes.

    Returns the best checkpoint that the judge saw, `workspace.directory`/checkpoint.
    """
    place = workspace.directory / ("mixed" if settings.schedule == "mix" else "generated")
    compute, progress = workspace.compute, workspace.progress
    if settings.schedule == "mix":
        X_r, _ = require_real(knowledge, shape_of(generated))
        images = mixed(generated, X_r, settings.real_share)
        watch = _watch(settings, knowledge)
        best = train_generator(
            images,
            settings,
            place,
            seed=seed,
            compute=compute,
            progress=progress,
            initial_weights=initial_weights,
            watch=watch,
            labels=mixed_labels(labels, of_real, settings.real_share),
        )
        return _published(best, place, workspace)
    first = train_generator(
        generated,
        settings,
        place,
        seed=seed,
        compute=compute,
        progress=progress,
        initial_weights=initial_weights,
        guess=knowledge.guessed_defence,
        labels=labels,
    )
    return continue_with_real(first, settings, knowledge, workspace, seed=seed, labels=of_real)


def continue_with_real(
    first: Path,
    settings: RealImagesSettings,
    knowledge: Knowledge,
    workspace: Workspace,
    *,
    seed: int,
    labels: Labels | None = None,
) -> Path:
    """Train the copy with the checkpoint `first` on X_r.

    labels: the classes of X_r, for a substitute with classes.

    Returns the best checkpoint that the judge saw, `workspace.directory`/checkpoint.
    """
    place = workspace.directory / "real"
    initial_weights = InitialWeights(checkpoint=first)
    forget_if_outdated(place, initial_weights, workspace.directory)
    best = train_generator(
        cast(Tensor, knowledge.real_images),
        settings.continued(settings.real_steps, settings.real_learning_rate, settings.real_ema_decay),
        place,
        seed=seed,
        compute=workspace.compute,
        progress=workspace.progress,
        initial_weights=initial_weights,
        watch=_watch(settings, knowledge),
        labels=labels,
    )
    return _published(best, place, workspace)


def _watch(settings: RealImagesSettings, knowledge: Knowledge) -> Watch:
    return Watch(cast(Judge, knowledge.judge), settings.judge_every, judged_by=knowledge.judged_by)


def _published(best: Path, place: Path, workspace: Workspace) -> Path:
    copy_directory(best, workspace.directory / "checkpoint")
    copy_file(place / JUDGED, workspace.directory / JUDGED)
    return workspace.directory / "checkpoint"


def mixed(generated: Tensor, real: Tensor, share: float) -> Tensor:
    """Return both kinds of images, one repeated so that about `share` of all are real.

    Args:
        generated: (N, C, H, W), or their labels (N,).
        real: (M, C, H, W), or their labels (M,).
        share: in (0, 1).

    Returns:
        r N generated images, then s M real ones; r or s is 1.
    """
    # r N share = s M (1 - share); `times` is s / r.
    times = share / (1 - share) * len(generated) / len(real)
    return torch.cat([generated] * max(1, round(1 / times)) + [real] * max(1, round(times)))


def mixed_labels(generated: Labels | None, real: Labels | None, share: float) -> Labels | None:
    """Return the labels of the images that `mixed` returns, if there are any."""
    if generated is None or real is None:
        return None
    return Labels(mixed(generated.numbers, real.numbers, share), generated.names)
