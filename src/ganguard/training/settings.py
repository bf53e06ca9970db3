"""The settings of a training. What they leave open comes from the recipe of the architecture's paper."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self, cast

from pydantic import BeforeValidator, Field, model_validator

from ganguard.architectures.networks import ArchitectureField, classes_of, has_discriminator, recipe_of
from ganguard.base.settings import Positive, Sparse, parse, shortened
from ganguard.training.adaptive import Adaptive
from ganguard.training.beginning import Beginning, with_its_architecture
from ganguard.training.device import Precision
from ganguard.training.losses import LossName
from ganguard.training.projected import RECIPE, Projected

Penalty = Literal["none", "gradient", "r1"]
Decay = Literal["linear", "none"]
USUAL_WEIGHT: dict[Penalty | None, float] = {"none": 0.0, "gradient": 10.0, "r1": 10.0}
"""Weight of a penalty that an architecture's recipe does not use, as in the papers that introduced the
penalties (Gulrajani et al. 2017; Mescheder et al. 2018)."""

_HOW = frozenset({"precision", "compile", "channels_last"})  # how a training is computed, not what
_WITHOUT = frozenset({"beginning", "discriminator", "lecam_weight"})  # at their defaults: left out
_WITHOUT_EFFECT = frozenset({"generator_pace", "orthogonal_weight"})  # at the values of most recipes
_OF_FLOWS = frozenset({"held_out", "held_out_every"})
_OF_GANS = (
    "loss",
    "n_dis",
    "penalty",
    "penalty_weight",
    "penalty_every",
    "drift",
    "path_length_weight",
    "path_length_every",
    "generator_pace",
    "orthogonal_weight",
)


def _augment(value: object) -> object:
    """Return ADA's settings if a value names them. Raises ValueError if it names no augmentation, SpecError
    if it does so with wrong settings."""
    if value in ("none", "diffaugment") or isinstance(value, Adaptive):
        return value
    said = {"kind": value} if isinstance(value, str) else value
    if isinstance(said, Mapping) and said.get("kind") == "ada":  # pyright: ignore[reportUnknownMemberType]
        return parse(Adaptive, cast(Mapping[str, Any], said), "augment")
    raise ValueError(f"must be none, diffaugment, ada, or a mapping {{kind: ada, …}}; got {shortened(value)}")


AugmentField = Annotated[Literal["none", "diffaugment"] | Adaptive, BeforeValidator(_augment)]


class TrainingSettings(Sparse):
    """How a generator is trained. For the fields that are None, the architecture's recipe decides. A flow,
    which has no D, takes none of those that belong to D or to the losses of a GAN.

    Attributes:
        architecture: name or settings of G and D. If it is left out beside `beginning`, or only its kind is
            named, it is that checkpoint's.
        steps: updates of G. A training that finished, or was killed, goes on if it is raised.
        batch_size: images of one update; as many real ones as generated ones.
        loss: name of the adversarial loss.
        learning_rate: Adam's step size.
        betas: Adam's decay rates.
        n_dis: updates of D per update of G.
        penalty: on D's gradient: "gradient" (WGAN-GP's, between real and generated images), "r1" (at real
            ones) or "none".
        penalty_weight: lambda of "gradient", gamma of "r1".
        penalty_every: updates of D from one penalty to the next; each penalty then weighs that many times
            more.
        drift: weight of D(x)^2 of real images in D's loss.
        path_length_weight: weight of StyleGAN2's penalty on G; 0 leaves it out.
        path_length_every: updates of G from one such penalty to the next.
        generator_pace: G's step size, relative to `learning_rate`, which is D's.
        orthogonal_weight: weight of BigGAN's orthogonal regularisation of G; 0 leaves it out.
        grow: whether to train an architecture that can grow resolution by resolution. With False it is
            trained whole, like every other architecture, and like every training that begins from given
            weights.
        discriminator: a D that looks at a network's feature maps, `{kind: projected, features: …}`, in the
            place of the architecture's own; for few images. Only copies, and honest models beside them, have
            one, and their checkpoints hold G alone.
        lecam_weight: weight of LeCam's regulariser of D, for few images; 0 leaves it out.
        augment: "diffaugment" changes everything that D sees at random, so that it cannot memorise a few
            images. "ada", or a mapping with that kind, does so as often as D's sureness asks for; see
            `Adaptive`.
        learning_rate_decay: "linear" lowers the learning rate to 0 over all steps; "none" keeps it.
        ema_decay: decay per step of the average of G's weights, which is what is published; 0 publishes the
            last weights.
        held_out: share, in (0, 1), of the images that a flow does not learn from. The G with the least loss
            on them is published; None learns from all, and publishes the last G.
        held_out_every: steps between two looks at that loss; None takes 100.
        checkpoint_every: steps between saved states, from which a killed training continues.
        precision: "32-true" or "bf16-mixed", see `device.py`.
        compile: whether G and D are compiled by torch.compile.
        channels_last: whether weights lie in memory with their channels last; False lays them out as torch
            does by default.
        projects: whether such trainings may have a projected D.
    """

    unsaid: ClassVar[frozenset[str]] = _HOW | _WITHOUT_EFFECT | _OF_FLOWS | _WITHOUT
    projects: ClassVar[bool] = True
    architecture: ArchitectureField
    steps: Positive = 2500
    batch_size: Positive = 64
    loss: LossName | None = None
    learning_rate: Annotated[float, Field(gt=0)] | None = None
    betas: tuple[Annotated[float, Field(ge=0, lt=1)], Annotated[float, Field(ge=0, lt=1)]] | None = None
    n_dis: Positive | None = None
    penalty: Penalty | None = None
    penalty_weight: Annotated[float, Field(ge=0, le=1e6)] | None = None
    penalty_every: Positive | None = None
    drift: Annotated[float, Field(ge=0, le=1e6)] | None = None
    path_length_weight: Annotated[float, Field(ge=0, le=1e6)] | None = None
    path_length_every: Positive | None = None
    generator_pace: Annotated[float, Field(gt=0, le=1e3)] | None = None
    orthogonal_weight: Annotated[float, Field(ge=0, le=1e6)] | None = None
    grow: bool = True
    discriminator: Projected | None = None
    lecam_weight: Annotated[float, Field(ge=0, le=1e6)] = 0.0
    augment: AugmentField = "none"
    learning_rate_decay: Decay | None = None
    ema_decay: Annotated[float, Field(ge=0, lt=1)] = 0.999
    held_out: Annotated[float, Field(gt=0, lt=1)] | None = None
    held_out_every: Positive | None = None
    checkpoint_every: Positive = 500
    precision: Precision = "32-true"
    compile: bool = False
    channels_last: bool = True
    beginning: Beginning | None = None

    def completed(self) -> "CompleteTraining":
        """Return the settings that a recipe may fill, with open values taken from the architecture's
        recipe."""
        recipe = dict(vars(recipe_of(self.architecture)))
        own = {name: getattr(self, name) for name in CompleteTraining.model_fields}
        recipe |= RECIPE if self.discriminator else {}
        if self.penalty not in (None, recipe["penalty"]):
            recipe = {**recipe, "penalty_weight": USUAL_WEIGHT[self.penalty], "penalty_every": 1}
        return CompleteTraining.model_validate({k: recipe[k] if own[k] is None else own[k] for k in own})

    def continued(self, steps: int, learning_rate: float | None, ema_decay: float | None) -> Self:
        """Return the settings of a training that goes on, on other images, from what this one made.

        A learning rate or a decay of None is that of this training.
        """
        changed = {
            "steps": steps,
            "learning_rate": learning_rate or self.learning_rate,
            "ema_decay": self.ema_decay if ema_decay is None else ema_decay,
            "beginning": None,
            "held_out": None,  # of the first training's images
            "held_out_every": None,
        }
        return self.model_copy(update=changed)

    def fewest_images(self) -> int:
        """Return how many images it needs at least: one, or enough to hold one out and learn from one.

        Two are not enough for that, since they may be answers to one code.
        """
        if self.held_out is None:
            return 1
        fewest = max(3, int(0.5 / min(self.held_out, 1 - self.held_out)))
        while not 0 < round(self.held_out * fewest) < fewest:
            fewest += 1
        return fewest

    def recipe(self) -> dict[str, Any]:
        """Return what makes one training differ from another: all settings but how often its state is saved,
        and where the weights lie that it begins with."""
        unlike = set(TrainingSettings.model_fields) - {"checkpoint_every", "beginning"}
        said = self.model_dump(mode="json", include=unlike)
        return {**said, "learning_rate_decay": self.completed().learning_rate_decay}

    @model_validator(mode="before")
    @classmethod
    def _as_it_begins(cls, values: Any) -> Any:
        return with_its_architecture(values)

    @model_validator(mode="after")
    def _can_hold_out(self) -> Self:
        """Raise ValueError if images are to be held out whose loss says nothing, or a look sees none."""
        if self.held_out is not None and has_discriminator(self.architecture):
            raise ValueError(
                "held_out belongs to the training of a flow: the losses of a GAN do not say how good its G "
                "is. Leave it out"
            )
        if self.held_out_every and self.held_out is None:
            raise ValueError("held_out_every needs held_out, the share of images to look at. Set it too")
        return self

    @model_validator(mode="after")
    def _can_project(self) -> Self:
        """Raise ValueError if D is to be projected, and cannot be."""
        if self.discriminator is None:
            return self
        if not self.projects:
            raise ValueError(
                "discriminator: a projected D is for trainings whose D nobody takes over: fidelity, "
                "sorted_fidelity, and recipes of strongest. Leave it out"
            )
        kind, classes = self.architecture.kind, classes_of(self.architecture)
        if why := self.discriminator.misfit(kind, classes, vars(self)):
            raise ValueError(f"discriminator: {why}")
        return self

    @model_validator(mode="after")
    def _does_something(self) -> Self:
        """Raise ValueError if a setting has nothing to act on, or two settings exclude each other."""
        complete, kind = self.completed(), self.architecture.kind
        if not has_discriminator(self.architecture) and (set_here := self._of_gans()):
            are = "belongs" if len(set_here) == 1 else "belong"
            raise ValueError(
                f"{', '.join(set_here)} {are} to the training of a GAN; {kind} has no D. Leave "
                f"{'it' if len(set_here) == 1 else 'them'} out"
            )
        if complete.penalty == "none" and (self.penalty_weight or self.penalty_every):
            raise ValueError(
                "penalty_weight and penalty_every need a penalty, and there is none. Set penalty: "
                "gradient or r1"
            )
        if (self.path_length_weight or self.path_length_every) and not recipe_of(
            self.architecture
        ).path_length_weight:
            raise ValueError(
                f"path_length_weight and path_length_every need a G with styles, such as stylegan2's; "
                f"{kind}'s has none. Leave them out"
            )
        if self.path_length_every and self.path_length_weight == 0:
            raise ValueError(
                "path_length_every has nothing to act on: path_length_weight: 0 leaves the penalty out. Set "
                "one of them only"
            )
        if isinstance(self.augment, Adaptive) and complete.loss == "wasserstein":
            raise ValueError(
                "augment: ada reads the signs of D's scores, and those of a Wasserstein D mean nothing. Set "
                "loss: hinge or non_saturating, or augment: diffaugment"
            )
        if self.compile and kind == "pggan" and self.grow:
            raise ValueError(
                "compile: a GAN that grows changes with every step, and would be compiled each time. Set "
                "grow: false"
            )
        if self.compile and recipe_of(self.architecture).path_length_weight:
            raise ValueError(
                f"compile: it is not known yet whether {kind} trains as well when compiled. Set compile: "
                "false"
            )
        return self

    def _of_gans(self) -> list[str]:
        """Return the fields set that only the training of a GAN has."""
        said = [name for name in _OF_GANS if getattr(self, name) is not None]
        said += ["augment"] if self.augment != "none" else []
        said += ["lecam_weight"] if self.lecam_weight else []
        return [*said, "discriminator"] if self.discriminator else said


class CompleteTraining(Sparse):
    """The values that a recipe may fill, all set, but for the loss of a network without D. Records leave out
    the last two if they change nothing."""

    unsaid: ClassVar[frozenset[str]] = _WITHOUT_EFFECT
    loss: LossName | None
    learning_rate: float
    betas: tuple[float, float]
    n_dis: int
    penalty: Penalty
    penalty_weight: float
    penalty_every: int
    drift: float
    path_length_weight: float
    path_length_every: int
    learning_rate_decay: Decay
    generator_pace: float = 1.0
    orthogonal_weight: float = 0.0
