"""The contract of an attack: its settings, what its adversary knows, and what comes out."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol, Self, cast

from pydantic import model_validator
from torch import Tensor

from ganguard.architectures import ARCHITECTURES
from ganguard.architectures.networks import classes_of, require_buildable
from ganguard.attacks import ATTACKS
from ganguard.attacks.asking import AttackAsk
from ganguard.attacks.class_names import class_names_of, require_copy_classes, require_learnable
from ganguard.base.compute import Compute
from ganguard.base.errors import TargetError
from ganguard.base.labels import Labels
from ganguard.base.plugins import PluginTable
from ganguard.base.progress import Progress, silent
from ganguard.base.settings import Positive, parse
from ganguard.data.dataset import DatasetSettings
from ganguard.data.splits import some_of
from ganguard.queries.store import Store
from ganguard.results.records import Knows
from ganguard.targets.ask import require_askable
from ganguard.targets.checkpoint import CheckpointTarget
from ganguard.targets.conditions import conditions_of
from ganguard.targets.load import TargetSettings
from ganguard.targets.protocol import BlackBoxTarget, WhiteBoxTarget
from ganguard.training.guess import Guess
from ganguard.training.initial_weights import require_beginning
from ganguard.training.projected import Projects
from ganguard.training.settings import TrainingSettings

Relation = Literal["R4", "R5", "R6"]
"""The paper's relations to an attack that lacks the real images (R4), D (R5) or the stolen copy (R6)."""


@dataclass(frozen=True)
class Domain:
    """Images of another domain that a copy is moved to.

    Attributes:
        dataset: the data set that they belong to.
        images: how many of its training images are used; None takes all.
    """

    dataset: DatasetSettings
    images: int | None

    def chosen(self, train: Tensor, *, seed: int) -> Tensor:
        """Return the rows (n,) of the domain's images to train on, out of the rows `train`.

        Raises DataError if there are fewer than `self.images`.
        """
        return some_of(train, self.images, seed=seed)


@dataclass(frozen=True)
class Needs:
    """What an attack needs beside a target that gives images.

    Attributes:
        purchase: images to buy for it.
        real_fraction: share, in (0, 1], of the target's training images that its adversary holds; None if it
            holds none.
        discriminator: whether its adversary holds the target's D.
        domain: another domain that the copy is moved to, or None.
        stolen: settings of a copy that must be trained first, or None. Attacks that need the same copy share
            it.
        copy: checkpoint of a copy, or of another model, that exists already and is trained on, or None.
        found: a copy that was found, as a target of any kind, or None.
        judging: whether its adversary judges copies by images of the purchase that it holds out.
        unjudged: whether its adversary needs no judge, though it holds real images.
        codes: whether it learns from the codes that its purchase was made from, which it must send itself.
    """

    purchase: int = 0
    real_fraction: float | None = None
    discriminator: bool = False
    domain: Domain | None = None
    stolen: "AttackSettings | None" = None
    copy: Path | None = None
    found: TargetSettings | None = None
    judging: bool = False
    unjudged: bool = False
    codes: bool = False

    def knows(self) -> tuple[Knows, ...]:
        """Return what the adversary has beside the images that it buys."""
        held: dict[Knows, bool] = {
            "real images": self.real_fraction is not None,
            "discriminator": self.discriminator,
            "another domain": self.domain is not None,
            "a copy": self.copy is not None or self.found is not None,
        }
        return tuple(part for part, is_held in held.items() if is_held)


