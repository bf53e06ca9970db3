"""A torch module G, with D if there is one, as a target.

Checkpoints, factories and TorchScript files all become one of these.
"""

import copy
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from ganguard.base.cache import tensor_digest
from ganguard.base.compute import Compute, use_threads
from ganguard.base.errors import TargetError
from ganguard.base.images import require_images, to_float, to_uint8
from ganguard.base.settings import one_line
from ganguard.targets.ask import asked_of
from ganguard.targets.batching import MICRO_BATCH, in_micro_batches
from ganguard.targets.conditions import sample, with_conditions
from ganguard.targets.foreign.code import ForeignCode
from ganguard.targets.foreign.conditional import hint, of_conditions, spread, takes_labels
from ganguard.targets.foreign.fitted import of_statistics
from ganguard.targets.foreign.made import require_finite, require_generator_output
from ganguard.targets.foreign.network import CalledNetwork
from ganguard.targets.foreign.purity import require_pure
from ganguard.targets.foreign.ranges import require_range, to_own
from ganguard.targets.foreign.settings import MOST_LATENTS, PLAIN, Interface
from ganguard.targets.prior import OfIndices, require_codes, require_drawn
from ganguard.targets.protocol import BlackBoxTarget, Discriminator


class ModuleDiscriminator:
    """D of a GAN, run in fixed micro-batches.

    The module takes float images in [-1, 1] and gives (N,) or (N, 1) scores.

    Args:
        module: D.
        compute: device and threads.
        foreign: the code that D belongs to; None if it is ganguard's own.
        conditional: whether a foreign D scores images as images of classes.
    """

    def __init__(
        self,
        module: nn.Module,
        compute: Compute,
        foreign: ForeignCode | None = None,
        *,
        conditional: bool = False,
    ) -> None:
        self._compute, self._foreign = compute, foreign
        self._network = CalledNetwork(module, "discriminator", "images", compute, foreign)
        self._conditional = conditional if foreign else bool(getattr(module, "classes", 0))

    def scores(self, images: Tensor, conditions: Tensor | None = None) -> Tensor:
        """Return raw scores (N,) float32 of images (N, C, H, W) uint8; higher = more real.

        conditions: (N,) int64, the classes as which a conditional D scores them. Another D does not see them.

        Raises TargetError if a conditional D gets none.
        """
        if self._conditional and conditions is None:
            raise TargetError("this discriminator scores an image as one of a class, and got no classes.")
        scores = self._run("forward", images, conditions if self._conditional else None)
        if scores.numel() != len(images):
            raise TargetError(
                f"the discriminator must give one score an image; got shape {tuple(scores.shape)}."
            )
        return scores.flatten()

    def features(self, images: Tensor) -> Tensor:
        """Return the inputs of D's last layer, (N, F) float32, for images (N, C, H, W) uint8.

        Raises TargetError if D does not give them.
        """
        if not callable(getattr(self._network.module, "features", None)):
            raise TargetError("the discriminator must have a method features(images) -> (N, F); it has none.")
        return self._run("features", images)

    def module(self) -> nn.Module:
        """Return a copy of the network, to train on.

        Raises TargetError if a foreign network cannot be copied.
        """
        if self._foreign is None:
            return copy.deepcopy(self._network.module).requires_grad_(True)
        with self._foreign.running():
            try:
                return copy.deepcopy(self._network.module).requires_grad_(True)
            except (Exception, SystemExit) as problem:  # noqa: BLE001 - a user's discriminator may hold anything
                raise TargetError(
                    f"the discriminator cannot be copied by copy.deepcopy ({one_line(problem, 160)}). Keep "
                    "what cannot be copied out of it, or return G alone."
                ) from None

    def _run(self, method: str, images: Tensor, conditions: Tensor | None = None) -> Tensor:
        require_images(images, "images", TargetError)

        def run(places: Tensor) -> Tensor:
            chunk = images[places].to(self._compute.torch_device())
            how = partial(_asked, conditions[places].to(chunk.device)) if conditions is not None else None
            answer = self._network(to_float(chunk), method, how)
            if not isinstance(answer, Tensor) or answer.ndim == 0 or len(answer) != len(chunk):
                got = f"shape {tuple(answer.shape)}" if isinstance(answer, Tensor) else type(answer).__name__
                raise TargetError(
                    f"the discriminator must give a tensor with a row for each image; got {got} for "
                    f"{len(chunk)} images."
                )
            return answer.float()

        with use_threads(self._compute.threads):
            return in_micro_batches(run, torch.arange(len(images)), torch.device("cpu"))


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
        if conditions is None:
            conditions = asked_of(self, None, indices, seed=seed)
        return self.generate(self.draw_latents(indices, seed=seed), conditions=conditions)

    def _batched(self, function: Callable[[Tensor], Tensor], z: Tensor) -> Tensor:
        return in_micro_batches(function, z, self._compute.torch_device(), self._interface.batch)

    def _floats(self, rows: Tensor) -> Any:
        """Return what G gives for one batch of codes, with their conditions if it takes any."""
        z = rows[:, : self.latent_dim].reshape(len(rows), *(self._interface.shape or (self.latent_dim,)))
        how = partial(_asked, rows[:, self.latent_dim].long()) if self.conditions else None
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
            probe, asked = first_images(self, MICRO_BATCH)
            self.discriminator, answers, notes = handed_over(discriminator, probe, asked, compute, foreign)
            self.identity += f":{answers}"
            self.notes += notes


def first_images(target: BlackBoxTarget, count: int) -> tuple[Tensor, Tensor | None]:
    """Return the first images (count, C, H, W) of the seed 0, and their conditions (count,) if it has any."""
    asked = asked_of(target, None, range(count), seed=0)
    return sample(target, range(count), seed=0, conditions=asked), asked


def handed_over(
    discriminator: nn.Module,
    probe: Tensor,
    asked: Tensor | None,
    compute: Compute,
    foreign: ForeignCode,
) -> tuple[Discriminator, str, tuple[str, ...]]:
    """Return a foreign D, the digest of its answers to images (N, C, H, W) uint8, and remarks on it.

    Raises TargetError if it cannot be copied, or changes its mind.

    asked: conditions of the images (N,) if the target takes any.
    """
    conditional = asked is not None and takes_labels(discriminator)
    D = ModuleDiscriminator(discriminator, compute, foreign, conditional=conditional)
    answers = _answers_digest(D, probe, asked)
    D.module()
    if _answers_digest(D, probe, asked) != answers:
        raise TargetError(
            "the discriminator must give the same scores and features for the same images; it gave "
            "others the second time. Take its noise out, and put it into evaluation mode."
        )
    return D, answers, tuple(f"The discriminator: {note}." for note in of_statistics(discriminator))


def _answers_digest(D: Discriminator, images: Tensor, asked: Tensor | None) -> str:
    """Return the digest of D's scores and features of images: D's code counts, not only its weights.

    An answer that D cannot give is left out, since some attacks do without it.
    """
    said: dict[str, Tensor] = {}
    for name, read in (("scores", partial(D.scores, conditions=asked)), ("features", D.features)):
        try:
            said[name] = read(images)
        except TargetError:
            continue
    return tensor_digest(said)


def _asked(conditions: Tensor, G: Callable[..., object], z: Tensor) -> object:
    """Return what a conditional G makes of codes and the numbers of their conditions (N,): of a copy, which
    is made behind the guard."""
    return G(z, conditions.clone())
