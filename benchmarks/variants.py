"""What the settings `compile` and `channels_last` gain: seconds of a step without, over seconds with them.

    python benchmarks/variants.py [--rounds 3] [--threads N] [NETWORK ...]

The peer is the same training as plain torch runs it: not compiled, weights laid out with their channels
first. All variants of a network train in turns, on random images. The first 50 steps, which include
compiling, are counted apart: printed is how much longer than the peer's they took.
"""

import argparse
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ganguard.base.compute import Compute, cores
from ganguard.training.loop import REPORT_EVERY, train_generator
from ganguard.training.settings import TrainingSettings


@dataclass(frozen=True)
class Case:
    """A training on images (N, C, side, side), for `steps` steps after the first REPORT_EVERY."""

    shape: tuple[int, int, int]
    settings: dict[str, Any]
    steps: int


CASES = {
    "dcgan-8": Case((1, 8, 8), {"architecture": "dcgan", "batch_size": 32}, 300),
    "sngan-8": Case((1, 8, 8), {"architecture": "sngan", "batch_size": 32, "n_dis": 1}, 300),
    "pggan-16": Case(
        (1, 16, 16), {"architecture": {"kind": "pggan", "width": 16}, "batch_size": 32, "grow": False}, 50
    ),
    "sngan-32": Case(
        (3, 32, 32), {"architecture": {"kind": "sngan", "width": 64}, "batch_size": 32, "n_dis": 1}, 50
    ),
    "stylegan2-16": Case(
        (1, 16, 16), {"architecture": {"kind": "stylegan2", "width": 16}, "batch_size": 32}, 50
    ),
}
PLAIN = {"channels_last": False}
VARIANTS = {"channels last": {}, "compiled": {"compile": True, **PLAIN}, "both": {"compile": True}}


def seconds(case: Case, changed: dict[str, Any], threads: int) -> tuple[float, float]:
    """Return the seconds of the first REPORT_EVERY steps, and of each step after them."""
    images = torch.randint(0, 256, (2048, *case.shape), dtype=torch.uint8)
    said = {**case.settings, **changed, "steps": REPORT_EVERY + case.steps, "checkpoint_every": 10**6}
    seen: dict[int, float] = {}

    def progress(done: int, total: int, note: str = "") -> None:
        seen[done] = time.perf_counter()

    with tempfile.TemporaryDirectory() as folder:
        settings = TrainingSettings.model_validate(said)
        train_generator(
            images, settings, Path(folder), seed=0, compute=Compute(threads=threads), progress=progress
        )
    torch.compiler.reset()
    return seen[REPORT_EVERY] - seen[0], (max(seen.values()) - seen[REPORT_EVERY]) / case.steps


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "networks", nargs="*", choices=[*CASES, []], default=[], metavar="NETWORK", help=", ".join(CASES)
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=cores())
    given = parser.parse_args()
    print(f"{given.threads} thread(s), torch {torch.__version__}", flush=True)
    for name in given.networks or CASES:
        case = CASES[name]
        takes = {
            label: VARIANTS[label]
            for label in VARIANTS
            if not (name.startswith("stylegan2") and "compile" in VARIANTS[label])
        }
        found: dict[str, list[tuple[float, float]]] = {label: [] for label in ("plain", *takes)}
        for _ in range(given.rounds):
            for label, changed in {"plain": PLAIN, **takes}.items():
                found[label].append(seconds(case, changed, given.threads))
        for label in takes:
            rounds = list(zip(found["plain"], found[label], strict=True))
            ratio = statistics.median(plain[1] / own[1] for plain, own in rounds)
            longer = statistics.median(own[0] - plain[0] for plain, own in rounds)
            step = statistics.median(own[1] for _, own in rounds)
            print(
                f"{name:14} {label:14} {1e3 * step:8.1f} ms a step   {ratio:5.2f} x plain   first steps "
                f"{longer:+6.1f} s",
                flush=True,
            )


if __name__ == "__main__":
    main()
