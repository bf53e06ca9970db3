"""Networks that draw random numbers of their own in training mode: noise, mixed styles, dropout."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Protocol, runtime_checkable

import torch
from torch import nn


@runtime_checkable
class Drawing(Protocol):
    """A network that draws random numbers in training mode.

    Attributes:
        random: the source of the numbers. With None, as the network is built, and in evaluation mode, nothing
            is drawn. Set it after copying the network; an EMA's copy has None.
    """

    random: torch.Generator | None


def source_on(device: torch.device, random: torch.Generator | None) -> torch.Generator | None:
    """Return a source of random numbers on `device` that follows from `random`, or None if that is None."""
    if random is None or random.device.type == device.type:
        return random
    seed = int(torch.randint(2**62, (), generator=random))
    return torch.Generator(device).manual_seed(seed)


@contextmanager
def undrawn(network: nn.Module) -> Generator[None]:
    """Let a network draw nothing for a while, even in training mode."""
    if not isinstance(network, Drawing):
        yield
        return
    random, network.random = network.random, None
    try:
        yield
    finally:
        network.random = random
