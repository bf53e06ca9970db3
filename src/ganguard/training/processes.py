"""One training by several processes, each with a device of its own, through Lightning Fabric.

Every process draws the random numbers of the whole batch and takes its own rows of them. Gradients are
averaged over processes before an optimiser steps. So weights, moments and averages are equal everywhere, and
the updates are those of one process with the whole batch, except for the order in which floats are added.
Only the first process writes, judges and reports.
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

    Attributes:
        devices: GPUs of each machine, or processes on it if there is no GPU.
        nodes: machines. Several are started by torchrun, and share the directory that the training writes to.
    """

    devices: Positive = 1
    nodes: Positive = 1

    @property
    def count(self) -> int:
        """The number of processes in all."""
        return self.devices * self.nodes

    def is_first(self) -> bool:
        """Return whether this process is the first one, according to torchrun or Fabric."""
        return self.count == 1 or all(
            int(os.environ.get(name, "0")) == 0 for name in ("RANK", "NODE_RANK", "LOCAL_RANK")
        )


ONE_DEVICE = Devices()


class AnotherProcess(StepError):
    """Another process of the training failed, and reports the reason itself."""


class Processes:
    """The processes of one training, as one of them sees them.

    Attributes:
        index: this process's number, from 0.
        count: number of all processes.
    """

    def __init__(self, fabric: "Fabric") -> None:
        self._fabric = fabric
        self.index, self.count = fabric.global_rank, fabric.world_size

    def own(self, batch: Tensor) -> Tensor:
        """Return this process's rows of numbers that were drawn for the whole batch (N, ...): the index-th N
        / count of them."""
        return batch if self.count == 1 else batch.chunk(self.count)[self.index]

    def mean(self, value: Tensor) -> Tensor:
        """Return a tensor's mean over processes. The tensor itself is not changed."""
        if self.count == 1:
            return value
        return self._together(lambda: self._fabric.all_reduce(value.detach().clone()))  # pyright: ignore[reportReturnType]

    def average_gradients(self, optimizer: Optimizer) -> None:
        """Replace the gradients of an optimiser's parameters by their means, in one exchange.

        A parameter without a gradient has none in any process, because growth is a function of the step.
        """
        if self.count == 1:
            return
        parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        means = self.mean(torch.cat([gradient.flatten() for gradient in gradients]))
        parts = means.split([gradient.numel() for gradient in gradients])
        for gradient, mean in zip(gradients, parts, strict=True):
            gradient.copy_(mean.view(gradient.shape))

    def first(self, work: Callable[[], object]) -> None:
        """Do the work in the first process while the others wait. An error is raised there, and
        AnotherProcess elsewhere."""
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
        """Return the first process's value."""
        return value if self.count == 1 else self._together(lambda: self._fabric.broadcast(value))

    def require_same(self, value: object, what: str) -> None:
        """Raise SpecError, in every process, if the processes do not have the same value."""
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
    """Return Fabric on "cpu" or "cuda", once all processes run.

    Either torchrun started them, or Fabric starts this command again for each further device. Raises
    SpecError if the processes or devices are not available.
    """
    # Importing Fabric takes two seconds, which a command that only reads finished steps need not wait for.
    from lightning_fabric import Fabric

    _require_started(devices)
    if devices.count == 1:
        return Fabric(accelerator=device_type, devices=1, precision=precision)  # pyright: ignore[reportArgumentType]
    if device_type == "cuda" and (there := torch.cuda.device_count()) < devices.devices:
        raise SpecError(
            f"devices: {devices.devices} GPUs were asked for, and {there} found here. Lower devices."
        )
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
    """Raise SpecError unless torchrun, if it started this process, started as many as the settings say."""
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
