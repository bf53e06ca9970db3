"""A torch module G, with D if there is one, as a target.

Checkpoints, factories and TorchScript files all become one of these.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from ganguard.base.cache import tensor_digest
from ganguard.base.compute import Compute, use_threads
from ganguard.base.errors import TargetError
from ganguard.base.images import to_uint8
from ganguard.targets.ask import given_or_drawn
from ganguard.targets.batching import MICRO_BATCH, in_micro_batches
from ganguard.targets.conditions import with_conditions
from ganguard.targets.discriminator import ModuleDiscriminator, handed_over
from ganguard.targets.foreign.code import ForeignCode
from ganguard.targets.foreign.conditional import called_with, hint, of_conditions, spread
from ganguard.targets.foreign.fitted import of_statistics
from ganguard.targets.foreign.made import require_finite, require_generator_output
from ganguard.targets.foreign.network import CalledNetwork
from ganguard.targets.foreign.purity import require_pure
from ganguard.targets.foreign.ranges import require_range, to_own
from ganguard.targets.foreign.settings import MOST_LATENTS, PLAIN, Interface
from ganguard.targets.prior import OfIndices, require_codes, require_drawn
from ganguard.targets.protocol import Discriminator


class ModuleTarget:
    """G as a LatentTarget.

    G takes codes float32 and gives images (N, C, H, W). Some micro-batches are drawn at once to check that.
    Raises TargetError if G fails, or gives another shape, another range, NaN or infinity, or images that do
    not follow from their codes alone.

    Args:
        module: G.
        latent_dim: entries of z.
        identity: identity of the weights. G's code decides what it makes of them, so the digest of the
            micro-batch becomes part of the target's identity.
        compute: device and threads.
        ours: G is ganguard's own, so its range is [-1, 1] for certain, and values beyond are clamped. Any
            other G is checked, and runs behind a guard.
        foreign: the code that another G belongs to, if it has run before.
        interface: what G takes and gives.

    Attributes:
        conditions: what a conditional G is asked for; None for another one.
        prior: how codes are distributed.
        notes: remarks on a G that works and may not be what its owner means, a sentence each.
    """

    def __init__(
        self,
        module: nn.Module,
        *,
        latent_dim: int,
        identity: str,
        compute: Compute,
        ours: bool = False,
        foreign: ForeignCode | None = None,
        interface: Interface = PLAIN,
    ) -> None:
        if not 0 < latent_dim <= MOST_LATENTS:
            raise TargetError(f"latent_dim must be 1 to {MOST_LATENTS:,}; got {latent_dim}.")
        self.latent_dim, self.prior, self.conditions = latent_dim, interface.prior, interface.conditions
        self.notes: tuple[str, ...] = ()
        self._compute, self._range, self._interface = compute, interface.pixel_range, interface
        self._foreign = None if ours else foreign or ForeignCode()
        self._network = CalledNetwork(module, "generator", "codes", compute, self._foreign)
        with torch.inference_mode(), use_threads(compute.threads):
            self.image_shape, images = self._probe()
        self.identity = (
            identity if ours else f"{identity}{interface.said()}:{tensor_digest({'probe': images})}"
        )

    def draw_latents(self, indices: range, *, seed: int) -> Tensor:
        """Return codes (len(indices), latent_dim) float32 from the prior; row i is a pure function of (seed,
        i)."""
        return self.prior.draw(OfIndices(seed, indices), self.latent_dim)

    def generate(self, latents: Tensor, *, conditions: Tensor | None = None) -> Tensor:
        """Return images (N, C, H, W) uint8 of codes (N, latent_dim).

        conditions: (N,) int64, what a conditional G is asked for.

        Raises TargetError for other codes or conditions, or if G gives NaN.
        """
        require_codes(latents, self.latent_dim)
        with use_threads(self._compute.threads):
            rows = with_conditions(latents.float(), conditions, self.conditions)
            return self._batched(self._images, rows)

    def sample(self, indices: range, *, seed: int, conditions: Tensor | None = None) -> Tensor:
        """Return images (len(indices), C, H, W) uint8 of the codes `draw_latents(indices, seed=seed)`.

        conditions: (len(indices),) int64, what a conditional G is asked for; None asks for all equally often.
        """
        conditions = given_or_drawn(self, conditions, indices, seed=seed)
        return self.generate(self.draw_latents(indices, seed=seed), conditions=conditions)

    def _batched(self, function: Callable[[Tensor], Tensor], z: Tensor) -> Tensor:
        return in_micro_batches(function, z, self._compute.torch_device(), self._interface.batch)

    def _floats(self, rows: Tensor) -> Any:
        """Return what G gives for one batch of codes, with their conditions if it takes any."""
        z = rows[:, : self.latent_dim].reshape(len(rows), *(self._interface.shape or (self.latent_dim,)))
        how = partial(called_with, rows[:, self.latent_dim].long()) if self.conditions else None
        return self._network(z, how=how)

    def _images(self, z: Tensor) -> Tensor:
        images = self._floats(z)
        if not isinstance(images, Tensor) or images.shape != (len(z), *self.image_shape):
            got = tuple(images.shape)[1:] if isinstance(images, Tensor) else type(images).__name__
            raise TargetError(
                f"the generator must keep the shape of its images; it gave {self.image_shape} first, now "
                f"{got}."
            )
        require_finite(images, "generator")
        return to_uint8(to_own(images, self._range))

    def _first(self, z: Tensor) -> Tensor:
        """Return what G gives for the codes of one batch, if that is images. Raises TargetError otherwise."""
        try:
            images = self._floats(z)
        except TargetError as problem:
            if self._foreign is None:
                raise
            classes = hint(str(problem), self.conditions)
            shaped = len(self._interface.shape or ()) > 1
            shape = "" if shaped else " If it takes codes of another shape, set `latent_shape`."
            raise TargetError(f"{problem}{classes or shape}") from None
        require_generator_output(images, self._range, len(z))
        return images

    def _probe(self) -> tuple[tuple[int, int, int], Tensor]:
        """Return the image shape, and the first MICRO_BATCH images (MICRO_BATCH, C, H, W) uint8."""
        codes = require_drawn(self.prior, self.latent_dim, 2 * MICRO_BATCH)
        each = spread(self.conditions, len(codes)) if self.conditions else None
        z, others = with_conditions(codes, each, self.conditions).split(MICRO_BATCH)
        parts: list[Tensor] = []

        def first(z: Tensor) -> Tensor:
            parts.append(to_own(self._first(z), self._range))
            return to_uint8(parts[-1])

        images = self._batched(first, z)
        shape = self.image_shape = (images.shape[1], images.shape[2], images.shape[3])
        own = torch.cat(parts)
        if self._foreign is None:
            return shape, images

        def generate(z: Tensor) -> Tensor:
            return self._batched(self._images, z)

        of_range = require_range(own, self._range)
        # The code alone is of the class 1: what forward takes over all classes of a batch is 0 in one of 0.
        alone = 1 if self.conditions else 0
        of_purity = require_pure(generate, self._network.module, z, others, images, alone=alone)
        of_weights = of_statistics(self._network.module)
        of_classes = of_conditions(generate, z, self.conditions) if self.conditions else []
        notes = (*of_range, *of_purity, *of_weights, *of_classes)
        self.notes += tuple(f"The generator: {note}." for note in notes)
        return shape, images


class WhiteBoxModuleTarget(ModuleTarget):
    """A ModuleTarget that hands over its discriminator.

    Raises TargetError also if a foreign discriminator cannot be copied, or changes its mind.
    """

    def __init__(
        self,
        module: nn.Module,
        discriminator: nn.Module,
        *,
        latent_dim: int,
        identity: str,
        compute: Compute,
        ours: bool = False,
        foreign: ForeignCode | None = None,
        interface: Interface = PLAIN,
    ) -> None:
        foreign = None if ours else foreign or ForeignCode()
        super().__init__(
            module,
            latent_dim=latent_dim,
            identity=identity,
            compute=compute,
            ours=ours,
            foreign=foreign,
            interface=interface,
        )
        self.discriminator: Discriminator
        if foreign is None:
            self.discriminator = ModuleDiscriminator(discriminator, compute)
        else:
            handed = handed_over(discriminator, self, MICRO_BATCH, compute, foreign)
            self.discriminator, answers, notes = handed
            self.identity += f":{answers}"
            self.notes += notes
