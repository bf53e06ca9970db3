"""Provenance: what the bytes of an order's images depend on, beside the order itself."""

import hashlib
from dataclasses import astuple, dataclass
from importlib.metadata import version
from itertools import zip_longest

import torch

from ganguard import __version__
from ganguard.base.cache import code_version
from ganguard.base.compute import Compute

_ROOMS = ("architectures", "base", "defences", "metrics.features", "targets")
_OTHERS = ("numpy", "pillow", "scipy", "torch")
_BETWEEN = "; "


@dataclass(frozen=True)
class Provenance:
    """What images depend on, each part in words; equal words promise equal bytes.

    Attributes:
        machine: kind of device, and threads.
        software: versions, and a digest of our own code, since not every change of it has a version.
        target: digest of the target's identity.
        defences: digest of the defences' settings.
        served: digest of the identity of both together, which the defences' code and secret decide too.
        class_: the account's class. Images do not depend on it, but on its defences.
    """

    machine: str
    software: str
    target: str
    defences: str
    served: str
    class_: str

    def words(self) -> str:
        """Return all parts in one line, as the ledger records them."""
        return _BETWEEN.join(
            f"{label}{part.replace(';', ',')}" for label, part in zip(_LABELS, astuple(self), strict=True)
        )

    def changes(self, recorded: str) -> list[str]:
        """Return what differs from the recorded words of another provenance, as an answer names it.

        The list is empty if the bytes are the same.
        """
        parts = zip_longest(_NAMES, recorded.split(_BETWEEN), self.words().split(_BETWEEN), fillvalue="")
        changed = [name for name, was, now in parts if was != now]
        if changed == [_CLASS]:
            return []  # the other class has the same defences
        told = _TARGET in changed or _DEFENCES in changed  # either changes the identity of both, too
        return [name for name in changed if name != _SERVED or not told]


_LABELS = ("", "", "target ", "defences ", "served ", "class ")
_TARGET, _DEFENCES, _SERVED = "the target", "the defences", "the defences' code or secret"
_CLASS = "the account's class"
_NAMES = ("the machine", "the software versions", _TARGET, _DEFENCES, _SERVED, _CLASS)


def digest(text: str) -> str:
    """Return a short digest of a text, for a part of a provenance."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def machine_and_software(compute: Compute) -> tuple[str, str]:
    """Describe the machine and the software, each in one line."""
    device = compute.torch_device()
    kind = (
        torch.cuda.get_device_name(device)
        if device.type == "cuda"
        else torch.backends.cpu.get_cpu_capability()
    )
    versions = [f"{name} {version(name)}" for name in _OTHERS]
    code = code_version(*(f"ganguard.{room}" for room in _ROOMS))[:16]
    return f"{device.type} {kind}, threads {compute.threads}", ", ".join(
        [*versions, f"ganguard {__version__} code {code}"]
    )
