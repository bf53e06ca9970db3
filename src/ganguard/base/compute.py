"""Where and how a computation runs. Each of these settings can change the last bits of a result, so all of
them are part of cache keys."""

import ctypes
import os
from collections.abc import Generator
from contextlib import contextmanager
from functools import cache
from typing import Annotated, Literal

import torch
from pydantic import Field, field_validator

from ganguard.base.settings import Positive, Settings

MOST_THREADS = 1024  # creating far more would end the process
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of glibc's malloc.h
_KEPT, _LARGE = 1 << 30, 32 << 20  # bytes; the latter is the most that glibc allows


class Compute(Settings):
    """Device type and CPU threads of one process.

    Attributes:
        device: "cpu", "cuda" or "auto", the default, which takes CUDA if it is available.
        threads: threads that torch uses for one operation, 1 to 1024. Bit-equal results are promised for
            equal numbers of threads only.
    """

    device: Literal["cpu", "cuda", "auto"] = "auto"
    threads: Annotated[Positive, Field(le=MOST_THREADS)] = 1

    @field_validator("device")
    @classmethod
    def _there(cls, device: str) -> str:
        if device == "cuda" and not torch.cuda.is_available():
            raise ValueError("no CUDA device was found here: use cpu or auto; got 'cuda'")
        return device

    def torch_device(self) -> torch.device:
        """Return the device to use now."""
        if self.device == "auto":
            return torch.device("cuda" if torch.cuda.is_available() else "cpu")
        return torch.device(self.device)


def cores() -> int:
    """Return how many processor cores this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)  # absent on macOS
    return len(affinity(0)) if affinity else os.cpu_count() or 1


@cache
def _keep_freed_memory() -> None:
    """Let glibc keep up to a GiB of freed memory for this process.

    By default it hands the memory of freed tensors back to the kernel, many times in a step of a small
    network, and takes it anew: a twelfth of such a step was spent on page faults. Does nothing if the
    environment sets one of the two thresholds, or the allocator is not glibc's.
    """
    said = " ".join([*os.environ, os.environ.get("GLIBC_TUNABLES", "")]).lower()
    if "trim_threshold" in said or "mmap_threshold" in said or os.name != "posix":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        # Either threshold alone would stop glibc from adapting the other.
        mallopt(_M_MMAP_THRESHOLD, _LARGE)
        mallopt(_M_TRIM_THRESHOLD, _KEPT)


@contextmanager
def use_threads(threads: int) -> Generator[None]:
    """Run the body with this many torch threads, and restore the previous number afterwards."""
    _keep_freed_memory()
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def limit_threads(threads: int) -> Generator[None]:
    """Run the body with this many threads, for torch as in `use_threads` and for the BLAS that NumPy and
    SciPy call.

    By default that BLAS starts one thread for each core, and processes that share the cores then wait for
    each other most of the time. Entering takes some milliseconds.
    """
    # threadpool_limits reaches only libraries that are loaded already.
    import scipy.linalg  # noqa: F401  # pyright: ignore[reportUnusedImport]
    from threadpoolctl import threadpool_limits

    with use_threads(threads), threadpool_limits(threads, user_api="blas"):
        yield
