"""The architecture interface: frozen settings that build a generator G for an image shape, and a
discriminator D if G is trained against one."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal, Protocol, cast, runtime_checkable

import torch
import torch.nn.functional as F
from pydantic import BeforeValidator, Field, SerializeAsAny
from torch import Tensor, nn

from ganguard.architectures import ARCHITECTURES
from ganguard.architectures.drawing import Drawing
from ganguard.architectures.sizes import Canvas
from ganguard.base.settings import NonNegative, Settings, Sparse

MOST_CLASSES = 100_000


class GeneratorNetwork(nn.Module):
    """G: z (N, latent_dim) -> images (N, C, H, W) float32 in [-1, 1]. The prior of z is N(0, I).

    Networks that are published without a tanh leave that range; `base.images.to_uint8` clamps. In evaluation
    mode, image i is a pure function of z_i. A conditional G is called with a second argument, y (N,) int64 in
    [0, classes), and image i is a pure function of z_i and y_i.

    Attributes:
        classes: how many classes G can be asked for; 0 for a G that takes none.
    """

    latent_dim: int
    classes: int = 0


class DiscriminatorNetwork(nn.Module):
    """D: images (N, C, H, W) float32 in [-1, 1] -> raw scores (N,), higher = more real.

    Attributes:
        independent_rows: whether D, in training mode, scores an image independently of the rest of its batch,
            so that real and generated images may go through it as one batch. BatchNorm and minibatch
            deviations make it False.
        classes: how many classes a conditional D knows; it is called with a second argument y as G is. 0 for
            a D that takes none.
    """

    independent_rows: bool
    classes: int = 0

    def features(self, images: Tensor) -> Tensor:
        """Return the input of D's last layer: (N, F)."""
        raise NotImplementedError

    def stages(self) -> list[nn.Module]:
        """Return the parts of `features`, in the order in which an image passes them."""
        raise NotImplementedError

    def head(self, features: Tensor, y: Tensor | None = None) -> Tensor:
        """Apply D's last layer: (N, F) -> (N, 1). A conditional D scores the images as images of classes y
        (N,)."""
        raise NotImplementedError

    def forward(self, images: Tensor, y: Tensor | None = None) -> Tensor:
        features = self.features(images)
        return made_by(self.head, features, y)[:, 0]


@runtime_checkable
class Classifying(Protocol):
    """A D that also says which class it sees (Odena et al. 2017): its losses have a cross-entropy beside the
    adversarial one.

    Attributes:
        class_weight: weight of the cross-entropy in D's and in G's loss.
    """

    class_weight: float

    def logits(self, features: Tensor) -> Tensor:
        """Return the logits of the classes, (N, classes), of D's features (N, F)."""
        ...


def require_labels(y: Tensor | None, classes: int) -> None:
    """Raise ValueError if a conditional network (classes > 0) gets no y, or another one gets one."""
    if (y is None) == (classes > 0):
        raise ValueError(f"a network of {classes} classes takes {'y' if classes else 'no y'}")


def made_by(G: Callable[..., Tensor], z: Tensor, y: Tensor | None) -> Tensor:
    """Return G(z), or G(z, y) of a conditional G; alike for a D, or a layer, that takes a class."""
    return G(z) if y is None else G(z, y)


@runtime_checkable
class Growing(Protocol):
    """A G or D that can be trained resolution by resolution (Karras et al. 2018).

    All its weights exist from the start, and it is built fully grown. Whatever its growth, G returns and D
    takes images of the full size. The growth is part of the state dict.

    Attributes:
        levels: number of resolutions. The smallest one is level 0, and each further level doubles the side.
        level: the newest level in use.
        canvas: the full size of the networks, of which images are the middle.
    """

    levels: int
    canvas: Canvas

    @property
    def level(self) -> int: ...

    def set_growth(self, level: int, alpha: float) -> None:
        """Use the levels up to `level`, 0 to levels - 1, with weight `alpha` in [0, 1] for the newest one; 1
        means faded in.

        Raises ValueError if either is out of its range.
        """
        ...


def gradient_factor(D: nn.Module) -> float:
    """Return the factor from D's gradient at images of the full size to its gradient at images of D's level.

    The penalties of a growing D are published for the latter. A pixel of the level is the average of several
    pixels of the full size, so the gradient's length halves with every level that is left out. The factor is
    1 for any other D.
    """
    return 2.0 ** (D.levels - 1 - D.level) if isinstance(D, Growing) else 1.0


