"""Differentially private training of a GAN (DP-SGD, Abadi et al. 2016): the countermeasure to accuracy
extraction that the paper leaves to the future. It bounds what a copy can reveal about single training images,
however the target was stolen.

Only D sees real images, so only its updates spend privacy: each takes a Poisson sample of the images, clips
every image's gradient to a length C, and adds noise. G learns from D, which is post-processing and costs
nothing more; the same holds for the gradient of generated images. The bound comes from Rényi accounting
(Mironov 2017) or from privacy random variables (Gopi et al. 2021, PRV), by opacus.

The bound does not cover any other choice that looks at the training images, such as choosing a checkpoint by
its distance to them. It holds against those who do not know the random numbers of the samples and the noise.
So these are drawn from a seed of the operating system, which is kept nowhere but in the state of a training
that is not finished: a run that was killed goes on with the same numbers, and nothing that is published holds
them. D's losses, which are of single batches of real images, are told to no journal.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from secrets import randbits
from typing import Annotated, Any, ClassVar, Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.optim import Optimizer

from ganguard.architectures.networks import ArchitectureSettings, DiscriminatorNetwork, has_discriminator
from ganguard.base.errors import SpecError
from ganguard.base.image_rows import Images
from ganguard.base.images import to_float
from ganguard.base.seeds import derived_seed
from ganguard.base.settings import NonNegative, Sparse, one_line
from ganguard.training.device import batch
from ganguard.training.losses import AdversarialLoss
from ganguard.training.settings import TrainingSettings

Accountant = Literal["rdp", "prv"]


class DifferentialPrivacy(Sparse):
    """How private a training is: (epsilon, delta)-differentially private, for adding or removing one image.

    Attributes:
        epsilon: bound for the whole training. None sets no bound: gradients are clipped but no noise is
            added, which shows the cost of clipping.
        delta: the delta at which epsilon is stated; less than one over the number of images.
        max_grad_norm: C, the length to which an image's gradient is clipped.
        accountant: how what is spent is added up: "rdp" by Rényi divergences, "prv" by the distribution of
            the privacy loss, which is tighter: it needs less noise for the same epsilon.
        noise_seed: seed of samples and noise, so that a run can be repeated. The bound then holds only
            against those who do not know it. None draws it from the operating system.
    """

    unsaid: ClassVar[frozenset[str]] = frozenset({"accountant", "noise_seed"})
    epsilon: Annotated[float, Field(gt=0.01, le=1e6)] | None
    delta: Annotated[float, Field(gt=0, lt=1)] = 1e-5
    max_grad_norm: Annotated[float, Field(gt=0, le=1e6)] = 1.0
    accountant: Accountant = "rdp"
    noise_seed: NonNegative | None = None


class PrivateTraining(TrainingSettings):
    """How a GAN is trained, privately if `differential_privacy` is set."""

    projects: ClassVar[bool] = False  # its D is part of what is published
    differential_privacy: DifferentialPrivacy | None = None

    @model_validator(mode="after")
    def _trainable_so(self) -> "PrivateTraining":
        if self.differential_privacy is None:
            return self
        if why := why_not_private(self.architecture):
            raise ValueError(
                f"differential_privacy: {why}. Set architecture: {{kind: dcgan, discriminator_norm: group}}"
            )
        regularised = self.completed().penalty != "none" or self.completed().drift or self.lecam_weight
        if regularised or self.augment != "none":
            raise ValueError(
                "differential_privacy: penalty, drift, lecam_weight and augment show D the images in ways "
                "that the bound does not count. Leave them out"
            )
        if self.precision != "32-true" or self.compile:
            raise ValueError(
                "differential_privacy: gradients are clipped and made noisy in float32, image by image. "
                "Leave precision and compile out"
            )
        return self


def why_not_private(architecture: ArchitectureSettings) -> str | None:
    """Return why the gradients of single images cannot be separated in D, or None if they can."""
    if not has_discriminator(architecture):
        return f"{architecture.kind} has no D, whose updates would be private"
    if getattr(architecture, "discriminator_norm", None) == "group":
        return None
    if architecture.kind in ("acgan", "dcgan"):
        return "BatchNorm in D mixes the images of a batch, so no gradient belongs to one image alone"
    D = f"{architecture.kind}'s D"
    if architecture.kind in ("pggan", "stylegan2"):
        return f"{D} sees how much the images of a group differ, so no gradient belongs to one image alone"
    return f"{D} has layers whose gradients cannot be separated by image (spectral normalisation)"


@dataclass(frozen=True)
class Guarantee:
    """The privacy that a training spends.

    Attributes:
        epsilon: spent over the whole training; None without noise.
        delta: the delta at which epsilon is stated.
        noise_multiplier: sigma, in units of C.
        max_grad_norm: C.
        sample_rate: q, the probability of each image to be in an update's sample.
        updates: updates of D.
        accountant: how that was added up.
    """

    epsilon: float | None
    delta: float
    noise_multiplier: float
    max_grad_norm: float
    sample_rate: float
    updates: int
    accountant: Accountant = "rdp"

    def said(self) -> dict[str, Any]:
        """Return the guarantee for a checkpoint's provenance."""
        from opacus import __version__

        return {**vars(self), "accountant": f"{self.accountant}, opacus {__version__}"}


