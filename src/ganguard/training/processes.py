"""One training by several processes, each with a device of its own, through Lightning Fabric.

Every process draws the random numbers of the whole batch and takes its own rows of them, and gradients are
averaged over processes before an optimiser steps. So weights, moments and averages are the same everywhere,
and the updates are those of one process with the whole batch, but for the order in which floats are added.
The first process alone writes, judges and reports.
"""

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

import torch
from torch import Tensor
from torch.optim import Optimizer

from ganguard.base.errors import SpecError, StepError
from ganguard.base.settings import Positive, Settings, one_line

if TYPE_CHECKING:
    from lightning_fabric import Fabric

T = TypeVar("T")


class Devices(Settings):
    """Where one training runs.

    devices: GPUs of each machine, or processes on it where there is no GPU.
    nodes: machines; more than one are started by torchrun, and share the directory that the training writes
    to.
    """

    devices: Positive = 1
    nodes: Positive = 1

    @property
    def count(self) -> int:
        """Of processes in all."""
        return self.devices * self.nodes

    def is_first(self) -> bool:
        """Whether this process is the first of them, by what torchrun or Fabric told it."""
        return self.count == 1 or all(
            int(os.environ.get(name, "0")) == 0 for name in ("RANK", "NODE_RANK", "LOCAL_RANK")
        )


ONE_DEVICE = Devices()


class AnotherProcess(StepError):
    """Another process of the training failed, and says why itself."""


class Processes:
    """Those of one training, as one of them sees them. index: this one's number, from 0. count: of all."""

    def __init__(self, fabric: "Fabric") -> None:
        self._fabric = fabric
        self.index, self.count = fabric.global_rank, fabric.world_size

    def own(self, batch: Tensor) -> Tensor:
        """This process's rows of what was drawn for the whole batch (N, ...): the index-th N / count of
        them."""
        return batch if self.count == 1 else batch.chunk(self.count)[self.index]

    def mean(self, value: Tensor) -> Tensor:
        """A tensor's mean over processes; the tensor itself stays."""
        if self.count == 1:
            return value
        return self._together(lambda: self._fabric.all_reduce(value.detach().clone()))  # pyright: ignore[reportReturnType]

    def average_gradients(self, optimizer: Optimizer) -> None:
        """Replace the gradients of an optimiser's parameters by their means, in one exchange. Those that have
        none have none anywhere: growth is a function of the step."""
        if self.count == 1:
            return
        parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        means = self.mean(torch.cat([gradient.flatten() for gradient in gradients]))
        for gradient, mean in zip(
            gradients, means.split([gradient.numel() for gradient in gradients]), strict=True
        ):
            gradient.copy_(mean.view(gradient.shape))

    def first(self, work: Callable[[], object]) -> None:
        """The first process does it while the others wait. What it raises is raised there, and AnotherProcess
        elsewhere."""
        if self.count == 1:
            work()
            return
        problem: Exception | None = None
        try:
            if self.index == 0:
                work()
        except Exception as caught:  # noqa: BLE001 - raised below, once the others know
            problem = caught
        failed = self.mean(torch.tensor(float(problem is not None), device=self._fabric.device))
        if problem is not None:
            raise problem
        if failed > 0:
            raise AnotherProcess("the first process of this training failed.")

    def told(self, value: T) -> T:
        """The first process's value."""
        return value if self.count == 1 else self._together(lambda: self._fabric.broadcast(value))

    def require_same(self, value: object, what: str) -> None:
        """Raise SpecError, everywhere, where processes do not have the same value."""
        differs = torch.tensor(float(self.told(value) != value), device=self._fabric.device)
        if self.mean(differs) > 0:
            raise SpecError(
                f"the processes of this training see different {what}. Give them all the same files and "
                "folder."
            )

    def _together(self, exchange: Callable[[], T]) -> T:
        try:
            return exchange()
        except RuntimeError as problem:
            raise AnotherProcess(
                f"the processes of this training lost each other ({one_line(problem, 120)}). Run the same "
                "command again: it goes on from the last saved state."
            ) from None


def launched(device_type: str, precision: str, devices: Devices) -> "Fabric":
    """Fabric on "cpu" or "cuda", once all processes are there: torchrun started them, or Fabric starts this
    command again for each further device. Raises SpecError where they cannot be had."""
    from lightning_fabric import (
        Fabric,
    )  # it takes two seconds to import, which readers of finished steps need not wait for

    if devices.count == 1:
        _require_started(devices)
        return Fabric(accelerator=device_type, devices=1, precision=precision)  # pyright: ignore[reportArgumentType]
    _require_started(devices)
    if device_type == "cuda" and (there := torch.cuda.device_count()) < devices.devices:
        raise SpecError(f"devices: {devices.devices} GPUs are wanted, and {there} found here. Lower devices.")
    fabric = Fabric(
        accelerator=device_type,
        devices=devices.devices,
        num_nodes=devices.nodes,
        strategy="ddp",
        precision=precision,  # pyright: ignore[reportArgumentType]
    )
    fabric.launch()
    return fabric


def _require_started(devices: Devices) -> None:
    """torchrun started as many processes as are wanted, if it started this one."""
    started = int(os.environ.get("WORLD_SIZE", "1")) if "TORCHELASTIC_RUN_ID" in os.environ else None
    if started is not None and started != devices.count:
        raise SpecError(
            f"devices: torchrun started {started} processes, and devices x nodes is {devices.count}. Set "
            "them to what --nproc-per-node and --nnodes say."
        )
    if started is None and devices.nodes > 1:
        raise SpecError(
            f"nodes: {devices.nodes} machines must be started together. Run the command on each with "
            f"torchrun --nnodes {devices.nodes}."
        )
