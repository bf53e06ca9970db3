"""Fidelity extraction from few images, by an adversary that sorts them into classes before it trains.

Few images show the target's classes in shares that are off by chance, and that chance is the largest part of
what a copy of 200 digits lacks. Most generators make their classes about equally often, so the adversary
moves the shares of its purchase some of the way towards equal ones, and trains on that. It may also hand the
images out again in these shares, without any copy.

It sorts by a classifier of labelled real images that it holds, in place of a person who looks at each image.
"""

from dataclasses import replace
from typing import Annotated, ClassVar, Literal, Self

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor

from ganguard.architectures.networks import classes_of
from ganguard.attacks.projected import projection_of
from ganguard.attacks.protocol import Attack, AttackSettings, Knowledge, Needs, Substitute, Workspace
from ganguard.attacks.real_images import require_real
from ganguard.base.cache import write_tensors
from ganguard.base.errors import DataError, SpecError
from ganguard.base.labels import NO_CLASS
from ganguard.queries.harvest import harvest
from ganguard.targets.protocol import BlackBoxTarget
from ganguard.training.loop import train_generator

MOST_LEARNT = 5000  # images that the classifier learns; its time grows with their square
MOVES = tuple((down, right) for down in range(3) for right in range(3))
SOFTNESS = 10.0  # C of the support vector machine
NO_CLASSES = (
    "real: sorted_fidelity sorts by the classes of real images, and these have none. Give real images with "
    "classes, or set kind: fidelity."
)
FEWEST_TO_DIVIDE = 20  # images of which some can be held out
REPEATED = 20  # times that an image of mean weight is trained on
SORTED = "sorted.safetensors"  # which bought images are trained on: `rows`, with repeats


class SortedSettings(AttackSettings):
    """Settings: `query_budget` images are bought, sorted, and trained on in evener shares.

    Attributes:
        real_fraction: share, in (0, 1], of the target's labelled training images that the adversary sorts by.
        evenness: how far the shares of the classes are moved from those of the purchase, 0, to equal ones, 1.
    """

    projects: ClassVar[bool] = True
    kind: Literal["sorted_fidelity"] = "sorted_fidelity"
    real_fraction: Annotated[float, Field(gt=0, le=1)] = 0.1
    evenness: Annotated[float, Field(ge=0, le=1)] = 0.3

    def label(self) -> str:
        """Return the name, with the share of real images that it sorts by."""
        return f"{super().label()}, sorts by {100 * self.real_fraction:g} % real"

    def needs(self) -> Needs:
        """Return the purchase and the real images, by which nothing is judged."""
        return replace(super().needs(), real_fraction=self.real_fraction, unjudged=True)

    def trains_through(self) -> bool:
        """Return True: all that it trains on was bought."""
        return True

    @model_validator(mode="after")
    def _has_no_classes(self) -> Self:
        if classes_of(self.architecture):
            raise ValueError(
                "architecture: a copy with classes learns what was asked for, and needs no sorting. Leave "
                "`classes` out, or set kind: fidelity"
            )
        return self

    def fewest_images(self) -> int:
        """Return how many images a run needs: with `held_out` some more, since it repeats each, and their
        order links neighbours as answers to one code."""
        return max(FEWEST_TO_DIVIDE, super().fewest_images()) if self.held_out else 1

    def require_real_classes(self, classes: int) -> None:
        """Raise SpecError if the real images have no classes to sort by."""
        if classes == 0:
            raise SpecError(NO_CLASSES)


def run(
    target: BlackBoxTarget,
    settings: SortedSettings,
    knowledge: Knowledge,
    workspace: Workspace,
    *,
    seed: int,
) -> Substitute:
    """Buy `query_budget` images, sort them, and train a substitute on them in evener shares.

    Before an image is bought, raises SpecError if the adversary has no real images, DataError if these have
    another shape or no classes, and BudgetError if the account cannot pay.
    """
    X_r, _ = require_real(knowledge, target.image_shape)
    X_r, classes = _with_classes(knowledge, X_r)
    projection = projection_of(settings, knowledge)
    images = harvest(target, workspace.store, settings.query_budget, workspace.progress)
    rows = evened(classes_like(images, X_r, classes), settings.evenness)
    write_tensors(workspace.directory / SORTED, {"rows": rows})
    checkpoint = train_generator(
        images[rows],
        settings,
        workspace.directory,
        seed=seed,
        compute=workspace.compute,
        progress=workspace.progress,
        guess=knowledge.guessed_defence,
        projection=projection,
    )
    return Substitute(checkpoint, settings.query_budget)


def _with_classes(knowledge: Knowledge, X_r: Tensor) -> tuple[Tensor, Tensor]:
    """Return the real images (m, C, H, W) that have a class, and the classes (m,) int64."""
    labels = knowledge.real_labels
    if labels is None or len(labels.numbers) != len(X_r):
        raise DataError(NO_CLASSES)
    known = labels.numbers != NO_CLASS
    if not known.any():
        raise DataError(NO_CLASSES)
    return X_r[known], labels.numbers[known]


def classes_like(images: Tensor, known: Tensor, classes: Tensor) -> Tensor:
    """Return the class (N,) int64 that a support vector machine gives each image, which learnt known images.

    Its kernel is Gaussian in pixels. Known images count moved by one pixel each way as well, unless there are
    too many; of very many, some are taken at equal distances.

    Args:
        images: (N, C, H, W) uint8.
        known: (M, C, H, W) uint8.
        classes: (M,) int64, of the known images.
    """
    from sklearn.svm import SVC

    if len(known) > MOST_LEARNT:
        some = torch.arange(MOST_LEARNT) * len(known) // MOST_LEARNT
        known, classes = known[some], classes[some]
    if len(known) * len(MOVES) <= MOST_LEARNT:
        padded = F.pad(known, (1, 1, 1, 1))
        height, width = known.shape[2:]
        known = torch.cat([padded[:, :, y : y + height, x : x + width] for y, x in MOVES])
        classes = classes.repeat(len(MOVES))
    if (classes == classes[0]).all():
        return classes[:1].expand(len(images)).clone()
    seen, learnt = ((x.flatten(1).double() / 255).numpy() for x in (images, known))
    machine = SVC(C=SOFTNESS, gamma="scale").fit(learnt, classes.numpy())
    return torch.from_numpy(machine.predict(seen)).long()


def evened(classes: Tensor, evenness: float) -> Tensor:
    """Return which images to train on, as often as each counts: about 20 times, more of rare classes and less
    of frequent ones, but at least once.

    The share of a class is (1 - evenness) of its share among `classes` (N,) and evenness / K, of the K
    classes that occur, up to rounding.
    """
    counts = classes.bincount()
    shares = counts.double() / len(classes)
    wanted = (1 - evenness) * shares + evenness / (counts > 0).sum()
    times = (REPEATED * wanted / shares.clamp(min=1e-12)).round().clamp(min=1).long()
    return torch.arange(len(classes)).repeat_interleave(times[classes])


SORTED_FIDELITY = Attack(SortedSettings, run)
