"""A torch module G, with D if there is one, as a target.

Checkpoints, factories and TorchScript files all become one of these.
"""

import copy
import math

import torch
from torch import Tensor, nn

from ganguard.base.cache import tensor_digest
from ganguard.base.compute import Compute, use_threads
from ganguard.base.errors import TargetError
from ganguard.base.images import CHANNELS, require_images, to_float, to_uint8
from ganguard.base.seeds import normal
from ganguard.base.settings import one_line
from ganguard.targets.batching import MICRO_BATCH, in_micro_batches
from ganguard.targets.protocol import Discriminator

MOST_LATENTS = 1 << 20  # entries of z
MOST_BYTES = 4 << 30  # of a micro-batch of float images: 2048x2048 pixels in colour
RANGE_TOLERANCE = (
    0.01  # how far outside [-1, 1] a generator's floats may lie before their range counts as wrong
)


class ModuleDiscriminator:
    """D of a GAN, run in fixed micro-batches.

    The module takes float images in [-1, 1] and gives (N,) or (N, 1) scores.
    """

    def __init__(self, module: nn.Module, compute: Compute) -> None:
        self._compute = compute
        self._module = module.to(compute.torch_device()).eval()

    def scores(self, images: Tensor) -> Tensor:
        """Return raw scores (N,) float32 of images (N, C, H, W) uint8; higher = more real."""
        scores = self._run(self._module, images)
        if scores.numel() != len(images):
            raise TargetError(
                f"the discriminator must give one score an image; got shape {tuple(scores.shape)}."
            )
        return scores.flatten()

    def features(self, images: Tensor) -> Tensor:
        """Return the inputs of D's last layer, (N, F) float32, for images (N, C, H, W) uint8.

        Raises TargetError if D does not give them.
        """
        features = getattr(self._module, "features", None)
        if not callable(features):
            raise TargetError("the discriminator must have a method features(images) -> (N, F); it has none.")
        return self._run(features, images)  # pyright: ignore[reportArgumentType]

    def module(self) -> nn.Module:
        """Return a copy of the network, to train on."""
        return copy.deepcopy(self._module).requires_grad_(True)

    def _run(self, function: nn.Module, images: Tensor) -> Tensor:
        require_images(images, "images", TargetError)

        def run(chunk: Tensor) -> Tensor:
            try:
                return function(to_float(chunk)).float()
            except (Exception, SystemExit) as problem:  # noqa: BLE001 - a user's discriminator may raise anything
                raise TargetError(
                    f"the discriminator raised on images {tuple(chunk.shape)}: {_reason(problem)}"
                ) from None

        with use_threads(self._compute.threads):
            return in_micro_batches(run, images, self._compute.torch_device())


class ModuleTarget:
    """G as a LatentTarget whose prior is N(0, I).

    G takes z (N, latent_dim) float32 and gives images (N, C, H, W) in [-1, 1]. One micro-batch is drawn at
    once to check that. Raises TargetError if G fails, or gives another shape, another range, NaN or infinity.

    Args:
        module: G.
        latent_dim: entries of z.
        identity: identity of the weights. G's code decides what it makes of them, so the digest of the
            micro-batch becomes part of the target's identity.
        compute: device and threads.
        ours: G is ganguard's own, so its range is [-1, 1] for certain, and values beyond are clamped. Any
            other G is refused if a micro-batch leaves that range, or has no negative value.
    """

    def __init__(
        self, module: nn.Module, *, latent_dim: int, identity: str, compute: Compute, ours: bool = False
    ) -> None:
        if not 0 < latent_dim <= MOST_LATENTS:
            raise TargetError(f"latent_dim must be 1 to {MOST_LATENTS:,}; got {latent_dim}.")
        self.latent_dim = latent_dim
        self._compute = compute
        self._module = module.to(compute.torch_device()).eval()
        self.image_shape, images = self._probe(ours)
        self.identity = identity if ours else f"{identity}:{tensor_digest({'probe': images})}"

    def draw_latents(self, indices: range, *, seed: int) -> Tensor:
        """Return codes (len(indices), latent_dim) float32, N(0, I); row i is a pure function of (seed, i)."""
        return normal(seed, "latents", indices, self.latent_dim)

    def generate(self, latents: Tensor) -> Tensor:
        """Return images (N, C, H, W) uint8 of codes (N, latent_dim).

        Raises TargetError for other codes, or if G gives NaN.
        """
        if latents.ndim != 2 or latents.shape[1] != self.latent_dim or not torch.isfinite(latents).all():
            raise TargetError(
                f"codes must be finite and (N, {self.latent_dim}); got shape {tuple(latents.shape)}."
            )
        with use_threads(self._compute.threads):
            return in_micro_batches(self._images, latents.float(), self._compute.torch_device())

    def sample(self, indices: range, *, seed: int) -> Tensor:
        """Return images (len(indices), C, H, W) uint8 of the codes `draw_latents(indices, seed=seed)`."""
        return self.generate(self.draw_latents(indices, seed=seed))

    def _images(self, z: Tensor) -> Tensor:
        images = self._run(z)
        if images.shape != (len(z), *self.image_shape):
            raise TargetError(
                f"the generator must keep the shape of its images; it gave {self.image_shape} first, now "
                f"{tuple(images.shape)[1:]}."
            )
        if not torch.isfinite(images).all():
            raise TargetError("the generator gave NaN or infinity. Check its weights and its precision.")
        return to_uint8(images)

    def _run(self, z: Tensor) -> Tensor:
        try:
            return self._module(z)
        except (Exception, SystemExit) as problem:  # noqa: BLE001 - a user's generator may raise anything
            raise TargetError(f"the generator raised on codes {tuple(z.shape)}: {_reason(problem)}") from None

    def _probe(self, ours: bool) -> tuple[tuple[int, int, int], Tensor]:
        """Return the image shape, and one micro-batch (MICRO_BATCH, C, H, W) uint8."""
        z = self.draw_latents(range(MICRO_BATCH), seed=0).to(self._compute.torch_device())
        with torch.inference_mode(), use_threads(self._compute.threads):
            floats = self._run(z)
            shape = _require_generator_output(floats, ours)
            images = to_uint8(floats)
            if not ours and not torch.equal(images, to_uint8(self._run(z))):
                raise TargetError(
                    "the generator must give the same images for the same codes; it gave others the second "
                    "time. Fix its noise: an image must follow from its code."
                )
        return shape, images


