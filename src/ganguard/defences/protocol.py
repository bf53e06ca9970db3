"""What a defence is: frozen settings that turn codes into other codes, or images into other images.

An input defence sees one request of codes (N, d) at once, an output defence images (N, C, H, W), each with a
stream of random numbers for every row. Output defences do not depend on how images are grouped; input
defences depend on their own request alone.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self

import torch
from torch import Tensor

from ganguard.base.cache import library_version
from ganguard.base.errors import SpecError
from ganguard.base.images import to_float, to_uint8
from ganguard.base.settings import Settings, one_line
from ganguard.defences import DEFENCES
from ganguard.defences.streams import Streams
from ganguard.defences.version import source_version
from ganguard.targets.prior import PriorSettings

Randomness = Literal["per_code", "per_request"]
NetworkOf = Callable[[Any], Callable[[Tensor], Tensor]]


@dataclass(frozen=True)
class Tools:
    """What a defence may need and cannot make itself.

    Attributes:
        network_of: takes the settings of a feature network (its name, or a mapping), and returns a function
            from float images (N, C, H, W) in [-1, 1] to features (N, D), through which gradients flow.
        version_of: takes the same settings, and returns JSON values that change with the code and libraries
            that the features depend on.
    """

    network_of: NetworkOf | None = None
    version_of: Callable[[Any], Any] | None = None


class Defence(Settings):
    """Base of a defence's settings; `kind` is its name in the table.

    Attributes:
        randomness: "per_code": the same code of the same client, or the same image of a target without codes,
            meets the same random numbers, so that asking again and averaging gains nothing. "per_request":
            every image of every other request meets other ones.
        side: whether it moves codes or changes images.
        places: settings that say where files lie; the fingerprint covers the files' content.
        libraries: packages whose version may change codes or images.
    """

    kind: str
    randomness: Randomness = "per_code"
    side: ClassVar[Literal["input", "output"]]
    places: ClassVar[frozenset[str]] = frozenset()
    libraries: ClassVar[tuple[str, ...]] = ("numpy", "torch")

    def label(self) -> str:
        """Return its name in results and reports: its kind and its strength."""
        raise NotImplementedError

    def fingerprint(self) -> str | None:
        """Return a digest of the files that the settings name, or None if they name none."""
        return None

    def said(self) -> dict[str, Any]:
        """Return all settings that images depend on, as JSON values, whatever directory files lie in."""
        return {**self.model_dump(mode="json", exclude=set(self.places)), "fingerprint": self.fingerprint()}

    def version(self, tools: Tools) -> dict[str, Any]:
        """Return what else images depend on, as JSON values: source code, and versions of libraries."""
        return {
            "code": source_version(type(self)),
            "libraries": {name: library_version(name) for name in self.libraries},
        }

    def scaled(self, factor: float) -> Self:
        """Return the same defence at `factor` times the strength, as far as the scale goes.

        It is the guess of an adversary that is wrong about the strength.
        """
        raise NotImplementedError


class InputDefence(Defence):
    """A defence that moves codes."""

    side = "input"

    def require(self, latent_dim: int) -> None:
        """Raise SpecError if codes of that length cannot be defended."""

    def require_prior(self, prior: PriorSettings) -> None:
        """Raise SpecError if codes of that distribution cannot be defended."""

    def move(self, latents: Tensor, streams: Streams) -> Tensor:
        """Return the codes (N, d) that images are made from, given the codes (N, d) of one request."""
        raise NotImplementedError

    def guess(self, latents: Tensor, streams: Streams, place: int) -> Tensor:
        """Return codes (N, d) of an adversary's own G, moved by what the adversary knows of this defence.

        It may not know all of `move`.

        Args:
            latents: (N, d).
            streams: streams that the adversary drew.
            place: the place in a chain at which the adversary believes that this defence stands.
        """
        return self.move(latents, streams)


class OutputDefence(Defence):
    """A defence that changes images."""

    side = "output"

    def require(self, image_shape: tuple[int, int, int], tools: Tools) -> None:
        """Raise InputError if images (C, H, W) cannot be defended, or a tool is absent."""

    def change(self, images: Tensor, streams: Streams, tools: Tools) -> Tensor:
        """Return changed images, of the same shape and type as images (N, C, H, W) uint8."""
        raise NotImplementedError

    def surrogate(self, images: Tensor) -> Tensor:
        """Approximate `change` for float images in [-1, 1] by a function through which gradients flow.

        It replaces the derivative of `change` (BPDA, Athalye et al. 2018), and is the identity unless a
        defence has a better one.
        """
        return images


def parse_defence(value: object) -> Defence:
    """Return the settings of a defence, from its name or a mapping with `kind`. Raises SpecError."""
    return value if isinstance(value, Defence) else DEFENCES.parse(value)


def parse_chain(value: object) -> tuple[Defence, ...]:
    """Return the chain that one entry of a spec's `defences` describes.

    The entry is a defence, a list of them, one after the other, or "none". Raises SpecError, also if a
    defence of codes comes after one of images.
    """
    if value in ("none", None):
        return ()
    try:
        entries = value if isinstance(value, list | tuple) else [value]
        chain = tuple(parse_defence(entry) for entry in entries)
    except SpecError as problem:
        raise SpecError(f"defences: {one_line(problem)}") from None
    sides = [defence.side for defence in chain]
    if sides != sorted(sides):
        raise SpecError(
            "defences: in a chain, defences that move codes must come before those that change images. "
            "Change their order."
        )
    return chain


def chain_label(chain: tuple[Defence, ...]) -> str:
    """Return the name of a chain: its members' labels, or "none".

    Members that draw afresh for each request are marked.
    """

    def label(defence: Defence) -> str:
        return defence.label() + (", afresh each request" if defence.randomness == "per_request" else "")

    return " + ".join(map(label, chain)) or "none"


def through(defence: OutputDefence, images: Tensor, streams: Streams, tools: Tools) -> Tensor:
    """Return float images (N, C, H, W) in [-1, 1] after an output defence, with its surrogate's gradient.

    Raises SpecError if the defence or its surrogate does not keep their shape.
    """
    with torch.no_grad():
        defended = to_float(defence.change(to_uint8(images).cpu(), streams, tools)).to(images.device)
    stand_in = defence.surrogate(images)
    for found, what in ((defended, "images"), (stand_in, "images in its surrogate")):
        if found.shape != images.shape:
            raise SpecError(
                f"{defence.label()} must keep {what} {tuple(images.shape)}; it gave {tuple(found.shape)}."
            )
    return stand_in + (defended - stand_in).detach()
