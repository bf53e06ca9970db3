"""Did the weights of a user's network arrive? Some ways to load them fail without an error."""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from ganguard.base.settings import one_line

HALF = 0.5  # a load that left more than this share of a network's tensors is said


@dataclass
class Loads:
    """What `load_state_dict(strict=False)` left out, by network: the last call on each counts.

    Attributes:
        left: id of a network -> the network, the names that the file lacked, and those that it had instead.
    """

    left: dict[int, tuple[nn.Module, list[str], list[str]]] = field(default_factory=dict[int, Any])

    def notes(self, network: nn.Module) -> list[str]:
        """Return remarks on a network most of whose tensors a load left as they were.

        The load may have been of the whole network, of a part of it, or of a whole that it is a part of.
        """
        parts = set(map(id, network.modules()))
        return [
            said
            for loaded, missing, unexpected in self.left.values()
            if any(id(part) in parts for part in loaded.modules())
            and (said := _of_load(loaded, missing, unexpected))
        ]


@contextmanager
def watch_loads() -> Generator[Loads]:
    """Note what calls of `load_state_dict` in the body leave out."""
    loads, original = Loads(), nn.Module.load_state_dict

    def load_state_dict(self: nn.Module, *args: Any, **kwargs: Any) -> Any:
        said = original(self, *args, **kwargs)
        loads.left[id(self)] = (self, list(said.missing_keys), list(said.unexpected_keys))
        return said

    nn.Module.load_state_dict = load_state_dict
    try:
        yield loads
    finally:
        nn.Module.load_state_dict = original


def _of_load(network: nn.Module, missing: list[str], unexpected: list[str]) -> str:
    wanted = network.state_dict().keys()
    if len(missing) <= HALF * len(wanted):
        return ""
    found = f"; the file has names such as {unexpected[0]!r}" if unexpected else ""
    fitted = "none" if len(missing) >= len(wanted) else f"{len(wanted) - len(missing)}"
    return one_line(
        f"load_state_dict(strict=False) fitted {fitted} of the {len(wanted)} tensors of its "
        f"{type(network).__name__}, which wants names such as {missing[0]!r}{found}",
        300,
    )


def of_statistics(network: nn.Module) -> list[str]:
    """Return a remark if layers such as BatchNorm still have the running statistics of a new layer."""
    found = [(name, type(part).__name__) for name, part in network.named_modules() if _never_filled(part)]
    if not found:
        return []
    name, kind = found[0]
    several = f" and {len(found) - 1} more layers" if len(found) > 1 else ""
    return [
        one_line(
            f"the {kind} {name!r}{several} never saw a batch, and has the mean 0 and the variance 1 "
            "of a new layer: load its statistics (buffers) with its weights, or train them",
            300,
        )
    ]


def _never_filled(part: nn.Module) -> bool:
    mean, variance = getattr(part, "running_mean", None), getattr(part, "running_var", None)
    if not (isinstance(mean, torch.Tensor) and isinstance(variance, torch.Tensor)):
        return False
    return not bool(mean.any()) and bool((variance == 1).all())