def guarantee_of(settings: DifferentialPrivacy, *, images: int, batch_size: int, updates: int) -> Guarantee:
    """Return the noise that keeps `updates` of D within epsilon, if each takes a Poisson sample of
    `batch_size` expected images.

    Raises SpecError if opacus is not installed, a batch is as large as the data, or no noise suffices.
    """
    require_opacus()
    from opacus.accountants import create_accountant
    from opacus.accountants.utils import get_noise_multiplier

    if settings.delta >= 1 / images:
        least = f"below 1 over the number of images, {1 / images:.2g}"
        raise SpecError(f"differential_privacy: delta must be {least}; got {settings.delta:g}.")
    if batch_size >= images:
        raise SpecError(
            f"differential_privacy: batch_size must be below the number of images, {images}; got "
            f"{batch_size}."
        )
    rate, epsilon, delta, norm = batch_size / images, settings.epsilon, settings.delta, settings.max_grad_norm
    by = settings.accountant
    if epsilon is None:
        return Guarantee(None, delta, 0.0, norm, rate, updates, by)
    try:
        with warnings.catch_warnings():
            # opacus warns if the best order is the first or last that it tries. The bound of any order holds.
            warnings.filterwarnings("ignore", message="Optimal order is the")
            sigma = get_noise_multiplier(
                target_epsilon=epsilon,
                target_delta=delta,
                sample_rate=rate,
                steps=updates,
                accountant=by,
            )
            accountant = create_accountant(mechanism=by)
            accountant.history = [(sigma, rate, updates)]
            spent = float(accountant.get_epsilon(delta=delta))
    except ValueError as problem:
        what = f"epsilon {epsilon:g} cannot be kept over {updates:,} updates"
        raise SpecError(
            f"differential_privacy: {what}: {one_line(problem, 160)}. Allow a larger epsilon, or train for "
            "fewer steps."
        ) from None
    return Guarantee(spent, delta, float(sigma), norm, rate, updates, by)


def require_opacus() -> None:
    """Raise SpecError if opacus is not installed."""
    try:
        import opacus  # noqa: F401  # pyright: ignore[reportUnusedImport]
    except ImportError:
        raise SpecError(
            "differential_privacy needs opacus. Install it: pip install 'ganguard[dp]'."
        ) from None


