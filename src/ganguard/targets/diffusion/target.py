"""A pipeline of diffusers that is open: images by index, and by code if nothing else decides them."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from ganguard.base.cache import content_key
from ganguard.base.compute import Compute, use_threads
from ganguard.base.errors import TargetError
from ganguard.base.images import to_uint8
from ganguard.base.seeds import normal, torch_generator
from ganguard.targets.ask import asked_of
from ganguard.targets.batching import in_micro_batches
from ganguard.targets.conditions import Conditions
from ganguard.targets.diffusion.library import pipeline_at, put_scheduler, reason
from ganguard.targets.diffusion.quiet import heard
from ganguard.targets.diffusion.samplers import BatchAsked, How, Sampler, sampler_of
from ganguard.targets.foreign.code import ForeignCode
from ganguard.targets.foreign.settings import MOST_LATENTS
from ganguard.targets.prior import require_codes
from ganguard.targets.protocol import BlackBoxTarget
from ganguard.targets.seeded import SeededTarget

if TYPE_CHECKING:
    from ganguard.targets.diffusion.settings import DiffusersTarget

IMPURE = (
    "Its scheduler draws noise that no generator seeds. Set `scheduler` to one without noise, such as ddim "
    "or euler."
)
LAST_BITS = 1e-3  # of floats in [-1, 1]: a tenth of a level
_COUNT = ("eta", "precision", "batch", "others", "variant")  # settings on which images depend as they stand
_CPU = torch.device("cpu")


class Showing:
    """What the images of a pipeline show: texts, or classes, or neither.

    A text is asked for by its place among the texts, a class by its place among the labels. Image i shows
    text i mod n, and class i mod n, if nobody asks for another.
    """

    def __init__(self, prompts: tuple[str, ...], labels: tuple[int, ...]) -> None:
        self._prompts, self._labels = prompts, labels
        self.conditions: Conditions | None = None
        if prompts:
            self.conditions = Conditions(kind="prompts", names=prompts, in_turn=True)
        elif labels:
            self.conditions = Conditions(names=tuple(map(str, labels)), in_turn=True)

    def all(self) -> tuple[tuple[str, ...], tuple[int, ...]]:
        """Return all prompts and all labels."""
        return self._prompts, self._labels

    def __str__(self) -> str:
        parts = ((self._prompts, "prompt"), (self._labels, "class"))
        return "".join(
            f"image i shows {name} i mod {len(of)} unless another is asked for; " for of, name in parts if of
        )

    def of(self, indices: Sequence[int], asked: Sequence[int]) -> Mapping[str, Any]:
        """Return the prompts and the labels of images, by what is asked for."""
        prompts = tuple(self._prompts[place] for place in asked) if self._prompts else ()
        places = [i % len(self._labels) for i in indices] if prompts and self._labels else asked
        return {"prompts": prompts, "labels": tuple(self._labels[i] for i in places) if self._labels else ()}


class OpenPipeline:
    """A pipeline that makes batches of images behind the guard around foreign code.

    Args:
        pipeline: of diffusers.
        sampler: how it is run.
        shown: what images show.
        foreign: the guard.
    """

    def __init__(self, pipeline: Any, sampler: Sampler, shown: Showing, foreign: ForeignCode) -> None:
        self.sampler, self.shown = sampler, shown
        self._pipeline, self._foreign = pipeline, foreign

    def make(self, indices: Sequence[int], seed: int, asked: Sequence[int]) -> object:
        """Return the images (N, C, H, W) of a seed, floats in [-1, 1].

        asked: the number of each image's text or class, if there are any.
        """
        generators = [torch_generator(seed, "diffusion", str(index)) for index in indices]
        return self._run(BatchAsked(generators, **self.shown.of(indices, asked)))

    def of_codes(self, codes: Tensor, seed: int = 0) -> object:
        """Return the images (N, C, H, W) of codes (N, latent_dim), floats in [-1, 1].

        seed: of noise on the way.
        """
        shaped = codes.reshape(len(codes), *(self.sampler.code_shape or ()))
        generators = [torch_generator(seed, "on the way", str(place)) for place in range(len(codes))]
        return self._run(BatchAsked(generators, codes=shaped))

    def _run(self, asked: BatchAsked) -> object:
        with self._foreign.running(), heard(), torch.no_grad():
            try:
                made = self.sampler(asked)
            except (Exception, SystemExit) as problem:  # noqa: BLE001 - a pipeline may raise anything
                raise TargetError(_complaint(problem, len(asked.generators))) from None
        return made.detach().cpu() if isinstance(made, Tensor) else made

    def modules(self) -> nn.Module:
        """Return the networks, as parts of one."""
        parts = self._pipeline.components.items()
        return nn.ModuleDict({name: part for name, part in parts if isinstance(part, nn.Module)}).eval()


def _complaint(problem: BaseException, count: int) -> str:
    memory = isinstance(problem, torch.OutOfMemoryError) or "DefaultCPUAllocator" in str(problem)
    if memory:
        return f"there is too little memory for {count} images at once. Set `batch` to less."
    return f"the pipeline raised {type(problem).__name__}: {reason(problem)}"


class PipelineTarget(SeededTarget):
    """A pipeline whose images follow from seed and index, and from what they are asked to show."""

    def __init__(self, opened: OpenPipeline, batch: int, threads: int) -> None:
        known = opened.shown.conditions
        super().__init__(opened.make, batch=batch, threads=threads, what="pipeline", conditions=known)

    def _tried(self, count: int) -> Tensor | None:
        return asked_of(self, None, range(count), seed=0)


class LatentPipelineTarget(SeededTarget):
    """A pipeline whose images follow from what denoising begins with: a LatentTarget, N(0, I)."""

    def __init__(self, opened: OpenPipeline, batch: int, threads: int) -> None:
        super().__init__(self._of_indices, batch=batch, threads=threads, what="pipeline")
        self._opened = opened
        self.latent_dim = math.prod(opened.sampler.code_shape or ())

    def draw_latents(self, indices: range, *, seed: int) -> Tensor:
        """Return codes (len(indices), latent_dim) float32, N(0, I); row i is a pure function of (seed, i)."""
        return normal(seed, "latents", indices, self.latent_dim)

    def generate(self, latents: Tensor) -> Tensor:
        """Return images (N, C, H, W) uint8 of codes (N, latent_dim). Raises TargetError for other codes."""
        require_codes(latents, self.latent_dim)
        with use_threads(self._threads):
            return in_micro_batches(
                lambda codes: to_uint8(self._checked(self._opened.of_codes(codes), len(codes))),
                latents.float(),
                _CPU,
                self.batch,
            )

    def _of_indices(self, indices: Sequence[int], seed: int, asked: Sequence[int]) -> object:
        drawn = [self.draw_latents(range(index, index + 1), seed=seed) for index in indices]
        return self._opened.of_codes(torch.cat(drawn))


def opened(
    settings: "DiffusersTarget", directory: Path, files: str, prompts: tuple[str, ...], compute: Compute
) -> BlackBoxTarget:
    """Return a pipeline as a target.

    Args:
        settings: what the user says of it.
        directory: where it lies; its files are readable.
        files: identity of its files.
        prompts: read from the settings.
        compute: device and threads.

    Raises TargetError if it cannot be opened, the settings do not fit it, or its images depend on more than
    seed and index.
    """
    batch, threads, foreign = settings.batch, compute.threads, ForeignCode()
    with use_threads(threads), foreign.running(), heard() as said:
        pipeline = pipeline_at(directory, settings.precision, settings.variant, compute.torch_device(), said)
        if settings.scheduler is not None:
            put_scheduler(pipeline, settings.scheduler)
        sampler = sampler_of(pipeline, How(settings.steps, settings.eta, settings.others))
    shown = Showing(prompts, _require_conditions(sampler, settings, prompts))
    running = OpenPipeline(pipeline, sampler, shown, foreign)
    codes = not sampler.classes and _takes_codes(running, batch, threads)
    target = (LatentPipelineTarget if codes else PipelineTarget)(running, batch, threads)
    kind, scheduler = (type(part).__name__ for part in (pipeline, getattr(pipeline, "scheduler", None)))
    told = content_key(
        settings=settings.model_dump(mode="json", include=set(_COUNT)),
        conditions=shown.all(),
        made=[kind, scheduler, sampler.steps],
    )
    probed = max(2, batch + batch % 2)
    target.open(f"{files}:{told}", probed=probed, module=running.modules(), impure=IMPURE)
    remarks = [_said(target, sampler, kind, scheduler, shown), *_checked(pipeline)]
    target.notes += tuple(f"The pipeline: {remark}." for remark in remarks)
    return target


def _require_conditions(
    sampler: Sampler, settings: "DiffusersTarget", prompts: tuple[str, ...]
) -> tuple[int, ...]:
    """Return the classes that images are of. Raises TargetError if prompts or labels do not fit."""
    if sampler.texts and not prompts:
        raise TargetError(
            "it makes images of texts: set `prompts` to a list, or a text file with one a line."
        )
    if prompts and not sampler.texts:
        raise TargetError("prompts has nothing to act on: the pipeline takes no texts. Leave it out.")
    if settings.labels and not sampler.classes:
        raise TargetError("labels has nothing to act on: the pipeline takes no classes. Leave it out.")
    if wrong := [label for label in settings.labels if label >= sampler.classes]:
        raise TargetError(f"labels must be 0 to {sampler.classes - 1}; got {wrong[0]}.")
    return settings.labels or tuple(range(sampler.classes))


def _takes_codes(running: OpenPipeline, batch: int, threads: int) -> bool:
    """Return whether images follow from what denoising begins with: whether other noise on the way changes
    nothing but the last bits."""
    size = math.prod(running.sampler.code_shape or ())
    if running.sampler.code_shape is None or size > MOST_LATENTS:
        return False
    codes = normal(0, "latents", range(batch), size)
    with use_threads(threads):
        one, other = (running.of_codes(codes, seed) for seed in (0, 1))
    return (
        isinstance(one, Tensor)
        and isinstance(other, Tensor)
        and (one - other).abs().max().item() <= LAST_BITS
    )


def _said(target: SeededTarget, sampler: Sampler, kind: str, scheduler: str, shown: Showing) -> str:
    """Return a sentence on how the images are made."""
    steps = f", {sampler.steps} step{'' if sampler.steps == 1 else 's'}" if sampler.steps else ""
    images = f"{target.batch} image{'' if target.batch == 1 else 's'}"
    codes = "codes may be sent" if isinstance(target, LatentPipelineTarget) else "it takes no codes"
    return f"{kind} with {scheduler}{steps}, {images} at once; {shown}{codes}"


def _checked(pipeline: Any) -> list[str]:
    """Return a remark if a pipeline looks at its images itself."""
    if getattr(pipeline, "safety_checker", None) is None:
        return []
    return [
        "its safety checker makes images black that it objects to, for whoever buys them; save the pipeline "
        "with safety_checker=None for the images of the model alone"
    ]
