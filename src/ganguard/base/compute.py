"""Where and how computation runs. All of it can change the last bits of a result, so all of it is part of
cache keys."""

import os
from collections.abc import Generator
from contextlib import contextmanager
from typing import Annotated, Literal

import torch
from pydantic import Field, field_validator

from ganguard.base.settings import Positive, Settings

MOST_THREADS = 1024  # far more, and creating them ends the process


class Compute(Settings):
    """Device type and CPU threads of one process.

    device: "cpu", "cuda" or "auto" (CUDA where there is one).
    threads: threads that torch uses for one operation, 1 to 1024. Bit-equal results are promised for equal
    threads only.
    """

    device: Literal["cpu", "cuda", "auto"] = "cpu"
    threads: Annotated[Positive, Field(le=MOST_THREADS)] = 1

    @field_validator("device")
    @classmethod
    def _there(cls, device: str) -> str:
        if device == "cuda" and not torch.cuda.is_available():
            raise ValueError("no CUDA device is found here: use cpu or auto; got 'cuda'")
        return device

    def torch_device(self) -> torch.device:
        """The device to use now."""
        if self.device == "auto":
            return torch.device("cuda" if torch.cuda.is_available() else "cpu")
        return torch.device(self.device)


def cores() -> int:
    """Processor cores that this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)  # absent on macOS
    return len(affinity(0)) if affinity else os.cpu_count() or 1


@contextmanager
def use_threads(threads: int) -> Generator[None]:
    """Run the body with this many torch threads, and restore the number before."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def limit_threads(threads: int) -> Generator[None]:
    """As `use_threads`, and the BLAS that NumPy and SciPy call takes no more threads either. By itself it has
    one for each core, and processes that share the cores wait for each other most of the time. It takes some
    milliseconds to begin."""
    import scipy.linalg  # noqa: F401  # pyright: ignore[reportUnusedImport] - what is loaded later would not be limited
    from threadpoolctl import threadpool_limits

    with use_threads(threads), threadpool_limits(threads, user_api="blas"):
        yield
