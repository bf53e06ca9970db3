"""Trainings that two processes do together, run as `python of_several.py DIRECTORY` in each of them: what
test_processes.py compares with trainings of one process. Each prints a line of JSON."""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ganguard.architectures.networks import classes_of
from ganguard.base.cache import tensor_digest
from ganguard.base.compute import Compute
from ganguard.base.errors import GanguardError
from ganguard.base.labels import Labels
from ganguard.base.seeds import normal
from ganguard.training.early_stopping import Watch
from ganguard.training.flow import FlowTraining
from ganguard.training.loop import train_generator
from ganguard.training.pairs import CodedImages
from ganguard.training.processes import Devices
from ganguard.training.settings import TrainingSettings
from ganguard.training.update import GANTraining

TWO = Devices(devices=2)
IMAGES = torch.from_numpy(np.random.default_rng(1).integers(0, 256, (20, 1, 16, 16), dtype=np.uint8))
KILLED_AT = 5
TRAININGS: dict[str, dict[str, Any]] = {
    "grown": {"architecture": "pggan", "augment": "diffaugment"},
    "whole": {"architecture": "pggan", "grow": False, "penalty": "r1"},
    "normal": {"architecture": {"kind": "stylegan2"}, "path_length_every": 2, "penalty_every": 3},
    "classes": {"architecture": {"kind": "stylegan2", "classes": 3}, "path_length_every": 2},
    "flow": {"architecture": {"kind": "flow", "classes": 3, "width": 16}},
    "pairs": {"architecture": "pggan", "grow": False},
}
OPTIONS: dict[str, dict[str, Any]] = {
    "pairs": {"pairs": CodedImages(normal(3, "codes", range(20), 4), 9.0, "l1")}
}
LABELS = Labels(torch.arange(20) % 3, ("a", "b", "c"))


def settings(name: str, **values: object) -> TrainingSettings:
    said = {"batch_size": 8, "steps": 6, "checkpoint_every": 4, **TRAININGS.get(name, {}), **values}
    kind = said["architecture"]
    architecture = {"width": 4, **(kind if isinstance(kind, dict) else {"kind": kind})}
    if architecture["kind"] != "flow":
        architecture["latent_dim"] = 4
    return TrainingSettings.model_validate({**said, "architecture": architecture})


def brightness(images: Tensor) -> float:
    return float(images.double().mean())


def train(directory: Path, how: TrainingSettings, **options: Any) -> Path:
    labels = LABELS if classes_of(how.architecture) else None
    return train_generator(IMAGES, how, directory, seed=2, compute=Compute(), **{"labels": labels, **options})


class Killed(Exception):
    """Raised in place of a kill of both processes."""


def _killed(directory: Path, how: TrainingSettings) -> None:
    step = GANTraining.step

    def until(training: GANTraining, number: int) -> Tensor:
        if number == KILLED_AT:
            raise Killed
        return step(training, number)

    GANTraining.step = until
    try:
        train(directory, how, devices=TWO)
    except Killed:
        pass
    finally:
        GANTraining.step = step


def _weights_of(act: Callable[[], object]) -> str:
    """The digest of G, D and the average of G as this process has them when a training ends."""
    seen: list[Any] = []
    steps: dict[Any, Callable[[Any, int], Tensor]] = {kind: kind.step for kind in (GANTraining, FlowTraining)}
    for kind, step in steps.items():
        kind.step = lambda training, number, step=step: seen.append(training) or step(training, number)
    try:
        act()
    finally:
        for kind, step in steps.items():
            kind.step = step
    modules = seen[-1].modules()
    return tensor_digest(
        {f"{name}/{key}": value for name, m in modules.items() for key, value in m.state_dict().items()}
    )


def _refusal(act: Callable[[], object]) -> str:
    try:
        act()
    except GanguardError as problem:
        return f"{type(problem).__name__}: {problem}"
    return "none"


def main(directory: Path) -> None:
    said: dict[str, Any] = {"weights": {}, "progress": []}
    for name in TRAININGS:
        said["weights"][name] = _weights_of(
            lambda name=name: train(directory / name, settings(name), devices=TWO, **OPTIONS.get(name, {}))
        )
    _killed(directory / "cut", settings("grown"))
    train(
        directory / "cut",
        settings("grown"),
        devices=TWO,
        progress=lambda done, total, note="": said["progress"].append(done),
    )
    looks: list[int] = []
    watch = Watch(lambda images: looks.append(len(images)) or brightness(images), every=3, count=5)
    train(directory / "watched", settings("grown"), devices=TWO, watch=watch)
    said["looks"] = looks

    def fails(images: Tensor) -> float:
        raise GanguardError("the judge is ill")

    said["a judge that fails"] = _refusal(
        lambda: train(directory / "ill", settings("grown"), devices=TWO, watch=Watch(fails, every=3, count=5))
    )
    own = Labels(torch.arange(20) % (2 + int(os.environ["LOCAL_RANK"])), LABELS.names)
    said["other labels"] = _refusal(
        lambda: train(directory / "x", settings("classes"), devices=TWO, labels=own)
    )
    said["BatchNorm"] = _refusal(
        lambda: train(directory / "x", settings("", architecture="sngan"), devices=TWO)
    )
    said["groups"] = _refusal(lambda: train(directory / "x", settings("grown", batch_size=12), devices=TWO))
    said["odd"] = _refusal(lambda: train(directory / "x", settings("grown", batch_size=9), devices=TWO))
    sys.stdout.write(json.dumps(said) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
