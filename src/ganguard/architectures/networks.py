"""What an architecture is: frozen settings that build a generator G and a discriminator D for an image
shape."""

from dataclasses import dataclass
from typing import Annotated, Literal, Protocol, cast, runtime_checkable

import torch
import torch.nn.functional as F
from pydantic import BeforeValidator, SerializeAsAny
from torch import Tensor, nn

from ganguard.architectures import ARCHITECTURES
from ganguard.base.errors import SpecError
from ganguard.base.images import CHANNELS
from ganguard.base.settings import MOST_SIDE, Settings


class GeneratorNetwork(nn.Module):
    """G: z (N, latent_dim) -> images (N, C, H, W) float32 in [-1, 1]. The prior of z is N(0, I).

    Papers without a tanh leave the range; `base.images.to_uint8` clamps. In evaluation mode, image i is a
    pure function of z_i.
    """

    latent_dim: int


class DiscriminatorNetwork(nn.Module):
    """D: images (N, C, H, W) float32 in [-1, 1] -> raw scores (N,), higher = more real.

    independent_rows: whether D scores a training image whatever shares its batch (False with BatchNorm), so
        that real and generated images may go through it as one batch.
    """

    independent_rows: bool

    def features(self, images: Tensor) -> Tensor:
        """The input of D's last layer: (N, F)."""
        raise NotImplementedError

    def stages(self) -> list[nn.Module]:
        """The parts of `features`, in the order in which an image passes them."""
        raise NotImplementedError

    def head(self, features: Tensor) -> Tensor:
        """D's last layer: (N, F) -> (N, 1)."""
        raise NotImplementedError

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.features(images))[:, 0]


@runtime_checkable
class Growing(Protocol):
    """A G or D that can be trained resolution by resolution (Karras et al. 2018). All its weights exist from
    the start, and it is built fully grown. Whatever its growth, G gives and D takes images of the full size;
    growth is part of the state dict.

    levels: resolutions, the smallest of which is level 0; each further level doubles the side.
    level: the newest in use.
    """

    levels: int

    @property
    def level(self) -> int: ...

    def set_growth(self, level: int, alpha: float) -> None:
        """Use the levels up to `level`, 0 to levels - 1; `alpha` in [0, 1] is the weight of that newest one,
        1 = faded in.

        Raises ValueError where either is out of its range.
        """
        ...


def gradient_factor(D: nn.Module) -> float:
    """What the length of D's gradient at images of the full size is multiplied by to be the one at images of
    a growing D's level, as penalties are published: a pixel there is the average of many here, so the length
    halves with every level that is left out. 1 for any other D."""
    return 2.0 ** (D.levels - 1 - D.level) if isinstance(D, Growing) else 1.0


@runtime_checkable
class StyleBased(Protocol):
    """A G that makes a style for each of its layers from z and images from the styles (Karras et al. 2020):
    G(z) = synthesis(mapping(z)).

    random: in training mode, where the noise of the layers and the mixing of styles come from; None, as it is
        built, and evaluation mode take fixed noise and do not mix. Set it after G was copied (an EMA's copy
        has none).
    """

    random: torch.Generator | None

    def mapping(self, z: Tensor) -> Tensor:
        """z (N, latent_dim) -> w (N, layers, D). A path's length is over D, and its square's mean over
        layers."""
        ...

    def synthesis(self, w: Tensor) -> Tensor:
        """w (N, layers, D) -> images (N, C, H, W)."""
        ...


def faded(images: Tensor, *, level: int, alpha: float, levels: int) -> Tensor:
    """Real images (N, C, H, W) as a growing D shall see them beside generated ones: averaged to the side of
    `level`, blended with those of the level below by `alpha`, and enlarged to the full side again (Karras et
    al. 2018, appendix A.1)."""
    shown = pooled(images, levels - 1 - level)
    if alpha < 1 and level > 0:
        shown = torch.lerp(enlarged(pooled(shown, 1), 1), shown, alpha)
    return enlarged(shown, levels - 1 - level)


def pooled(images: Tensor, times: int) -> Tensor:
    """The side halved `times` times by averages of 2x2 pixels."""
    return F.avg_pool2d(images, 2**times) if times else images


