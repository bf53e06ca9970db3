"""Describe the machine and the library versions of an audit."""

import platform
from pathlib import Path

import numpy as np
import torch

from ganguard import __version__
from ganguard.base.compute import Compute, cores
from ganguard.results.environment import Environment


def environment(compute: Compute, processes: int) -> Environment:
    """Return the versions and the hardware of this machine. processes: how many steps ran at once."""
    return Environment(
        ganguard=__version__,
        python=platform.python_version(),
        torch=torch.__version__,
        numpy=np.__version__,
        platform=platform.platform(),
        processor=_processor(),
        cores=cores(),
        device=str(compute.torch_device()),
        threads=compute.threads,
        processes=processes,
    )


def _processor() -> str:
    """Return the name of the processor; its architecture if the system does not tell the name."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
