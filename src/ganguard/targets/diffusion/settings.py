"""A pipeline of diffusers as a target: what a user says of it."""

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from ganguard.base.cache import content_key
from ganguard.base.compute import Compute
from ganguard.base.settings import Float, Name, NonNegative, Plain, Positive, absolute, shortened
from ganguard.targets.diffusion.files import digest_of, directory_of, require_readable, versions
from ganguard.targets.hub import NAME
from ganguard.targets.load import TargetSettings, naming
from ganguard.targets.prompts import absolute_file, texts_of
from ganguard.targets.protocol import BlackBoxTarget

MOST_STEPS = 10_000


class DiffusersTarget(TargetSettings):
    """`diffusers`: a directory that `save_pretrained` wrote, or owner/name on Hugging Face's hub.

    Weights are read from safetensors only, and no code that comes with a pipeline is run. All settings are
    part of the target's identity.

    Attributes:
        revision: branch, tag or commit on the hub; None stands for main.
        variant: of the files of weights, such as fp16.
        steps: of denoising; None for the pipeline's own number.
        scheduler: name of a class of diffusers, with or without "Scheduler", such as ddim; None for the
            pipeline's own.
        eta: share of noise that DDIM adds on the way: 0 for none, 1 for as much as DDPM.
        precision: of weights and sums.
        batch: images that are made at once. The last bits of an image depend on it.
        prompts: a text file with a prompt a line, or a list of prompts, which a client may ask for. Image i
            shows prompt i mod n if nobody asks.
        labels: numbers of classes, which a client may ask for; all classes if there are none. Image i is of
            class i mod n of them if nobody asks.
        others: further arguments of the pipeline's call, such as {guidance_scale: 4, height: 512}.
    """

    diffusers: Annotated[str, Field(min_length=1)]
    revision: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    variant: Annotated[str, Field(pattern=r"^[\w-]{1,60}$")] | None = None
    steps: Annotated[Positive, Field(le=MOST_STEPS)] | None = None
    scheduler: Annotated[str, Field(pattern=r"^\w{1,100}$")] | None = None
    eta: Annotated[Float, Field(ge=0, le=1)] | None = None
    precision: Literal["float32", "float16", "bfloat16"] = "float32"
    batch: Annotated[Positive, Field(le=64)] = 8
    prompts: str | tuple[Name, ...] = ()
    labels: tuple[NonNegative, ...] = ()
    others: Annotated[Plain, Field(default_factory=dict)]

    @field_validator("diffusers")
    @classmethod
    def _directory_or_name(cls, pipeline: str) -> str:
        full = absolute(pipeline)
        if Path(full).exists():
            return full
        if not re.match(NAME, pipeline):
            raise ValueError(
                "must be a directory that save_pretrained wrote, or owner/name on Hugging Face's hub; there "
                f"is no directory {shortened(pipeline)}"
            )
        return pipeline

    @field_validator("labels")
    @classmethod
    def _distinct(cls, labels: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(labels)) < len(labels):
            raise ValueError(f"must name each class once; got {shortened(list(labels))}")
        return labels

    @field_validator("prompts")
    @classmethod
    def _absolute(cls, prompts: str | tuple[str, ...]) -> str | tuple[str, ...]:
        return absolute_file(prompts) if isinstance(prompts, str) else prompts

    @model_validator(mode="after")
    def _fits(self) -> "DiffusersTarget":
        if self.revision is not None and Path(self.diffusers).exists():
            raise ValueError("revision has nothing to act on: the pipeline is a directory. Leave it out")
        return self

    def fingerprint(self) -> str:
        """Return a digest of the files, prompts and libraries, after a download.

        Raises TargetError if the pipeline is not to be had, or is refused by its files alone.
        """
        return content_key(files=self._digest(), prompts=self._texts(), libraries=versions())

    def load(self, compute: Compute) -> BlackBoxTarget:
        """Open the pipeline, and make the first images.

        Raises TargetError if it cannot be opened, the settings do not fit it, or it gives no images that
        depend on seed and index alone.
        """
        from ganguard.targets.diffusion.target import opened

        digest = self._digest()
        with naming(self.diffusers):
            return opened(self, self._directory(), f"diffusers:{digest}", self._texts(), compute)

    def _texts(self) -> tuple[str, ...]:
        return texts_of(self.prompts)

    def _directory(self) -> Path:
        return directory_of(self.diffusers, self.revision or "main", self.variant)

    def _digest(self) -> str:
        with naming(self.diffusers):
            directory = self._directory()
            require_readable(directory)
            return digest_of(directory)
