"""What all lines of work share, and how each is done once."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from ganguard.base.cache import write_json
from ganguard.base.compute import Compute, cores

SEED = 0
Line = dict[str, Any]


@dataclass(frozen=True)
class Run:
    """What all lines of work share.

    Attributes:
        out: where each writes its file.
        images: (N, 3, 32, 32) uint8.
        device: "cuda" or "cpu".
        smoke: whether networks are tiny.
    """

    out: Path
    images: Tensor
    device: str
    smoke: bool

    def compute(self) -> Compute:
        """Return the device, with one thread on a GPU and all of them on the CPU."""
        return Compute.model_validate(
            {"device": self.device, "threads": 1 if self.device == "cuda" else cores()}
        )


def once(run: Run, name: str, work: Callable[[Path], Line]) -> Line:
    """Return what a line of work found, now or in an earlier run. What fails gives its reason, and is tried
    again by the next run."""
    file = run.out / f"{name.replace(' ', '-').replace(',', '')}.json"
    if file.is_file():
        return json.loads(file.read_text())
    began = time.perf_counter()
    try:
        found = work(run.out / f"work-{file.stem}-{time.time_ns()}")
    except Exception as problem:  # noqa: BLE001 - one loop that fails must not hide the others
        return {
            "failed": f"{type(problem).__name__}: {str(problem).splitlines()[0] if str(problem) else ''}"[
                :200
            ]
        }
    found["seconds"] = time.perf_counter() - began
    write_json(file, found)
    return found
