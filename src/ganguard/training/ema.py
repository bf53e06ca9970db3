"""Exponential moving average of a generator's weights and buffers (Yazıcı et al. 2019)."""

import copy

import torch
from torch import Tensor, nn


class EMA:
    """A copy of a module whose parameters follow the module's: average <- decay * average + (1 - decay) *
    parameter.

    Buffers (BatchNorm's running statistics) are averaged in the same way; counters are copied.

    Args:
        module: the module to follow; the average begins with its present state.
        decay: in [0, 1), of a step.
        warm_up: whether the decay of step t is min(decay, (1 + t) / (10 + t)), so that random initial weights
            are forgotten at once. Weights that were given are what a training goes on from, and are
            forgotten as slowly as all later ones.
    """

    def __init__(self, module: nn.Module, decay: float, *, warm_up: bool = True) -> None:
        self.module = copy.deepcopy(module).eval().requires_grad_(False)
        self.decay = decay
        self.warm_up = warm_up
        self._source = module
        self._averages, self._sources = _paired(self.module, module)
        self._copies = [
            (a, b) for a, b in zip(self.module.buffers(), module.buffers(), strict=True) if not _averaged(a)
        ]

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Move the average towards the module's state after `step` (from 0)."""
        weight = 1 - (min(self.decay, (1 + step) / (10 + step)) if self.warm_up else self.decay)
        torch._foreach_lerp_(self._averages, self._sources, weight)  # pyright: ignore[reportPrivateUsage, reportPrivateImportUsage]
        for copied, source in self._copies:
            copied.copy_(source)

    @torch.no_grad()
    def restart(self) -> None:
        """Set the average to the module's present state, as pytorch_GAN_zoo does at every new size of a
        growing GAN."""
        self.module.load_state_dict(self._source.state_dict())


def _averaged(tensor: Tensor) -> bool:
    return tensor.is_floating_point()


def _paired(average: nn.Module, source: nn.Module) -> tuple[list[Tensor], list[Tensor]]:
    averages = [*average.parameters(), *filter(_averaged, average.buffers())]
    sources = [*source.parameters(), *filter(_averaged, source.buffers())]
    return averages, [tensor.detach() for tensor in sources]
