"""What a GPU brings, and whether every loop runs on one: SNGAN-32 and the flow at published widths.

    python benchmarks/on_gpu.py --out OUT [--cifar PATH] [--smoke]

`benchmarks/on_gpu.sh` runs it within eight minutes. Each line of work writes a file of its own into OUT, so a
run that was killed goes on with the next one. Without PATH (a folder or an archive of CIFAR-10's binary
batches), images of noise in its form are trained on; their speed is the same.

It prints how many real images a training sees a second in float32, in bfloat16, and compiled, with the ratios
to float32, and the same on this machine's processors; the most memory that torch held; and for each loop
whether it ran, resumed, and gave finite losses. `--smoke` does all that with tiny networks on the CPU, and
proves only that this script runs.
"""

import argparse
import json
import math
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ganguard.base.cache import write_json
from ganguard.base.compute import Compute, cores
from ganguard.base.labels import Labels
from ganguard.data.cifar import Cifar
from ganguard.data.dataset import load_dataset
from ganguard.metrics.features.network import extract, parse_features
from ganguard.targets.checkpoint import CheckpointTarget
from ganguard.training.differential_privacy import PrivateTraining
from ganguard.training.guess import Guess
from ganguard.training.loop import train_generator
from ganguard.training.processes import Processes
from ganguard.training.reporting import Journal
from ganguard.training.settings import TrainingSettings
from ganguard.training.supervised import train_classifier

SEED = 0
MOST_APART = 8  # levels of 255, on average, between two trainings of ten steps; noise is at 100
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

    def note(done: int, total: int, said: str = "") -> None:
        moments.setdefault(done, time.perf_counter())

    on_gpu = run.device == "cuda" and not pace.on_cpu
    if on_gpu:
        torch.cuda.reset_peak_memory_stats()
    settings = TrainingSettings.model_validate(pace.settings | {"checkpoint_every": 1_000_000})
    compute = run.compute() if not pace.on_cpu else Compute(device="cpu", threads=cores())
    began = time.perf_counter()
    train_generator(run.images, settings, directory, seed=SEED, compute=compute, progress=note)
    moments[0] = began
    seconds = moments[settings.steps] - moments[pace.begin]
    steps = settings.steps - pace.begin
    held = torch.cuda.max_memory_allocated() / 2**30 if on_gpu else None
    return {"images_a_second": steps * pace.images_a_step / seconds, "step": seconds / steps, "GiB": held}


@dataclass(frozen=True)
class Check:
    """One loop that must run.

    Attributes:
        name: as printed.
        work: does it, and returns what is printed beside its name.
    """

    name: str
    work: Callable[[Run, Path], str]


SMALL: dict[str, dict[str, Any]] = {
    "dcgan": {"architecture": {"kind": "dcgan", "width": 8}},
    "acgan, classes": {"architecture": {"kind": "acgan", "width": 8, "classes": 3}},
    "sngan, classes, DiffAugment": {
        "architecture": {"kind": "sngan", "width": 8, "classes": 3},
        "augment": "diffaugment",
    },
    "biggan, classes": {"architecture": {"kind": "biggan", "width": 8, "classes": 3}},
    "pggan, growing, gradient penalty": {"architecture": {"kind": "pggan", "width": 8}},
    "stylegan2, R1 and path length": {
        "architecture": {"kind": "stylegan2", "width": 8},
        "penalty_every": 2,
        "path_length_every": 2,
    },
    "flow": {"architecture": {"kind": "flow", "width": 8}},
    "flow, classes": {"architecture": {"kind": "flow", "width": 8, "classes": 3}},
}


def checks() -> list[Check]:
    """Return every loop that must run."""
    found = [Check(name, _trained(settings)) for name, settings in SMALL.items()]
    private = {
        "architecture": {"kind": "dcgan", "width": 8, "discriminator_norm": "group"},
        "differential_privacy": {"epsilon": 50, "delta": 1e-3},
    }
    return [
        *found,
        Check("through a defence", _trained(SMALL["dcgan"], guess=Guess("brighter", images=_brighter))),
        Check("differential privacy", _trained(private, kind=PrivateTraining)),
        Check("classifier and features", _classified),
        Check("DDP of one process", _together),
    ]


def _brighter(images: Tensor, generator: torch.Generator) -> Tensor:
    return images * 0.9 + 0.1


