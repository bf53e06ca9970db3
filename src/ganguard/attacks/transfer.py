"""Transfer of a stolen model (Hu & Pang 2021, case study): move the substitute to another domain.

The adversary has few images of that domain. The moved copy is compared with one that was trained from scratch
on the same images for the same number of steps.

FreezeD (Mo et al. 2020, "Freeze the Discriminator") leaves the stages of D next to the image as they were
stolen.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import Field
from torch import Tensor

from ganguard.architectures.networks import classes_of
from ganguard.attacks.class_names import as_the_targets, class_names_of, require_domain_count
from ganguard.attacks.continued_copy import ContinuedCopySettings, copy_to_continue
from ganguard.attacks.protocol import Attack, Domain, Knowledge, Needs, Relation, Substitute, Workspace
from ganguard.base.errors import DataError, SpecError
from ganguard.base.images import shape_of
from ganguard.base.labels import Labels
from ganguard.base.settings import Positive
from ganguard.data.dataset import DatasetField
from ganguard.data.encoded import EncodedImages
from ganguard.targets.protocol import BlackBoxTarget
from ganguard.training.initial_weights import RANDOM_WEIGHTS, InitialWeights
from ganguard.training.loop import train_generator
from ganguard.training.outdated import forget_if_outdated
from ganguard.training.settings import TrainingSettings

Method = Literal["fine_tune", "freeze_d", "scratch"]
METHODS: dict[Method, str] = {"fine_tune": "fine-tuned", "freeze_d": "FreezeD", "scratch": "from scratch"}


class TransferSettings(ContinuedCopySettings):
    """Settings of a transfer.

    Attributes:
        domain: the data set that the copy is moved to.
        domain_images: how many of its training images are used; None takes all.
        method: "fine_tune" trains the whole copy; "freeze_d" leaves stages of D as they are; "scratch" buys
            nothing and begins with random weights.
        frozen: stages of D, counted from the image, that "freeze_d" leaves; None takes all but the last.
        transfer_steps: steps of the training on the domain's images.
        transfer_learning_rate: learning rate of the training on the domain's images; None takes that of the
            first training.
        transfer_ema_decay: decay of the average of G's weights in that training; None takes that of
            the first. After n steps decay^n of the stolen weights is left in the average.
    """

    kind: Literal["transfer"] = "transfer"
    improves_on: ClassVar[Mapping[Relation, str]] = {"R6": "transfer"}
    own: ClassVar[frozenset[str]] = frozenset({"substitute", "method", "frozen"})
    domain: DatasetField
    domain_images: Annotated[int, Field(ge=2)] | None = None
    method: Method = "fine_tune"
    frozen: Positive | None = None
    transfer_steps: Positive = 1000
    transfer_learning_rate: Annotated[float, Field(gt=0)] | None = None
    transfer_ema_decay: Annotated[float, Field(ge=0, lt=1)] | None = None

    def label(self) -> str:
        """Return the name: architecture, domain if it is a file, method, and number of domain images."""
        place = f" to {Path(self.domain.path).stem}" if isinstance(self.domain, EncodedImages) else ""
        count = "all images" if self.domain_images is None else f"{self.domain_images:,} images"
        return f"{super().label()}{place} {METHODS[self.method]}, {count}"

    def steals(self) -> bool:
        """Return whether a copy must be stolen first. Training from scratch needs none."""
        return self.method != "scratch" and super().steals()

    def needs(self) -> Needs:
        """Return the domain and, unless it trains from scratch, the copy and its purchase."""
        needs = super().needs() if self.method != "scratch" else Needs()
        return replace(needs, domain=Domain(self.domain, self.domain_images))

    def from_scratch(self) -> tuple[TrainingSettings, ...]:
        """Return nothing: the copy is of another domain, and is not measured against the target."""
        return ()

    def training_steps(self, *, copy_at_hand: bool) -> int:
        """Return the steps on the domain's images."""
        return self.transfer_steps

    def frozen_stages(self) -> int:
        """Return how many stages of D stay as they are, counted as `InitialWeights.frozen` counts them."""
        return (self.frozen or -1) if self.method == "freeze_d" else 0


def run(
    target: BlackBoxTarget,
    settings: TransferSettings,
    knowledge: Knowledge,
    workspace: Workspace,
    *,
    seed: int,
) -> Substitute:
    """Steal a copy, or take the one that `settings` name, and train it on `knowledge.domain_images`.

    Raises:
        SpecError: there are no images of the domain, or the copy is of another architecture, or has its
            classes in another order.
        DataError: the domain's images have another shape than the target's, or classes that do not stand for
            the target's.
        BudgetError: the account cannot pay; raised before an image is bought.
    """
    images = _domain_images(knowledge, target.image_shape)
    labels = _domain_labels(settings, knowledge, target)
    initial_weights = RANDOM_WEIGHTS
    if settings.method != "scratch":
        copy = copy_to_continue(target, settings, knowledge, workspace, seed=seed)
        initial_weights = InitialWeights(checkpoint=copy, frozen=settings.frozen_stages())
        forget_if_outdated(workspace.directory, initial_weights, workspace.directory)
    recipe = settings.continued(
        settings.transfer_steps, settings.transfer_learning_rate, settings.transfer_ema_decay
    )
    checkpoint = train_generator(
        images,
        recipe,
        workspace.directory,
        seed=seed,
        compute=workspace.compute,
        progress=workspace.progress,
        initial_weights=initial_weights,
        labels=labels,
    )
    return Substitute(checkpoint, settings.needs().purchase)


def _domain_images(knowledge: Knowledge, image_shape: tuple[int, int, int]) -> Tensor:
    images = knowledge.domain_images
    if images is None or not len(images):
        raise SpecError(
            "a transfer needs images of the domain that the copy is moved to. Set `domain`, or give "
            "`--domain`."
        )
    require_domain(images, image_shape)
    return images


def _domain_labels(settings: TransferSettings, knowledge: Knowledge, target: BlackBoxTarget) -> Labels | None:
    """Return the classes of the domain's images, under the target's names; None for a copy without classes.

    Raises DataError if they have none, or if these do not stand for the target's.
    """
    known = class_names_of(target)
    if not classes_of(settings.architecture) or known is None:
        return None
    if knowledge.domain_labels is None:
        require_domain_count(0, len(known))
        return None
    return as_the_targets(knowledge.domain_labels, known)


def require_domain(images: Tensor, image_shape: tuple[int, int, int]) -> None:
    """Raise DataError if images (N, C, H, W) of a domain do not have the target's shape (C, H, W)."""
    if (found := shape_of(images)) != image_shape:
        raise DataError(
            f"the target makes images {image_shape} (C, H, W), those of the domain are {found}. "
            "Set `size`, `channels` and `alpha` of their data set."
        )


def require(target: BlackBoxTarget, settings: TransferSettings) -> None:
    """Raise InputError if an existing copy is of another architecture, has its classes in another order, or
    has too few stages to freeze."""
    checkpoint = settings.substitute.path if settings.substitute else None
    frozen = settings.frozen_stages()
    InitialWeights(checkpoint, frozen=frozen).require_fits(
        settings.architecture, target.image_shape, classes=class_names_of(target)
    )


TRANSFER = Attack(TransferSettings, run, require=require)