class Secret(nn.Module):
    """The source of the random numbers that the bound rests on: which images are sampled, and the noise.

    It is a module so that a training's saved state holds it, and a run that was killed goes on with it.
    """

    def __init__(self, seed: int | None) -> None:
        super().__init__()
        self.generator = torch.Generator()
        self.generator.manual_seed(randbits(63) if seed is None else derived_seed(seed, "privacy"))

    def forget(self) -> None:
        """Replace what is left of the secret, when it is needed no more: the last state holds none of it."""
        self.generator.manual_seed(0)

    def get_extra_state(self) -> Tensor:
        """Return the state of the generator."""
        return self.generator.get_state()

    def set_extra_state(self, state: Tensor) -> None:
        """Go on from a state."""
        self.generator.set_state(state)


def secret_of(settings: TrainingSettings) -> Secret | None:
    """Return a new secret of a training; None if it is not private."""
    private = settings.differential_privacy if isinstance(settings, PrivateTraining) else None
    return Secret(private.noise_seed) if private else None


class PrivateUpdates:
    """Differentially private updates of D. Its trained parameters must require gradients when it is passed
    in."""

    def __init__(
        self, D: DiscriminatorNetwork, optimizer: Optimizer, guarantee: Guarantee, batch_size: int
    ) -> None:
        from opacus import GradSampleModule
        from opacus.optimizers import DPOptimizer

        # opacus lays its gradients out contiguously, so the weights must be laid out in the same way.
        D.to(memory_format=torch.contiguous_format)  # pyright: ignore[reportCallIssue]
        self._wrapped: GradSampleModule = GradSampleModule(D)
        self._wrapped.disable_hooks()
        self._rate, self._optimizer = guarantee.sample_rate, optimizer
        self._noise = torch.Generator(next(D.parameters()).device)
        self._private: DPOptimizer = DPOptimizer(
            optimizer,
            noise_multiplier=guarantee.noise_multiplier,
            max_grad_norm=guarantee.max_grad_norm,
            expected_batch_size=batch_size,
            generator=self._noise,
        )

    def update(
        self, images: Images, fake: Tensor, loss: AdversarialLoss, generator: torch.Generator
    ) -> Tensor:
        """Update D once, and return its loss, ().

        Args:
            images: (N, C, H, W) uint8; a Poisson sample of them is used.
            fake: generated images (n, C, H, W) in [-1, 1].
            loss: the losses of D.
            generator: the source of the random numbers, of a `Secret`.
        """
        rows = (torch.rand(len(images), generator=generator) < self._rate).nonzero()[:, 0]
        self._private.zero_grad()
        of_real = self._sample_gradients(to_float(batch(images, rows, fake.device)), loss)
        # The state of a CUDA generator is not saved, so it is seeded from the secret's each time.
        self._noise.manual_seed(int(torch.randint(2**62, (), generator=generator)))
        self._private.pre_step()
        # torch warns if a module with hooks gets inputs without gradients.
        of_fake = loss.fake(self._wrapped(fake.detach().requires_grad_()))
        self._add_gradients(of_fake)
        self._optimizer.step()
        return of_real + of_fake.detach()

    def _parameters(self) -> Sequence[nn.Parameter]:
        return [parameter for group in self._optimizer.param_groups for parameter in group["params"]]

    def _sample_gradients(self, real: Tensor, loss: AdversarialLoss) -> Tensor:
        """Store every image's own gradient where the optimiser looks for it. An empty sample has none, and
        the update is noise alone."""
        if len(real) == 0:
            for parameter in self._parameters():
                parameter.grad_sample = parameter.new_zeros((0, *parameter.shape))  # pyright: ignore[reportAttributeAccessIssue]
            return torch.zeros((), device=real.device)
        self._wrapped.enable_hooks()
        mean = loss.real(self._wrapped(real.requires_grad_()))
        mean.backward()
        self._wrapped.disable_hooks()
        return mean.detach()

    def _add_gradients(self, mean: Tensor) -> None:
        parameters = self._parameters()
        for parameter, gradient in zip(parameters, torch.autograd.grad(mean, parameters), strict=True):
            parameter.grad = gradient if parameter.grad is None else parameter.grad + gradient