@runtime_checkable
class StyleBased(Drawing, Protocol):
    """A G that makes a style for each of its layers from z, and images from the styles (Karras et al. 2020):
    G(z) = synthesis(mapping(z)); G(z, y) = synthesis(mapping(z, y)) of a conditional G.

    Its `random` is the source, in training mode, of the noise of the layers and of the mixing of styles. With
    None the noise is fixed and nothing is mixed.
    """

    def mapping(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """Map z (N, latent_dim), of classes y (N,), to w (N, layers, D). The length of a path is taken over
        D, and the mean of its square over layers."""
        ...

    def synthesis(self, w: Tensor) -> Tensor:
        """Map w (N, layers, D) to images (N, C, H, W)."""
        ...


def faded(images: Tensor, canvas: Canvas, *, level: int, alpha: float, levels: int) -> Tensor:
    """Return real images (N, C, H, W) as a growing D must see them beside generated ones.

    They are averaged to the side of `level`, blended by `alpha` with those of the level below, and enlarged
    to the full side again (Karras et al. 2018, appendix A.1). Images that are smaller than the canvas go on
    with their outermost pixels meanwhile.
    """
    shown = pooled(canvas.continued(images), levels - 1 - level)
    if alpha < 1 and level > 0:
        shown = torch.lerp(enlarged(pooled(shown, 1), 1), shown, alpha)
    return canvas.cropped(enlarged(shown, levels - 1 - level))


def pooled(images: Tensor, times: int) -> Tensor:
    """Halve the side `times` times, by averages of 2x2 pixels."""
    return F.avg_pool2d(images, 2**times) if times else images


def enlarged(images: Tensor, times: int) -> Tensor:
    """Double the side `times` times, by repeating pixels."""
    return F.interpolate(images, scale_factor=float(2**times), mode="nearest") if times else images


@dataclass(frozen=True)
class Networks:
    """A generator, and the discriminator that it is trained against.

    Attributes:
        generator: G.
        discriminator: D; None for a generator that is trained without one.
    """

    generator: GeneratorNetwork
    discriminator: DiscriminatorNetwork | None

    def named(self) -> dict[Literal["generator", "discriminator"], nn.Module]:
        """Return the networks that there are, by name."""
        if self.discriminator is None:
            return {"generator": self.generator}
        return {"generator": self.generator, "discriminator": self.discriminator}


@dataclass(frozen=True)
class GAN(Networks):
    """Networks of which G is trained against D."""

    discriminator: DiscriminatorNetwork


@runtime_checkable
class Flowing(Protocol):
    """A G that moves noise along the velocity of a flow, which is what is trained (Lipman et al. 2023)."""

    def velocity(self, x: Tensor, t: Tensor, y: Tensor | None = None) -> Tensor:
        """Return the velocity (N, C, H, W) of points x at times t (N,) in [0, 1], of classes y (N,)."""
        ...


@dataclass(frozen=True)
class Recipe:
    """How the paper of an architecture trains it: the defaults for every value that a training's settings
    leave open.

    Attributes:
        loss: name of the adversarial loss; None if there is no D.
        learning_rate: Adam's step size.
        betas: Adam's decay rates.
        n_dis: updates of D per update of G.
        penalty: penalty on D's gradient: "gradient" takes it between real and generated images (Gulrajani et
            al. 2017), "r1" at real ones (Mescheder et al. 2018).
        penalty_weight: lambda of "gradient", gamma of "r1".
        drift: weight of D(real)^2 in D's loss.
        penalty_every: updates of D from one penalty to the next (lazy regularisation, Karras et al. 2020).
        path_length_weight: weight of the path length penalty on G.
        path_length_every: updates of G from one path length penalty to the next.
        learning_rate_decay: "linear" to 0 over the training, or "none".
        generator_pace: G's step size, relative to D's.
        orthogonal_weight: weight of BigGAN's orthogonal regularisation of G.
    """

    loss: Literal["hinge", "non_saturating", "wasserstein"] | None
    learning_rate: float
    betas: tuple[float, float]
    n_dis: int
    penalty: Literal["none", "gradient", "r1"] = "none"
    penalty_weight: float = 0.0
    drift: float = 0.0
    penalty_every: int = 1
    path_length_weight: float = 0.0
    path_length_every: int = 4
    learning_rate_decay: Literal["linear", "none"] = "linear"
    generator_pace: float = 1.0
    orthogonal_weight: float = 0.0


class ArchitectureSettings(Settings):
    """Base of an architecture's settings; `kind` is its name in the table."""

    kind: str


class ConditionalSettings(Sparse, ArchitectureSettings):
    """Base of the settings of an architecture that can be conditional.

    Attributes:
        classes: how many classes G and D know. 0, which records leave out, makes networks without classes.
    """

    unsaid: ClassVar[frozenset[str]] = frozenset({"classes"})
    classes: Annotated[NonNegative, Field(le=MOST_CLASSES)] = 0


def classes_of(settings: ArchitectureSettings) -> int:
    """Return how many classes the networks of an architecture know; 0 if they are not conditional."""
    return int(getattr(settings, "classes", 0))


class Architecture(Protocol):
    """What every architecture's settings can do."""

    recipe: Recipe

    def build(self, image_shape: tuple[int, int, int]) -> Networks: ...


def parse_architecture(value: object) -> ArchitectureSettings:
    """Return the settings of an architecture from its name ("sngan") or from a mapping with `kind`. Raises
    SpecError."""
    return value if isinstance(value, ArchitectureSettings) else ARCHITECTURES.parse(value)


ArchitectureField = Annotated[SerializeAsAny[ArchitectureSettings], BeforeValidator(parse_architecture)]


def build_networks(settings: ArchitectureSettings, image_shape: tuple[int, int, int]) -> Networks:
    """Build G and D for images of `image_shape` (C, H, W). Raises SpecError if the architecture cannot make
    that shape."""
    return cast(Architecture, settings).build(image_shape)


def require_buildable(settings: ArchitectureSettings, image_shape: tuple[int, int, int]) -> None:
    """Raise SpecError if the architecture cannot make images (C, H, W). No memory is spent on weights."""
    with torch.device("meta"):
        build_networks(settings, image_shape)


def has_discriminator(settings: ArchitectureSettings) -> bool:
    """Return whether an architecture's G is trained against a D."""
    return recipe_of(settings).loss is not None


def recipe_of(settings: ArchitectureSettings) -> Recipe:
    """Return the training defaults of an architecture."""
    return cast(Architecture, settings).recipe