class AttackSettings(TrainingSettings):
    """Base of an attack's settings. The fields of `TrainingSettings` say how its substitute is trained.

    Attributes:
        kind: name of the attack in the table of attacks.
        query_budget: images that the adversary may buy.
        ask: how the adversary asks: "uniform", a list of conditions, or a mapping of conditions to shares; or
            `{prior: …}`, the law of the codes that it sends. None asks as the audit does.
        improves_on: the paper's relations that this attack shows. Each names the kind of attack that it is
            compared with: one that lacks the real images (R4), D (R5) or the stolen copy (R6). R1 to R3 need
            no entry: every attack that knows nothing beside its purchase shows them.
        own: settings that say what the adversary has. Two attacks can be compared if all other settings that
            both have are equal.
        varies: whether another seed gives another copy.
    """

    kind: str
    query_budget: Positive
    ask: AttackAsk = None
    improves_on: ClassVar[Mapping[Relation, str]] = {}
    own: ClassVar[frozenset[str]] = frozenset()
    varies: ClassVar[bool] = True
    projects: ClassVar[bool] = False
    unsaid: ClassVar[frozenset[str]] = TrainingSettings.unsaid | {"ask"}

    @model_validator(mode="after")
    def _buys_enough(self) -> Self:
        if self.query_budget < (fewest := self.fewest_images()):
            raise ValueError(f"query_budget must be at least {fewest} here; got {self.query_budget}")
        return self

    def label(self) -> str:
        """Return the attack's name in results and reports, whatever its budget: with the architecture, unless
        it tries several, whether D is projected, whether it has classes, and how it asks if not uniformly."""
        projected = ", projected" if self.discriminator else ""
        made_of = f" {self.architecture.kind}{projected}" if len(self.trainings()) == 1 else ""
        with_labels = " with labels" if classes_of(self.architecture) else ""
        asked = "" if self.ask is None or self.ask.is_uniform else f", asks {self.ask.label()}"
        return f"{self.kind.replace('_', ' ')}{made_of}{with_labels}{asked}"

    def said(self) -> dict[str, Any]:
        """Return all settings that a result depends on, as JSON values, so not when states are saved."""
        return self.model_dump(mode="json", exclude={"checkpoint_every"})

    def needs(self) -> Needs:
        """Return what must be at hand before the attack runs."""
        return Needs(purchase=self.query_budget, copy=self.beginning.path if self.beginning else None)

    def training_steps(self, *, copy_at_hand: bool) -> int:
        """Return about how many steps a run trains for.

        copy_at_hand: whether the copy that it continues (`needs().stolen`) was trained before.
        """
        return self.steps

    def trainings(self) -> tuple[TrainingSettings, ...]:
        """Return every recipe that a run trains by."""
        return (self,)

    def from_scratch(self) -> tuple[TrainingSettings, ...]:
        """Return how it trains a copy from random weights: one recipe, or several of which it takes the best.

        Honest models are trained alike. Empty if the attack trains none: its copy exists, begins with given
        weights, or is moved to other images. What a copy learns from real images after that is no part.
        """
        if self.beginning:
            return ()
        own = self.model_dump(include=set(TrainingSettings.model_fields))
        return (TrainingSettings.model_validate(own),)

    def trains_through(self) -> bool:
        """Return whether the attack can put a guessed defence into the training on its purchase."""
        return False

    def plugins(self) -> list[tuple[PluginTable, str]]:
        """Return the tables and names of all plugins whose code a run of this attack passes through."""
        return [(ATTACKS, self.kind), (ARCHITECTURES, self.architecture.kind)]

    def require_buildable(self, image_shape: tuple[int, int, int]) -> None:
        """Raise SpecError if the substitute's architecture cannot make images (C, H, W)."""
        require_buildable(self.architecture, image_shape)

    def require_real_classes(self, classes: int) -> None:
        """Raise SpecError, before anything is bought, if real images of `classes` classes do not do."""

    def require_known(self, own: int) -> None:
        """Raise SpecError, before anything is bought, if `own` real images to train with are too few."""

    def fingerprint(self) -> str | None:
        """Return a digest of the files that the settings name, or None if they name none."""
        copy = self.needs().copy
        return None if copy is None else CheckpointTarget(checkpoint=str(copy)).fingerprint()


@dataclass(frozen=True)
class Knowledge:
    """What one adversary knows beyond the API. None of a part means that it lacks it.

    Attributes:
        real_images: X_r, some of the target's training images, (m, C, H, W) uint8.
        real_labels: their classes.
        judge: function from images (N, C, H, W) uint8 to a number; lower is better. It is made of other real
            images that the adversary holds, never of the sets that grade the substitute.
        judged_by: digest of the judge; no training that another one watched is continued.
        judge_against: function from real images (h, C, H, W) uint8 to a judge like `judge` by these.
        domain_images: images (n, C, H, W) uint8 of another domain, which the copy is moved to.
        domain_labels: their classes.
        stolen: checkpoint of the copy that the attack would steal first; None lets it steal one.
        judge_by: function from bought images (N, C, H, W) uint8, which scale features, and the rows (h,)
            of those held out, to a judge by the latter and its digest.
        project: function from a projected D's settings to the feature maps that it looks at.
        guessed_defence: what the adversary believes bought images pass through, if it `trains_through`.
    """

    real_images: Tensor | None = None
    judge: Callable[[Tensor], float] | None = None
    judged_by: str = ""
    domain_images: Tensor | None = None
    stolen: Path | None = None
    guessed_defence: Guess | None = None
    judge_by: Callable[[Tensor, Tensor], tuple[Callable[[Tensor], float], str]] | None = None
    real_labels: Labels | None = None
    domain_labels: Labels | None = None
    judge_against: Callable[[Tensor], Callable[[Tensor], float]] | None = None
    project: Projects | None = None


