"""How a pipeline makes a batch of images: by our own loop over its steps, or by its own call."""

import copy
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from ganguard.base.errors import TargetError
from ganguard.targets.diffusion.library import takes

PIXELS_AND_LATENTS = ("DDPMPipeline", "DDIMPipeline", "PNDMPipeline", "LDMPipeline")
"""Pipelines of a U-Net without a text, whose calls take no codes: their loop is ours."""
_OURS = frozenset(
    {"prompt", "class_labels", "generator", "num_inference_steps", "eta", "output_type", "return_dict"}
    | {"batch_size", "latents", "num_images_per_prompt", "callback", "callback_on_step_end"}
)
"""Arguments of a pipeline's call that have a place of their own in the settings, or are fixed."""


@dataclass(frozen=True)
class BatchAsked:
    """What a batch of images is made of.

    Attributes:
        generators: of the noise of each image, on the CPU, so that it is the same on each device.
        prompts: a text for each image; none for a pipeline without texts.
        labels: a class for each image; none for a pipeline without classes.
        codes: what denoising begins with (N, …); None draws it.
    """

    generators: list[torch.Generator]
    prompts: tuple[str, ...] = ()
    labels: tuple[int, ...] = ()
    codes: Tensor | None = None


@dataclass(frozen=True)
class How:
    """How images are made: numbers of the settings, None for those of the pipeline."""

    steps: int | None = None
    eta: float | None = None
    others: Mapping[str, Any] = field(default_factory=dict[str, Any])


class Sampler(Protocol):
    """Makes images of a pipeline.

    Attributes:
        steps: of denoising; None if only the pipeline knows.
        code_shape: shape of a code; None if none can be given.
        texts: whether an image needs a prompt.
        classes: the number of classes if an image needs a label, 0 if not.
    """

    @property
    def steps(self) -> int | None: ...
    @property
    def code_shape(self) -> tuple[int, ...] | None: ...
    @property
    def texts(self) -> bool: ...
    @property
    def classes(self) -> int: ...

    def __call__(self, asked: BatchAsked) -> object:
        """Return floats (N, C, H, W) in [-1, 1], or what came in their place."""
        ...


def sampler_of(pipeline: Any, how: How) -> Sampler:
    """Return how a pipeline is run. Raises TargetError if the settings do not fit it."""
    if type(pipeline).__name__ in PIXELS_AND_LATENTS:
        return Denoising(pipeline, how)
    return Calling(pipeline, how)


def _steps(pipeline: Any, how: How, scheduler: Any) -> int | None:
    """Return the steps of denoising. Raises TargetError if they are given to a pipeline that takes none."""
    parameter = inspect.signature(type(pipeline).__call__).parameters.get("num_inference_steps")
    if parameter is None:
        if how.steps is not None:
            raise TargetError(
                f"steps has nothing to act on: {type(pipeline).__name__} takes none. Leave it out, or set "
                "what it takes in `others`."
            )
        return None
    if how.steps is not None:
        return how.steps
    if not isinstance(parameter.default, int):
        return None
    return min(parameter.default, getattr(scheduler.config, "num_train_timesteps", parameter.default))


class Denoising:
    """A Sampler that denoises with a U-Net, as the pipelines PIXELS_AND_LATENTS do, for any scheduler.

    Ho et al. 2020 (algorithm 2) with DDPM's scheduler, Song et al. 2021 (equation 12) with DDIM's. With
    generators alone, it gives the bits that the pipelines themselves give.
    """

    texts = False

    def __init__(self, pipeline: Any, how: How) -> None:
        self._unet, self._decoder = pipeline.unet, getattr(pipeline, "vqvae", None)
        self._scheduler = pipeline.scheduler
        self.steps = _steps(pipeline, how, self._scheduler)
        self.classes = self._unet.config.num_class_embeds or 0
        side = self._unet.config.sample_size
        sides = (side, side) if isinstance(side, int) else tuple(side or ())
        if len(sides) != 2:
            raise TargetError("the configuration of its unet must say sample_size; it does not.")
        self.code_shape = (self._unet.config.in_channels, *sides)
        if how.others:
            raise TargetError(f"others: {_first(how.others)} has nothing to act on. Leave others out.")
        self._said: dict[str, Any] = {}
        if how.eta is not None:
            _require_eta(self._scheduler)
            self._said["eta"] = how.eta

    def __call__(self, asked: BatchAsked) -> Tensor:
        """Return floats (N, C, H, W) in [-1, 1]."""
        from diffusers.utils.torch_utils import randn_tensor

        scheduler = copy.deepcopy(self._scheduler)  # it counts its steps, and keeps what came before
        device, dtype = self._unet.device, self._unet.dtype
        if asked.codes is None:
            shape = (len(asked.generators), *self.code_shape)
            x = randn_tensor(shape, generator=asked.generators, device=device, dtype=dtype)
        else:
            x = asked.codes.to(device, dtype, copy=True)
        said = self._said
        if takes(scheduler.step, "generator"):
            said = {**said, "generator": asked.generators}
        classes = {}
        if asked.labels:
            classes = {"class_labels": torch.tensor(asked.labels, device=device)}
        scheduler.set_timesteps(self.steps)
        x = x * scheduler.init_noise_sigma
        for t in scheduler.timesteps:
            noise = self._unet(scheduler.scale_model_input(x, t), t, **classes).sample
            if noise.shape[1] == 2 * x.shape[1] and not _takes_variance(scheduler):
                noise = noise[:, : x.shape[1]]
            x = scheduler.step(noise, t, x, **said).prev_sample
        if self._decoder is not None:
            x = self._decoder.decode(x / self._decoder.config.scaling_factor).sample
        return x.float().clamp(-1, 1)


