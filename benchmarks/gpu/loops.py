"""Whether every loop runs, goes on after a break, and exchanges what processes exchange."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ganguard.base.compute import Compute
from ganguard.base.labels import Labels
from ganguard.metrics.features.network import extract, parse_features
from ganguard.targets.checkpoint import CheckpointTarget
from ganguard.training.differential_privacy import PrivateTraining
from ganguard.training.guess import Guess
from ganguard.training.loop import train_generator
from ganguard.training.processes import Processes
from ganguard.training.reporting import Journal
from ganguard.training.settings import TrainingSettings
from ganguard.training.supervised import train_classifier
from gpu.work import SEED, Run, once

MOST_APART = 8  # levels of 255, on average, between two trainings of ten steps; noise is at 100


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