@dataclass(frozen=True)
class Workspace:
    """Where and how an attack works.

    Attributes:
        directory: where the substitute is trained, and a killed run goes on.
        store: where bought images are kept. Images that are there already are not bought again.
        compute: device type and threads.
        progress: receives the progress.
    """

    directory: Path
    store: Store
    compute: Compute
    progress: Progress = silent


@dataclass(frozen=True)
class Substitute:
    """The adversary's GAN: the directory of its checkpoint, and how many queries it was made from."""

    checkpoint: Path
    queries: int


class Run(Protocol):
    """The function of an attack. Its own signature says which protocol the target must follow."""

    def __call__(
        self, target: Any, settings: Any, knowledge: Knowledge, workspace: Workspace, *, seed: int
    ) -> Substitute: ...


class Require(Protocol):
    """A check that raises InputError, before an image is bought, if settings do not fit the target."""

    def __call__(self, target: Any, settings: Any, /) -> None: ...


def anything(target: Any, settings: Any, /) -> None:
    """Accept any target."""


@dataclass(frozen=True)
class Attack:
    """An entry of the table of attacks.

    Attributes:
        settings: type of its settings.
        run: its function.
        require: check of what it requires of a target.
    """

    settings: Callable[..., AttackSettings]
    run: Run
    require: Require = anything


def attack_of(kind: object) -> Attack:
    """Return the attack of a name. Raises SpecError, which lists the known names, if there is none."""
    return cast(Attack, ATTACKS.load(kind))


def parse_attack(value: Mapping[str, Any]) -> AttackSettings:
    """Return the settings that a mapping with `kind` describes. Raises SpecError if they are wrong."""
    attack = attack_of(value.get("kind"))
    return parse(cast(type[AttackSettings], attack.settings), value, str(value.get("kind")))


def run_attack(
    target: BlackBoxTarget, settings: AttackSettings, knowledge: Knowledge, workspace: Workspace, *, seed: int
) -> Substitute:
    """Run the attack that `settings` belong to.

    Raises InputError, before an image is bought, if it does not fit the target.
    """
    require_attackable(target, settings)
    return attack_of(settings.kind).run(target, settings, knowledge, workspace, seed=seed)


def require_attackable(target: BlackBoxTarget, settings: AttackSettings) -> None:
    """Check that an attack fits a target.

    Raises SpecError if the substitute's architecture cannot make the target's images, or a copy that exists
    already makes others or has other classes. Raises TargetError if the attack needs a discriminator and the
    target has none, or one that does not give what the attack reads.
    """
    settings.require_buildable(target.image_shape)
    require_copy_classes(settings.needs().copy, target)
    require_beginning(settings, target.image_shape, classes=class_names_of(target))
    require_conditional(target, settings)
    if settings.needs().discriminator and not isinstance(target, WhiteBoxTarget):
        raise TargetError(
            f"{settings.kind} needs the target's discriminator, and this target has none. Give a checkpoint, "
            "or a factory that returns (G, D)."
        )
    attack_of(settings.kind).require(target, settings)


def learns_domain(settings: AttackSettings) -> bool:
    """Return whether an attack's copy is moved to another domain, and learns the classes of that."""
    return settings.needs().domain is not None and classes_of(settings.architecture) > 0


def require_conditional(target: BlackBoxTarget, settings: AttackSettings) -> None:
    """Check that a target has the conditions that an attack asks for, or that its substitute learns.

    Raises TargetError if it has none, SpecError if it has others.
    """
    require_askable(target, settings.ask)
    require_learnable(settings, len(conditions_of(target) or ()))
