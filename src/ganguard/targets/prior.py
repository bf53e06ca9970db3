"""How a target draws its codes: `prior:` in a spec, and what is not N(0, I).

A code is a function of random numbers that belong to its index, so that it does not depend on which others
are drawn beside it.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Protocol, cast

import torch
from pydantic import BeforeValidator, Field, field_validator, model_validator
from scipy.special import ndtr, ndtri
from torch import Tensor

from ganguard.base.errors import TargetError
from ganguard.base.seeds import derived_seed, normal, uniform
from ganguard.base.settings import Float, Settings, one_line, shortened
from ganguard.targets.foreign.named import LONGEST_NAME, found, require_name

FARTHEST = 1000.0  # largest entry of a code: no prior reaches it, and no network overflows on it
MEASURED = 1024  # codes by which the mean and the deviation of somebody's own prior are measured
MOST_MEASURED = 1 << 23  # entries of them
FLAT = 0.01  # standard deviations within which a normal density is flat, to a part in 10,000
Length = Annotated[Float, Field(gt=0, le=100)]
Entry = Annotated[Float, Field(ge=-FARTHEST, le=FARTHEST)]


class Numbers(Protocol):
    """Random numbers, a row for each code."""

    def normal(self, width: int) -> Tensor:
        """Return (N, width) float32, N(0, 1)."""
        ...

    def uniform(self, width: int) -> Tensor:
        """Return (N, width) float64, uniform in [0, 1)."""
        ...

    def seeds(self) -> list[int]:
        """Return N seeds in [0, 2^62)."""
        ...


@dataclass(frozen=True)
class OfIndices:
    """The random numbers of some images of a seed."""

    seed: int
    indices: range

    def normal(self, width: int) -> Tensor:
        """Return (N, width) float32, N(0, 1)."""
        return normal(self.seed, "latents", self.indices, width)

    def uniform(self, width: int) -> Tensor:
        """Return (N, width) float64, uniform in (0, 1)."""
        return torch.from_numpy(uniform(self.seed, "latents", self.indices, width))

    def seeds(self) -> list[int]:
        """Return N seeds in [0, 2^62)."""
        return [derived_seed(self.seed, "latents", str(i)) for i in self.indices]


class PriorSettings(Settings):
    """Base of the distributions of codes. `kind` is the name of one."""

    kind: str

    @property
    def gaussian(self) -> bool:
        """Whether a code is N(0, s² I)."""
        return False

    def draw(self, numbers: Numbers, width: int) -> Tensor:
        """Return codes (N, width) float32, each a function of its row of numbers."""
        raise NotImplementedError

    def moments(self, width: int) -> tuple[Tensor, float]:
        """Return the mean of each entry, (width,) float32 or a scalar, and the standard deviation of all."""
        raise NotImplementedError


class NormalPrior(PriorSettings):
    """N(0, std² I)."""

    kind: Literal["normal"] = "normal"
    std: Length = 1.0

    @property
    def gaussian(self) -> bool:
        """Whether a code is N(0, s² I): it is."""
        return True

    def draw(self, numbers: Numbers, width: int) -> Tensor:
        """Return codes (N, width) float32."""
        return numbers.normal(width) * self.std if self.std != 1 else numbers.normal(width)

    def moments(self, width: int) -> tuple[Tensor, float]:
        """Return the mean and the standard deviation of an entry."""
        return torch.zeros(()), self.std


class UniformPrior(PriorSettings):
    """Independent entries, uniform from `low` to `high`."""

    kind: Literal["uniform"] = "uniform"
    low: Entry = -1.0
    high: Entry = 1.0

    @model_validator(mode="after")
    def _ascending(self) -> "UniformPrior":
        if self.low >= self.high:
            raise ValueError(f"must have `low` below `high`; got {self.low:g} and {self.high:g}")
        return self

    def draw(self, numbers: Numbers, width: int) -> Tensor:
        """Return codes (N, width) float32."""
        return (self.low + (self.high - self.low) * numbers.uniform(width)).float()

    def moments(self, width: int) -> tuple[Tensor, float]:
        """Return the mean and the standard deviation of an entry."""
        return torch.tensor((self.low + self.high) / 2), (self.high - self.low) / math.sqrt(12)


class TruncatedPrior(PriorSettings):
    """Independent entries of N(0, std²), drawn again until they lie within `bound` standard deviations.

    Brock et al. 2019, "Large Scale GAN Training for High Fidelity Natural Image Synthesis" (section 3.1). Its
    published code has a bound of 2, and what it calls truncation is `std`. Here the inverse distribution
    function draws the same distribution at once.
    """

    kind: Literal["truncated"] = "truncated"
    bound: Annotated[Float, Field(gt=0, le=10)] = 2.0
    std: Length = 1.0

    def draw(self, numbers: Numbers, width: int) -> Tensor:
        """Return codes (N, width) float32."""
        below = float(ndtr(-self.bound))
        drawn = torch.from_numpy(ndtri(below + (1 - 2 * below) * numbers.uniform(width).numpy()))
        return (self.std * drawn.clamp(-self.bound, self.bound)).float()

    def moments(self, width: int) -> tuple[Tensor, float]:
        """Return the mean and the standard deviation of an entry."""
        if self.bound < FLAT:  # nearly uniform, and the difference below would lose its digits
            return torch.zeros(()), self.std * self.bound / math.sqrt(3)
        density = math.exp(-(self.bound**2) / 2) / math.sqrt(2 * math.pi)
        lost = 2 * self.bound * density / (1 - 2 * float(ndtr(-self.bound)))
        return torch.zeros(()), self.std * math.sqrt(1 - lost)


class SpherePrior(PriorSettings):
    """Directions without preference: codes of length `radius`.

    Karras et al. 2018 (ProGAN) and others scale codes to the length √d; many generators scale them again, and
    then any radius does.
    """

    kind: Literal["sphere"] = "sphere"
    radius: Annotated[Float, Field(gt=0, le=FARTHEST)] = 1.0

    def draw(self, numbers: Numbers, width: int) -> Tensor:
        """Return codes (N, width) float32."""
        drawn = numbers.normal(width).double()
        return (self.radius * drawn / drawn.norm(dim=1, keepdim=True)).float()

    def moments(self, width: int) -> tuple[Tensor, float]:
        """Return the mean and the standard deviation of an entry."""
        return torch.zeros(()), self.radius / math.sqrt(width)


class PythonPrior(PriorSettings):
    """A function of the user's, "module:function", that draws one code from a `torch.Generator`.

    It runs behind the guard of foreign code, each time as its module's import left things.
    """

    kind: Literal["python"] = "python"
    function: Annotated[str, Field(max_length=LONGEST_NAME)]

    @field_validator("function")
    @classmethod
    def _two_parts(cls, function: str) -> str:
        return require_name(function)

    def draw(self, numbers: Numbers, width: int) -> Tensor:
        """Return codes (N, width) float32.

        Raises TargetError if there is no such function, or if it fails or draws no such code.
        """
        foreign, function = found(self.function)
        with foreign.running():
            codes = [self._code(function, seed, width) for seed in numbers.seeds()]
        return torch.stack(codes) if codes else torch.empty(0, width)

    def _code(self, function: Any, seed: int, width: int) -> Tensor:
        generator = torch.Generator(device="cpu")
        generator.manual_seed(seed)
        try:
            code = function(generator)
        except (Exception, SystemExit) as problem:  # noqa: BLE001 - a user's function may raise anything
            why = f"{type(problem).__name__}: {one_line(problem, 200)}"
            raise TargetError(
                f"the prior {self.function} raised {why}. It is called with a torch.Generator."
            ) from None
        fits = isinstance(code, Tensor) and code.numel() == width and code.is_floating_point()
        if not fits or not (code.abs() <= FARTHEST).all():
            is_tensor = isinstance(code, Tensor)
            got = f"{code.dtype} {tuple(code.shape)}" if is_tensor else type(code).__name__
            raise TargetError(
                f"the prior {self.function} must draw one code, {width} floats from {-FARTHEST:g} to "
                f"{FARTHEST:g}; got {f'{got} with values beyond' if fits else got}."
            )
        return code.detach().flatten().to("cpu", torch.float32, copy=True)

    def moments(self, width: int) -> tuple[Tensor, float]:
        """Return the mean of each entry and the standard deviation of all, measured on up to MEASURED
        codes."""
        count = max(2, min(MEASURED, MOST_MEASURED // width))
        codes = self.draw(OfIndices(0, range(count)), width).double()
        mean = codes.mean(0)
        return mean.float(), (codes - mean).square().mean().sqrt().item()


def _with_kind(value: object) -> object:
    """Return a mapping with `kind`, from the name of a distribution or "python:module:function"."""
    if isinstance(value, str) and value.startswith(_CODE):
        return {"kind": "python", "function": value.removeprefix(_CODE)}
    return _named(value, "python:module:function, ")


def _named(value: object, others: str = "") -> object:
    """Return a mapping with `kind`, from the name of a distribution. others: what a message names besides."""
    if isinstance(value, PriorSettings) or (isinstance(value, Mapping) and "kind" in value):
        return cast(object, value)
    if isinstance(value, str) and value in _KINDS:
        return {"kind": value}
    raise ValueError(
        f"must be one of {', '.join(_KINDS)}, {others}or a mapping with `kind`; got {shortened(value)}"
    )


_KINDS, _CODE = ("normal", "sphere", "truncated", "uniform"), "python:"


def _known(value: object) -> object:
    """Return what `_named` does. Raises ValueError for a distribution that only its own code draws."""
    mapped = isinstance(value, Mapping) and cast(Mapping[str, object], value).get("kind") == "python"
    if mapped or (isinstance(value, str) and value.startswith(_CODE)):
        raise ValueError(
            f"must be one of {', '.join(_KINDS)}, or a mapping with `kind`: code of one's own (python:…) "
            "is not run here"
        )
    return _named(value)


Known = Annotated[NormalPrior | SpherePrior | TruncatedPrior | UniformPrior, Field(discriminator="kind")]
"""A distribution whose codes anybody can draw who knows its settings."""
KnownPrior = Annotated[Known, BeforeValidator(_known)]
"""`prior:` of a target that runs no code of others."""
Prior = Annotated[
    NormalPrior | SpherePrior | TruncatedPrior | UniformPrior | PythonPrior,
    Field(discriminator="kind"),
    BeforeValidator(_with_kind),
]
"""`prior:` of a target's settings."""
NORMAL = NormalPrior()


def prior_of(target: object) -> PriorSettings:
    """Return the distribution of a target's codes; N(0, I) for one that names none."""
    return cast(PriorSettings, getattr(target, "prior", NORMAL))


def require_codes(latents: Tensor, latent_dim: int) -> None:
    """Raise TargetError if codes are not finite and (N, latent_dim)."""
    if latents.ndim != 2 or latents.shape[1] != latent_dim or not torch.isfinite(latents).all():
        raise TargetError(f"codes must be finite and (N, {latent_dim}); got shape {tuple(latents.shape)}.")


def require_drawn(prior: PriorSettings, width: int, count: int) -> Tensor:
    """Return the first `count` codes of a prior, (count, width).

    Raises TargetError if they cannot be drawn, or differ when they are drawn again, in two parts.
    """
    codes = prior.draw(OfIndices(0, range(count)), width)
    half = count // 2
    again = [prior.draw(OfIndices(0, part), width) for part in (range(half, count), range(half))]
    if not torch.equal(codes, torch.cat(again[::-1])):
        raise TargetError(
            "the prior must draw the same code from the same generator; it drew another one the second time. "
            "Draw all its random numbers with that generator."
        )
    return codes
