"""A generator that draws noise in `forward`, by intention, as a target: `stochastic: true`."""

import inspect
import math
import random
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from torch import Tensor, nn

from ganguard.base.compute import Compute, use_threads
from ganguard.base.errors import TargetError
from ganguard.base.seeds import derived_seed
from ganguard.targets.batching import MICRO_BATCH
from ganguard.targets.discriminator import handed_over
from ganguard.targets.foreign.code import ForeignCode
from ganguard.targets.foreign.conditional import hint, of_conditions
from ganguard.targets.foreign.fitted import of_statistics
from ganguard.targets.foreign.network import CalledNetwork
from ganguard.targets.foreign.ranges import require_range, to_own
from ganguard.targets.foreign.settings import ForeignSettings, Interface
from ganguard.targets.module import ModuleTarget, WhiteBoxModuleTarget
from ganguard.targets.prior import OfIndices, require_drawn
from ganguard.targets.seeded import SeededTarget

FEW = 16  # images by which a generator is judged that makes one at a time
IMPURE = (
    "With `stochastic: true`, noise must come from torch's, NumPy's or Python's global random numbers, or "
    "from the torch.Generators that forward takes as `generator`, one an image. It comes from elsewhere, "
    "such as np.random.default_rng() or a generator that G keeps; or G keeps something from call to call."
)


class StochasticSettings(ForeignSettings):
    """Base of the settings of a target whose G may draw noise.

    Attributes:
        stochastic: G draws noise in `forward`, by intention. Each image then has noise of its own, from its
            seed and index, and no codes are taken.
    """

    stochastic: bool = False

    def target_of(
        self,
        G: nn.Module,
        D: nn.Module | None,
        shape: tuple[int, ...],
        *,
        identity: str,
        compute: Compute,
        foreign: ForeignCode,
    ) -> "ModuleTarget | StochasticTarget":
        """Return the target that these settings make of G, and of D if there is one.

        Args:
            G, D: the networks.
            shape: of one code, as G takes it.
            identity: of the weights.
            compute: device and threads.
            foreign: the code that the networks belong to.

        Raises TargetError if G or D cannot be a target's.
        """
        if self.stochastic:
            build = StochasticTarget if D is None else partial(WhiteBoxStochasticTarget, discriminator=D)
        else:
            build = ModuleTarget if D is None else partial(WhiteBoxModuleTarget, discriminator=D)
        return build(
            G,
            latent_dim=math.prod(shape),
            identity=identity,
            compute=compute,
            foreign=foreign,
            interface=self.interface(shape),
        )


class _Way(NamedTuple):
    """How noise reaches G.

    Attributes:
        name: the argument of its `forward` that takes generators; None if it draws from global ones.
        listed: whether it takes a list of generators, one an image. If not, images are made one at a time,
            and the global ones are seeded for that image too.
        batch: images at once.
    """

    name: str | None
    listed: bool
    batch: int