def enlarged(images: Tensor, times: int) -> Tensor:
    """The side doubled `times` times by repeated pixels."""
    return F.interpolate(images, scale_factor=float(2**times), mode="nearest") if times else images


@dataclass(frozen=True)
class Networks:
    """A generator and the discriminator that it is trained against."""

    generator: GeneratorNetwork
    discriminator: DiscriminatorNetwork


@dataclass(frozen=True)
class Recipe:
    """How the paper of an architecture trains it: the defaults where a training's settings leave a value
    open.

    penalty: on D's gradient: "gradient" between real and generated images (Gulrajani et al. 2017), "r1" at
        real ones (Mescheder et al. 2018). penalty_weight: lambda of the former, gamma of the latter.
    drift: weight of D(real)^2 in D's loss.
    penalty_every, path_length_every: updates from one penalty to the next (lazy regularisation, Karras et al.
    2020).
    """

    loss: Literal["hinge", "non_saturating", "wasserstein"]
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


class ArchitectureSettings(Settings):
    """Base of an architecture's settings; `kind` is its name in the table."""

    kind: str


class Architecture(Protocol):
    """What every architecture's settings can do."""

    recipe: Recipe

    def build(self, image_shape: tuple[int, int, int]) -> Networks: ...


def parse_architecture(value: object) -> ArchitectureSettings:
    """A name ("sngan") or a mapping with `kind` to the settings of that architecture. Raises SpecError."""
    return value if isinstance(value, ArchitectureSettings) else ARCHITECTURES.parse(value)


ArchitectureField = Annotated[SerializeAsAny[ArchitectureSettings], BeforeValidator(parse_architecture)]


def build_networks(settings: ArchitectureSettings, image_shape: tuple[int, int, int]) -> Networks:
    """G and D for images of `image_shape` (C, H, W). Raises SpecError where the architecture has no such
    shape."""
    return cast(Architecture, settings).build(image_shape)


def require_buildable(settings: ArchitectureSettings, image_shape: tuple[int, int, int]) -> None:
    """Raise SpecError where the architecture cannot make images (C, H, W); no memory is spent on weights."""
    with torch.device("meta"):
        build_networks(settings, image_shape)


def recipe_of(settings: ArchitectureSettings) -> Recipe:
    """The training defaults of an architecture."""
    return cast(Architecture, settings).recipe


def doublings(resolution: int, architecture: str) -> tuple[int, int]:
    """(bottom, k) with resolution = bottom * 2^k, k >= 1 and bottom of 4 to 7: where G begins and how often
    it doubles.

    Raises SpecError, with the sizes nearest below and above that work, for any other resolution.
    """
    if resolution > MOST_SIDE:
        raise SpecError(
            f"{architecture} makes images of at most {MOST_SIDE} pixels a side; got {resolution}."
        )
    found = _doublings(resolution)
    if found:
        return found
    smaller = next((size for size in range(resolution - 1, 7, -1) if _doublings(size)), None)
    larger = next(size for size in range(max(resolution + 1, 8), 4 * max(resolution, 8)) if _doublings(size))
    raise SpecError(
        f"{architecture} makes square images whose side is 4, 5, 6 or 7 times a power of two; got "
        f"{resolution}. Resize the images to {f'{smaller} or ' if smaller else ''}{larger}."
    )


def _doublings(resolution: int) -> tuple[int, int] | None:
    for k in range(1, 12):
        if resolution % 2**k == 0 and 4 <= resolution >> k <= 7:
            return resolution >> k, k
    return None


def require_square(image_shape: tuple[int, int, int], architecture: str) -> tuple[int, int]:
    """(channels, resolution) of a square image shape (C, H, W). Raises SpecError for any other."""
    channels, height, width = image_shape
    if channels not in CHANNELS:
        raise SpecError(f"{architecture} makes images of 1 or 3 channels; got {channels}.")
    if height != width:
        raise SpecError(
            f"{architecture} makes square images; got {height}x{width}. Set `size` of the data set to crop "
            "them."
        )
    return channels, height
