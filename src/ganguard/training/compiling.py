"""Networks compiled by torch.compile, for the passes of a training that are differentiated once.

What differentiates a gradient (R1, WGAN-GP, path lengths) takes the networks as they are, because torch does
not compile that. Compiled networks share the weights of the given ones, which alone are saved: a state or
checkpoint of a compiled training has the names of any other.
"""

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ganguard.architectures.networks import Networks
from ganguard.base.errors import SpecError
from ganguard.base.settings import one_line

if TYPE_CHECKING:
    from lightning_fabric import Fabric

Pass = Callable[[Tensor], Tensor]


def passes(networks: Networks, fabric: "Fabric", *, compiled: bool) -> tuple[Pass, Pass]:
    """G and D as functions of codes and of images. Raises SpecError where they are to be compiled and nothing
    can compile."""
    if not compiled:
        return networks.generator, networks.discriminator
    _require_compiler(fabric.device)
    return torch.compile(networks.generator, dynamic=False), torch.compile(
        networks.discriminator, dynamic=False
    )


def _require_compiler(device: torch.device) -> None:
    """Compile something small, which shows whether there is all that it takes: a C++ compiler on CPU, Triton
    on GPU."""
    own = os.getpid()  # a constant that makes it this process's own code: none is found in torch's cache
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