def _trained(
    settings: dict[str, Any], guess: Guess | None = None, kind: type[TrainingSettings] = TrainingSettings
) -> Callable[[Run, Path], str]:
    """Return work: train ten steps at once, and with a break after five; draw images of both."""

    def work(run: Run, directory: Path) -> str:
        images = run.images[:64, :, ::2, ::2].contiguous()
        known = "classes" in settings["architecture"]
        how = kind.model_validate({"batch_size": 8, **settings, "steps": 10, "checkpoint_every": 5})

        def train(place: Path, journal: Journal | None) -> Path:
            return train_generator(
                images,
                how,
                place,
                seed=SEED,
                compute=run.compute(),
                guess=guess,
                journal=journal,
                labels=Labels(torch.arange(64) % 3, ("a", "b", "c")) if known else None,
            )

        with suppress(Break):
            train(directory / "broken", Stops(5))
        made = [train(directory / "whole", None), train(directory / "broken", None)]
        targets = [CheckpointTarget(checkpoint=str(place)).load(run.compute()) for place in made]
        one, other = (target.sample(range(64), seed=1).float() for target in targets)
        differ = (one - other).abs().mean().item()
        if not differ <= MOST_APART:
            raise ArithmeticError(f"images after a break differ by {differ:.1f} levels")
        return f"goes on after a break, within {differ:.2g} of 255 levels"

    return work


class Break(Exception):
    """Stands for a kill."""


@dataclass(frozen=True)
class Stops:
    """A journal that breaks a training off once the state of a step is saved."""

    step: int

    def begins(self, step: int) -> None:
        """Note nothing."""

    def losses(self, step: int, losses: Mapping[str, float], *, images_per_second: float) -> None:
        """Note nothing."""

    def judged(self, step: int, score: float) -> None:
        """Note nothing."""

    def samples(self, step: int, images: Tensor) -> None:
        """Break off."""
        if step == self.step:
            raise Break


def _classified(run: Run, directory: Path) -> str:
    images, labels = run.images[:256], torch.arange(256) % 3
    network = nn.Sequential(
        nn.Conv2d(3, 8, 3, 2), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 3)
    )
    train_classifier(network, images, labels, steps=5, seed=SEED, compute=run.compute())
    features = parse_features("random_network").load(directory, 3)
    there, here = (extract(features, images, Compute(device=kind)) for kind in (run.device, "cpu"))  # pyright: ignore[reportArgumentType]
    return f"features within {(there - here).abs().max() / here.std():.2g} of the CPU's deviation"


def _together(run: Run, directory: Path) -> str:
    """Exchange what processes exchange, over NCCL or gloo, in a group of one."""
    from lightning_fabric import Fabric

    fabric = Fabric(accelerator=run.device, devices=1, strategy="ddp")
    fabric.launch()
    processes = Processes(fabric)
    processes.count = 2  # so that every exchange takes place; the group has one member
    weight = nn.Parameter(torch.ones(5, device=fabric.device))
    optimizer = torch.optim.Adam([weight])
    (weight * torch.arange(5, device=fabric.device)).sum().backward()
    processes.average_gradients(optimizer)
    if weight.grad is None or weight.grad.tolist() != [0, 1, 2, 3, 4] or processes.told("x") != "x":
        raise ArithmeticError("an exchange changed what it should not")
    processes.first(lambda: None)
    torch.distributed.destroy_process_group()
    return "gradients, words and errors exchanged"


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


def print_checks(run: Run) -> int:
    """Run every loop, print what came of it, and return how many failed."""
    failed = 0
    print()
    for check in checks():
        found = once(run, check.name, lambda place, check=check: {"said": check.work(run, place)})
        failed += "failed" in found
        print(
            f"{'✗' if 'failed' in found else '✓'} {check.name}: {found.get('failed') or found['said']}",
            flush=True,
        )
    return failed


def images_of(path: str | None) -> Tensor:
    """Return the images to train on, (N, 3, 32, 32) uint8: CIFAR-10's, or noise."""
    if path is not None:
        return load_dataset(Cifar(path=path)).images
    noise = np.random.default_rng(0).integers(0, 256, (2048, 3, 32, 32), dtype=np.uint8)
    return torch.from_numpy(noise)


def main() -> int:
    """Do all of it. Return 1 if a loop failed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--cifar")
    parser.add_argument("--smoke", action="store_true")
    given = parser.parse_args()
    if not given.smoke and not torch.cuda.is_available():
        parser.error("no GPU is here. --smoke runs tiny networks on the CPU")
    device = "cpu" if given.smoke else "cuda"
    given.out.mkdir(parents=True, exist_ok=True)
    run = Run(given.out, images_of(given.cifar), device, given.smoke)
    where = torch.cuda.get_device_name() if device == "cuda" else "CPU, smoke: no figure here means anything"
    print(f"torch {torch.__version__}, {where}, {'CIFAR-10' if given.cifar else 'noise'}")
    print_speeds(run)
    return 1 if print_checks(run) else 0


if __name__ == "__main__":
    raise SystemExit(main())
