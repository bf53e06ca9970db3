"""Provenance: the machine and the software versions that the bytes of a target's images depend on."""

from importlib.metadata import version

import torch

from ganguard import __version__
from ganguard.base.cache import code_version
from ganguard.base.compute import Compute

_ROOMS = ("architectures", "base", "defences", "metrics.features", "targets")
_OTHERS = ("numpy", "pillow", "scipy", "torch")


def provenance(compute: Compute) -> str:
    """Describe the machine and the software in one line; equal lines promise equal bytes.

    Our own code is described by its digest, since not every change of it has a version.
    """
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
