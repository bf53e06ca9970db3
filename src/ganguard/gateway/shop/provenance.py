"""What makes the bytes of images beside the target itself: the machine and the versions of what runs on
it."""

from importlib.metadata import version

import torch

from ganguard import __version__
from ganguard.base.cache import code_version
from ganguard.base.compute import Compute

_ROOMS = ("architectures", "base", "defences", "metrics.features", "targets")
_OTHERS = ("numpy", "pillow", "scipy", "torch")


def maker(compute: Compute) -> str:
    """In words: equal words, equal bytes. Code is named by its digest, since not every change of it has a
    version."""
    device = compute.torch_device()
    kind = (
        torch.cuda.get_device_name(device)
        if device.type == "cuda"
        else torch.backends.cpu.get_cpu_capability()
    )
    versions = [f"{name} {version(name)}" for name in _OTHERS]
    code = code_version(*(f"ganguard.{room}" for room in _ROOMS))[:16]
    machine = f"{device.type} {kind}, threads {compute.threads}"
    return ", ".join([machine, *versions, f"ganguard {__version__} code {code}"])
