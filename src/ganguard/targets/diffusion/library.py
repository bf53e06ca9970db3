"""Open a pipeline with diffusers, and put the scheduler before it that the user names."""

import inspect
import re
from pathlib import Path
from typing import Any

import torch

from ganguard.base.errors import TargetError, unknown_name
from ganguard.base.settings import one_line
from ganguard.targets.diffusion.files import absent_of, read_index
from ganguard.targets.diffusion.quiet import diffusers_library

_DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
_LACKING = re.compile("newly initialized|MISSING")  # what the libraries say of weights that a file lacks


def pipeline_at(
    directory: Path, precision: str, variant: str | None, device: torch.device, said: list[str]
) -> Any:
    """Return the pipeline in a directory, on the device.

    Args:
        directory: of the pipeline; its files are readable (see `files`).
        precision: of weights and sums.
        variant: of the files of weights; None for those that have none.
        device: where it runs.
        said: gets the messages of the libraries (see `quiet`).

    Raises TargetError if diffusers cannot open it, or its weights lack tensors.
    """
    diffusers = diffusers_library()
    kind = read_index(directory)["_class_name"]
    known = getattr(diffusers, kind, None)
    if not (isinstance(known, type) and issubclass(known, diffusers.DiffusionPipeline)):
        raise TargetError(
            f"its class {one_line(kind, 80)} is none of the pipelines of diffusers {diffusers.__version__}. "
            "Install the version that it was saved with, or have a function of yours make it: {python: …}."
        )
    try:
        pipeline: Any = known.from_pretrained(
            str(directory),
            local_files_only=True,
            use_safetensors=True,
            trust_remote_code=False,
            dtype=_DTYPES[precision],
            variant=variant,
            **dict.fromkeys(absent_of(directory)),
        )
        pipeline = pipeline.to(device)
    except (Exception, SystemExit) as problem:  # noqa: BLE001 - each part raises its own errors
        raise TargetError(f"diffusers cannot open it: {reason(problem)}") from None
    if lacking := next(filter(_LACKING.search, said), ""):
        raise TargetError(f"its weights lack tensors: {one_line(lacking, 200)} Give the whole pipeline.")
    pipeline.set_progress_bar_config(disable=True)
    for part in pipeline.components.values():
        if isinstance(part, torch.nn.Module):
            part.eval().requires_grad_(False)
    return pipeline


def reason(problem: BaseException) -> str:
    """Return one line of an error of the libraries: their messages have many, the first of which says it."""
    lines = str(problem).strip().splitlines() or [type(problem).__name__]
    return one_line(lines[0], 240)


def put_scheduler(pipeline: Any, name: str) -> None:
    """Put the scheduler of that name before a pipeline, with the settings of its own one.

    Raises TargetError if there is none, or if it is of another kind of noise than the pipeline's own.
    """
    diffusers = diffusers_library()
    own = getattr(pipeline, "scheduler", None)
    if own is None:
        raise TargetError("scheduler has nothing to act on: the pipeline has none. Leave it out.")
    fitting = {_short(kind.__name__): kind for kind in {type(own), *own.compatibles}}
    found = fitting.get(_short(name))
    if found is None and hasattr(diffusers, f"{name.removesuffix('Scheduler')}Scheduler"):
        raise TargetError(
            f"scheduler: {one_line(name, 60)} does not fit this pipeline, whose own is "
            f"{type(own).__name__}. Take one of {', '.join(sorted(fitting))}."
        )
    if found is None:
        raise TargetError(unknown_name("scheduler", name, sorted(fitting)))
    try:
        pipeline.scheduler = found.from_config(own.config)
    except Exception as problem:  # noqa: BLE001 - some want a package, others a setting
        raise TargetError(f"scheduler: {found.__name__} cannot be made: {reason(problem)}") from None


def _short(name: str) -> str:
    """Return a scheduler's name as users write it, such as ddim, euler, eulerancestral, dpmsolver, unipc."""
    return re.sub("(Scheduler|Discrete|Multistep)", "", name).lower().replace("_", "")


def takes(function: Any, name: str) -> bool:
    """Return whether a function has a parameter of that name."""
    return name in inspect.signature(function).parameters