class StochasticTarget(SeededTarget):
    """G with noise as a BlackBoxTarget: image i is a pure function of (seed, i).

    If `forward` takes `generator` or `generators`, it is given a list of a torch.Generator an image. If it
    takes none, or no list, images are made one at a time, with all global random numbers seeded for that
    image behind the guard of foreign code. Raises TargetError as ModuleTarget does.

    Args:
        module: G.
        latent_dim: entries of z.
        identity: identity of the weights. What G makes becomes part of the target's.
        compute: device and threads.
        foreign: the code that G belongs to.
        interface: what G takes and gives.
    """

    def __init__(
        self,
        module: nn.Module,
        *,
        latent_dim: int,
        identity: str,
        compute: Compute,
        foreign: ForeignCode,
        interface: Interface,
    ) -> None:
        super().__init__(
            self._of_indices,
            batch=1,
            threads=compute.threads,
            what="generator",
            conditions=interface.conditions,
        )
        require_drawn(interface.prior, latent_dim, 2)
        self._width, self._interface, self._device = latent_dim, interface, compute.torch_device()
        self._network = CalledNetwork(module, "generator", "codes", compute, foreign)
        self._stream = "noise"
        floats = self._first_of(f"{identity}:stochastic{interface.said()}", _ways(module, interface.batch))
        remarks = [*require_range(floats, interface.pixel_range), *self._without_noise(floats)]
        remarks += [*of_statistics(self._network.module), *self._of_conditions(len(floats))]
        self.notes += tuple(f"The generator: {remark}." for remark in remarks)

    def _first_of(self, identity: str, ways: Sequence[_Way]) -> Tensor:
        """Return the first images, made in the first of some ways that G takes."""
        for way in ways:
            self._way, self.batch = way, way.batch
            probed = MICRO_BATCH if way.listed else FEW
            try:
                return self.open(identity, probed=probed, module=self._network.module, impure=IMPURE)
            except TargetError as problem:
                if way == ways[-1]:
                    raised = " raised on " in str(problem)
                    raise TargetError(f"{problem}{hint(str(problem), self.conditions) * raised}") from None
        raise ValueError("there is a way at least")

    def _of_conditions(self, count: int) -> list[str]:
        """Return a remark if images do not follow from the classes that they are asked for."""
        if self.conditions is None:
            return []
        with use_threads(self._threads):
            return of_conditions(partial(self._images, 0), self._probe_rows(count), self.conditions)

    def _without_noise(self, floats: Tensor) -> list[str]:
        """Return a remark if other noise gives the images that are there already."""
        self._stream = "other noise"
        with use_threads(self._threads):
            other = self._first_floats(len(floats))
        self._stream = "noise"
        if not torch.equal(floats, other):
            return []
        return [
            "`stochastic: true` is set, and other noise gives the same images: leave it out, and codes may "
            "be sent"
        ]

    def _of_indices(self, indices: Sequence[int], seed: int, asked: Sequence[int]) -> object:
        """Return the images (N, C, H, W) of a seed, and of conditions if there are any, floats in [-1, 1]."""
        prior, shape = self._interface.prior, self._interface.shape or (self._width,)
        drawn = [prior.draw(OfIndices(seed, range(i, i + 1)), self._width) for i in indices]
        codes = torch.cat(drawn).to(self._device).reshape(len(indices), *shape)
        seeds = [derived_seed(seed, self._stream, str(index)) for index in indices]
        images = self._network(codes, how=partial(_with_noise, self._way, seeds, asked))
        if not isinstance(images, Tensor):
            return images
        whole = not (images.is_floating_point() or images.is_complex() or images.dtype == torch.bool)
        if whole and self._interface.pixel_range is None:
            return images
        return to_own(images, self._interface.pixel_range)


class WhiteBoxStochasticTarget(StochasticTarget):
    """A StochasticTarget that hands over its discriminator."""

    def __init__(
        self,
        module: nn.Module,
        discriminator: nn.Module,
        *,
        latent_dim: int,
        identity: str,
        compute: Compute,
        foreign: ForeignCode,
        interface: Interface,
    ) -> None:
        super().__init__(
            module,
            latent_dim=latent_dim,
            identity=identity,
            compute=compute,
            foreign=foreign,
            interface=interface,
        )
        handed = handed_over(discriminator, self, FEW, compute, foreign)
        self.discriminator, answers, notes = handed
        self.identity += f":{answers}"
        self.notes += notes


def require_no_generators(module: nn.Module) -> None:
    """Raise TargetError if G cannot be called without generators, and nobody said that it draws noise."""
    for name in ("generators", "generator"):
        wanted = _arguments(module).get(name)
        if wanted is not None and wanted.default is inspect.Parameter.empty:
            raise TargetError(
                f"its forward wants `{name}`, for noise. Set `stochastic: true`, and each image gets one."
            )


def _arguments(module: nn.Module) -> Mapping[str, inspect.Parameter]:
    """Return the arguments of a module's `forward`; none for a program, which does not say them."""
    try:
        return inspect.signature(module.forward).parameters
    except (TypeError, ValueError):
        return {}


def _ways(module: nn.Module, batch: int) -> list[_Way]:
    """Return how noise may reach G, the fastest way first."""
    takes = _arguments(module)
    name = next((name for name in ("generators", "generator") if name in takes), None)
    alone = _Way(name, listed=False, batch=1)
    return [_Way(name, listed=True, batch=batch), alone] if name else [alone]


def _with_noise(
    way: _Way, seeds: list[int], asked: Sequence[int], G: Callable[..., object], codes: Tensor
) -> object:
    """Return what G makes of codes (N, …), and of the condition of each if there are any, with noise from a
    seed for each."""
    if not way.listed:
        _seed_all(seeds[0])
    given = (codes, torch.tensor(asked, device=codes.device)) if asked else (codes,)
    if way.name is None:
        return G(*given)
    generators = [torch.Generator(codes.device).manual_seed(seed) for seed in seeds]
    several = way.listed or way.name == "generators"
    return G(*given, **{way.name: generators if several else generators[0]})


def _seed_all(seed: int) -> None:
    """Seed torch's, NumPy's and Python's global random numbers. The guard gives ours back."""
    torch.default_generator.manual_seed(seed)
    if torch.cuda.is_initialized():
        torch.cuda.manual_seed_all(seed)
    cast(Any, np.random).set_bit_generator(np.random.MT19937(seed))
    random.seed(seed)
