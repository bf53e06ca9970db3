"""The parts that every training is made of: a network in its place, its velocity, and its optimiser."""

from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.optim import Adam, Optimizer

from ganguard.architectures.networks import Flowing, GeneratorNetwork
from ganguard.training.device import Pass, as_pass
from ganguard.training.settings import CompleteTraining, TrainingSettings

if TYPE_CHECKING:
    from lightning_fabric import Fabric


def place(module: nn.Module, settings: TrainingSettings, fabric: "Fabric") -> None:
    """Move a network that is to be trained to its device, and lay its weights out there."""
    fabric.to_device(module.train())
    if settings.channels_last:
        # 1.2 to 1.3 times faster on CPU.
        module.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]


def velocity_of(G: GeneratorNetwork, settings: TrainingSettings, fabric: "Fabric") -> Pass:
    """Return the velocity of a flow's G, or its compiled form. Raises TypeError if G has none."""
    if not isinstance(G, Flowing):
        raise TypeError(f"{settings.architecture.kind} has neither a D nor a velocity to train")
    return as_pass(G.velocity, fabric.device, compiled=settings.compile)


def adam(parameters: list[nn.Parameter], complete: CompleteTraining, pace: float = 1.0) -> Optimizer:
    """Return the optimiser of parameters, with `pace` times the learning rate of D."""
    return Adam(parameters, lr=pace * complete.learning_rate, betas=complete.betas, fused=True)
