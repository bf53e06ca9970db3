"""How fast trainings are: in float32, in bfloat16, compiled, and on the processors."""

import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ganguard.base.compute import Compute, cores
from ganguard.training.loop import train_generator
from ganguard.training.settings import TrainingSettings
from gpu.work import SEED, Line, Run, once


@dataclass(frozen=True)
class Pace:
    """One training whose speed is taken, between the `begin`-th and the last step.

    Attributes:
        network: as printed.
        how: as printed.
        settings: how it is trained.
        images_a_step: real images that one step sees.
        begin: steps that are not counted: compiling, choosing of algorithms.
        on_cpu: whether it runs on the processors for comparison.
    """

    network: str
    how: str
    settings: dict[str, Any]
    images_a_step: int
    begin: int
    on_cpu: bool = False


def paces(smoke: bool) -> list[Pace]:
    """Return the trainings whose speed is taken. Steps are multiples of 50, at which a training reports."""
    gan = {"kind": "sngan", "width_factor": 0.02} if smoke else {"kind": "sngan", "width_factor": 1}
    flow = {"kind": "flow", "width": 8 if smoke else 128}
    trainings = {
        "SNGAN-32": (
            {"architecture": gan, "batch_size": 4 if smoke else 64, "n_dis": 1 if smoke else 5},
            200,
        ),
        "flow-32": ({"architecture": flow, "batch_size": 4 if smoke else 128}, 400),
    }
    variants = {"float32": {}, "bfloat16": {"precision": "bf16-mixed"}, "compiled": {"compile": True}}
    variants["both"] = variants["bfloat16"] | variants["compiled"]
    found: list[Pace] = []
    for network, (settings, steps) in trainings.items():
        seen = settings["batch_size"] * settings.get("n_dis", 1)
        total, begin = (2, 0) if smoke else (steps, 50)
        for how, more in variants.items():
            found.append(Pace(network, how, {**settings, **more, "steps": total}, seen, begin))
        found.append(Pace(network, "CPU", {**settings, "steps": 2}, seen, 0, on_cpu=True))
    return found


def speed(pace: Pace, run: Run, directory: Path) -> Line:
    """Train, and return images a second and memory."""
    moments: dict[int, float] = {}

    def at(done: int, total: int, note: str = "") -> None:
        moments.setdefault(done, time.perf_counter())

    on_gpu = run.device == "cuda" and not pace.on_cpu
    if on_gpu:
        torch.cuda.reset_peak_memory_stats()
    settings = TrainingSettings.model_validate(pace.settings | {"checkpoint_every": 1_000_000})
    compute = run.compute() if not pace.on_cpu else Compute(device="cpu", threads=cores())
    began = time.perf_counter()
    train_generator(run.images, settings, directory, seed=SEED, compute=compute, progress=at)
    moments[0] = began
    seconds = moments[settings.steps] - moments[pace.begin]
    steps = settings.steps - pace.begin
    held = torch.cuda.max_memory_allocated() / 2**30 if on_gpu else None
    return {"images_a_second": steps * pace.images_a_step / seconds, "step": seconds / steps, "GiB": held}


def print_speeds(run: Run) -> None:
    """Take the speeds, and print a table."""
    print(f"\n{'network':10} {'how':10} {'images/s':>10} {'ratio':>7} {'ms a step':>10} {'GiB':>6}")
    base: dict[str, float] = {}
    for pace in paces(run.smoke):
        found = once(run, f"{pace.network} {pace.how}", lambda place, pace=pace: speed(pace, run, place))
        if "failed" in found:
            print(f"{pace.network:10} {pace.how:10} failed: {found['failed']}")
            continue
        rate = found["images_a_second"]
        base.setdefault(pace.network, rate if pace.how == "float32" else math.nan)
        ratio, held = rate / base[pace.network], found["GiB"]
        print(
            f"{pace.network:10} {pace.how:10} {rate:10,.0f} {ratio:7.3g} {1000 * found['step']:10.1f} "
            f"{'' if held is None else f'{held:6.1f}'}",
            flush=True,
        )