class Calling:
    """A Sampler that calls the pipeline, as its users do."""

    code_shape = None

    def __init__(self, pipeline: Any, how: How) -> None:
        self._pipeline = pipeline
        self._call: Callable[..., Any] = type(pipeline).__call__
        self._schedulers = {
            name: part for name, part in pipeline.components.items() if hasattr(part, "set_timesteps")
        }
        self.texts = takes(self._call, "prompt")
        self.classes = _classes(pipeline) if takes(self._call, "class_labels") else 0
        scheduler = self._schedulers.get("scheduler")
        self.steps = _steps(pipeline, how, scheduler)
        self._said: dict[str, Any] = {**self._others(how.others), "output_type": "np"}
        if self.steps is not None:
            self._said["num_inference_steps"] = self.steps
        if how.eta is not None:
            if not takes(self._call, "eta"):
                raise TargetError(
                    f"eta has nothing to act on: {type(pipeline).__name__} takes none. Leave it out."
                )
            _require_eta(scheduler)
            self._said["eta"] = how.eta
        self._require_all()

    def __call__(self, asked: BatchAsked) -> object:
        """Return floats (N, C, H, W) in [-1, 1], or what the pipeline gave in their place."""
        for name, scheduler in self._schedulers.items():
            setattr(self._pipeline, name, copy.deepcopy(scheduler))
        count = len(asked.generators)
        said = {**self._said, "generator": asked.generators}
        if self.texts:
            said["prompt"] = list(asked.prompts)
        if self.classes:
            said["class_labels"] = list(asked.labels)
        if takes(self._call, "batch_size") and not self.texts:
            said["batch_size"] = count
        for name in said.keys() & {"negative_prompt", "prompt_2", "negative_prompt_2"}:
            if isinstance(said[name], str):
                said[name] = [said[name]] * count
        images = getattr(self._pipeline(**said), "images", None)
        if not isinstance(images, np.ndarray) or images.ndim != 4:
            return images
        return torch.from_numpy(images).permute(0, 3, 1, 2).float() * 2 - 1

    def _others(self, others: Mapping[str, Any]) -> Mapping[str, Any]:
        known = inspect.signature(self._call).parameters.keys() - {"self", "kwargs"}
        for name in others:
            if name in _OURS:
                raise TargetError(
                    f"others: {name} has a place of its own, or is fixed. Leave it out of others."
                )
            if name not in known:
                raise TargetError(f"others: {type(self._pipeline).__name__} takes no {name}. Leave it out.")
        return others

    def _require_all(self) -> None:
        """Raise TargetError if the pipeline needs what no setting gives, such as an image to begin with."""
        given = _OURS | self._said.keys() | {"self"}
        variable = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
        for name, parameter in inspect.signature(self._call).parameters.items():
            needed = parameter.default is inspect.Parameter.empty and parameter.kind not in variable
            if (needed and name not in given) or name in ("image", "mask_image"):
                raise TargetError(
                    f"{type(self._pipeline).__name__} needs {name!r}: only pipelines that begin with noise, "
                    "a text or a class are targets."
                )
        if not takes(self._call, "generator"):
            raise TargetError(f"{type(self._pipeline).__name__} takes no generators for its noise.")


def _takes_variance(scheduler: Any) -> bool:
    """Return whether a scheduler reads the variance that a network gives beside the noise. Those that drop it
    do so for three channels only."""
    learned = str(scheduler.config.get("variance_type")).startswith("learned")
    return learned and type(scheduler).__name__.startswith("DDPM")


def _require_eta(scheduler: Any) -> None:
    if not takes(scheduler.step, "eta"):
        raise TargetError(f"eta has nothing to act on: {type(scheduler).__name__} takes none. Leave it out.")


def _classes(pipeline: Any) -> int:
    """Return the number of classes of a pipeline that takes them: that of its network, 0 without any."""
    network = getattr(pipeline, "transformer", None) or getattr(pipeline, "unet", None)
    config = getattr(network, "config", {})
    return config.get("num_embeds_ada_norm") or config.get("num_class_embeds") or 0


def _first(others: Mapping[str, Any]) -> str:
    return next(iter(others))
