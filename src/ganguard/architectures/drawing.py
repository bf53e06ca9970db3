"""Networks that draw random numbers of their own in training mode: noise, mixed styles, dropout."""

from typing import Protocol, runtime_checkable

import torch


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