class WhiteBoxModuleTarget(ModuleTarget):
    """A ModuleTarget that hands over its discriminator."""

    def __init__(
        self,
        module: nn.Module,
        discriminator: nn.Module,
        *,
        latent_dim: int,
        identity: str,
        compute: Compute,
        ours: bool = False,
    ) -> None:
        super().__init__(module, latent_dim=latent_dim, identity=identity, compute=compute, ours=ours)
        self.discriminator: Discriminator = ModuleDiscriminator(discriminator, compute)
        if not ours:
            probe = self.sample(range(MICRO_BATCH), seed=0)
            self.identity += f":{_answers_digest(self.discriminator, probe)}"


def _answers_digest(D: Discriminator, images: Tensor) -> str:
    """Return the digest of D's scores and features of images: D's code counts, not only its weights.

    An answer that D cannot give is left out, since some attacks do without it.
    """
    said: dict[str, Tensor] = {}
    for name, read in (("scores", D.scores), ("features", D.features)):
        try:
            said[name] = read(images)
        except TargetError:
            continue
    return tensor_digest(said)


def require_micro_batch(image_shape: tuple[int, int, int]) -> None:
    """Raise TargetError if MICRO_BATCH float images (C, H, W) take more than MOST_BYTES."""
    if MICRO_BATCH * math.prod(image_shape) * 4 > MOST_BYTES:
        raise TargetError(
            f"images {image_shape} (C, H, W) are too large: {MICRO_BATCH} of them are made at once, which "
            f"takes more than {MOST_BYTES >> 30} GiB."
        )


def _reason(problem: BaseException) -> str:
    """Return one line of an error that a user's network raised.

    It is the first line of the message, the last of TorchScript's many lines, or the name of the error's
    type.
    """
    lines = str(problem).strip().splitlines() or [type(problem).__name__]
    return one_line(lines[-1] if "TorchScript interpreter" in lines[0] else lines[0], 200)


def _require_generator_output(images: object, ours: bool) -> tuple[int, int, int]:
    """Return the image shape (C, H, W) of a micro-batch.

    Raises TargetError if it is not images in [-1, 1].
    """
    if not isinstance(images, Tensor) or not images.is_floating_point():
        what = f"{images.dtype} tensor" if isinstance(images, Tensor) else type(images).__name__
        raise TargetError(f"the generator must give a float tensor of images in [-1, 1]; got {what}.")
    if images.ndim != 4 or len(images) != MICRO_BATCH or images.shape[1] not in CHANNELS:
        raise TargetError(
            f"the generator must give ({MICRO_BATCH}, C, H, W) with C of 1 or 3 for {MICRO_BATCH} codes; "
            f"got {tuple(images.shape)}."
        )
    if not torch.isfinite(images).all():
        raise TargetError("the generator gave NaN or infinity. Check its weights and its precision.")
    low, high = images.min().item(), images.max().item()
    if not ours and (low < -1 - RANGE_TOLERANCE or high > 1 + RANGE_TOLERANCE or low >= 0):
        raise TargetError(
            f"the generator must give images in [-1, 1]; got [{low:.3g}, {high:.3g}]. Scale them, or clamp, "
            "in its forward."
        )
    return (images.shape[1], images.shape[2], images.shape[3])
