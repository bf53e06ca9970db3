"""How a training uses its device: in which precision it computes, whether its networks are compiled, and
where its images lie.

Precision. "bf16-mixed" is torch's autocast: weights, Adam's moments and the average of G's weights stay
float32, and the networks run in bfloat16 where autocast allows it, forward and backward. Losses are computed
from float32 scores. The gradient of a gradient (R1, WGAN-GP, path lengths) is computed in float32 throughout:
the eight bits of bfloat16 are too few for squares of small differences.

Compiling. torch.compile serves the passes that are differentiated once. Penalties that differentiate a
gradient take the networks uncompiled, because torch does not compile double differentiation. Compiled
networks share the weights of the given ones, and only those are saved: a state or checkpoint of a compiled
training has the same tensor names as any other.
"""

import math
import os
from collections.abc import Callable
from typing import Annotated

import torch
from pydantic import AfterValidator
from torch import Tensor

from ganguard.base.errors import SpecError
from ganguard.base.image_rows import ImageRows, Images
from ganguard.base.settings import one_line

PRECISIONS = ("32-true", "bf16-mixed")
_REFUSED = {
    "16-mixed": "float16 needs scaled losses, and penalties would then act on scaled gradients",
    "16-true": "Adam's steps vanish in float16 weights",
    "bf16-true": "Adam's steps, and those of the average of G's weights, vanish in weights of eight bits",
    "64-true": "no training here gained anything from float64",
}


def _known_precision(precision: str) -> str:
    if precision not in PRECISIONS:
        why = f" ({_REFUSED[precision]})" if precision in _REFUSED else ""
        raise ValueError(f"must be one of {', '.join(PRECISIONS)}; got {precision[:40]!r}{why}")
    return precision


Precision = Annotated[str, AfterValidator(_known_precision)]
"""A precision by its name in Lightning Fabric: "32-true" or "bf16-mixed"."""

Pass = Callable[..., Tensor]
"""G, D or a flow's velocity as a function: what they take, and classes of conditional ones, -> what they
give."""


def as_pass(network: Pass, device: torch.device, *, compiled: bool) -> Pass:
    """Return a network as a function, compiled if asked. Raises SpecError if it is to be compiled and torch's
    compiler does not work here."""
    if not compiled:
        return network
    _require_compiler(device)
    return torch.compile(network, dynamic=False)


def _require_compiler(device: torch.device) -> None:
    """Raise SpecError if a small probe does not compile: it needs a C++ compiler on CPU, Triton on GPU."""
    # The process id is a constant that no earlier process compiled: torch's cache has no code for it.
    own = os.getpid()
    probe = torch.compile(lambda x: x.sigmoid() + own, dynamic=False)  # pyright: ignore[reportUnknownLambdaType]
    try:
        probe(torch.zeros(8, device=device))
    except (RuntimeError, OSError, ImportError) as problem:
        needed = (
            "a C++ compiler (g++, or the one that CXX names)"
            if device.type == "cpu"
            else "Triton and a C compiler"
        )
        why = one_line(problem, 160)
        raise SpecError(f"compile: torch needs {needed}: {why}. Install it, or set compile: false.") from None


SHARE = 0.5  # of the free memory of a CUDA device; networks and their gradients keep the rest


def placed(images: Images, device: torch.device) -> Images:
    """Return images (N, C, H, W) uint8 where a step reads them fastest: on a CUDA device if they take at most
    half of its free memory, otherwise where they are, in memory or in a mapped file, from which each batch
    is copied."""
    if device.type != "cuda" or not fits(images.shape, torch.cuda.mem_get_info(device)[0]):
        return images
    return moved(images, device)


def fits(shape: tuple[int, ...], free: int) -> bool:
    """Return whether images of shape (N, C, H, W), uint8, may lie on a device with `free` bytes of free
    memory."""
    return math.prod(shape) <= SHARE * free


def moved(images: Images, device: torch.device) -> Tensor:
    """Copy all images to a device; the rows of a mapped file are copied part by part."""
    if isinstance(images, Tensor):
        return images.to(device)
    held, room = 0, torch.empty(images.shape, dtype=torch.uint8, device=device)
    for part in images.parts():
        room[held : held + len(part)] = part
        held += len(part)
    return room


def batch(images: Images, places: Tensor, device: torch.device) -> Tensor:
    """Return the images at `places` (n,) int64 on a device: (n, C, H, W) uint8."""
    if isinstance(images, ImageRows):
        return images[places].to(device)
    return images[places.to(images.device)].to(device)
