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

Randomness = Literal["per_code", "per_request"]
NetworkOf = Callable[[Any], Callable[[Tensor], Tensor]]


@dataclass(frozen=True)
class Tools:
    """What a defence may need that it cannot make.

    network_of: from the settings of a feature network (its name, or a mapping) to a function of float images
        (N, C, H, W) in [-1, 1] that gives features (N, D), through which gradients flow.
    version_of: from the same settings to JSON values that change with the code and the libraries that the
    features follow from.
    """

    network_of: NetworkOf | None = None
    version_of: Callable[[Any], Any] | None = None


class Defence(Settings):
    """Base of a defence's settings; `kind` is its name in the table.

    randomness: "per_code": the same code of the same client, or the same image of a target without codes,
        meets the same random numbers, so that asking again and averaging gains nothing. "per_request": others
        for every image of every other request.
    libraries: packages whose version may change codes or images.
    """

    kind: str
    randomness: Randomness = "per_code"
    side: ClassVar[Literal["input", "output"]]
    places: ClassVar[frozenset[str]] = frozenset()
    """Settings that say where files lie. What the files hold is in the fingerprint."""
    libraries: ClassVar[tuple[str, ...]] = ("numpy", "torch")

    def label(self) -> str:
        """What it is called in results and reports: its kind and its strength."""
        raise NotImplementedError

    def fingerprint(self) -> str | None:
        """Digest of the files that the settings name, which may change behind their name; None where they
        name none."""
        return None

    def said(self) -> dict[str, Any]:
        """All of its settings that images depend on, as JSON values: the same wherever files lie."""
        return {**self.model_dump(mode="json", exclude=set(self.places)), "fingerprint": self.fingerprint()}

    def version(self, tools: Tools) -> dict[str, Any]:
        """What else images depend on, as JSON values: its source code, and the versions of its libraries."""
        return {
            "code": source_version(type(self)),
            "libraries": {name: library_version(name) for name in self.libraries},
        }

    def scaled(self, factor: float) -> Self:
        """The same defence at `factor` times the strength, as far as strength goes: what an adversary guesses
        who is wrong."""
        raise NotImplementedError


class InputDefence(Defence):
    """Moves codes."""

    side = "input"

    def require(self, latent_dim: int) -> None:
        """Raise SpecError where codes of that length cannot be defended."""

    def move(self, latents: Tensor, streams: Streams) -> Tensor:
        """The codes (N, d) of one request to those that images are made of, (N, d)."""
        raise NotImplementedError

    def guess(self, latents: Tensor, streams: Streams, place: int) -> Tensor:
        """The same to the codes of an adversary's own G, who believes that this defence stands at a place of
        a chain; not all of `move` may be known to it."""
        return self.move(latents, streams)


class OutputDefence(Defence):
    """Changes images."""

    side = "output"

    def require(self, image_shape: tuple[int, int, int], tools: Tools) -> None:
        """Raise InputError where images (C, H, W) cannot be defended, or a tool is absent."""

    def change(self, images: Tensor, streams: Streams, tools: Tools) -> Tensor:
        """Images (N, C, H, W) uint8 to images of the same shape."""
        raise NotImplementedError

    def surrogate(self, images: Tensor) -> Tensor:
        """About what `change` does, to float images in [-1, 1], so that gradients flow: what takes the place
        of its derivative. The identity, unless a defence knows better (Athalye et al. 2018, BPDA)."""
        return images


def parse_defence(value: object) -> Defence:
    """A name, or a mapping with `kind`, to the settings of that defence. Raises SpecError."""
    return value if isinstance(value, Defence) else DEFENCES.parse(value)


def parse_chain(value: object) -> tuple[Defence, ...]:
    """What a spec says of one entry of `defences`: a defence, a list of them (one after the other), or
    "none".

    Raises SpecError, also where a defence of codes comes after one of images: codes come first.
    """
    if value in ("none", None):
        return ()
    try:
        chain = tuple(parse_defence(item) for item in (value if isinstance(value, list | tuple) else [value]))
    except SpecError as problem:
        raise SpecError(f"defences: {one_line(problem)}") from None
    sides = [defence.side for defence in chain]
    if sides != sorted(sides):
        raise SpecError("defences: in a chain, those that move codes come before those that change images.")
    return chain


def chain_label(chain: tuple[Defence, ...]) -> str:
    """What a chain is called: its members' labels, and which of them draw afresh for each request; or
    "none"."""

    def label(defence: Defence) -> str:
        return defence.label() + (", afresh each request" if defence.randomness == "per_request" else "")

    return " + ".join(map(label, chain)) or "none"


def through(defence: OutputDefence, images: Tensor, streams: Streams, tools: Tools) -> Tensor:
    """Float images (N, C, H, W) in [-1, 1] through an output defence: forward as it is, backward as its
    surrogate. Raises SpecError where one of the two does not keep their shape."""
    with torch.no_grad():
        defended = to_float(defence.change(to_uint8(images).cpu(), streams, tools)).to(images.device)
    stand_in = defence.surrogate(images)
    for found, what in ((defended, "images"), (stand_in, "images in its surrogate")):
        if found.shape != images.shape:
            raise SpecError(
                f"{defence.label()} must keep {what} {tuple(images.shape)}; it gave {tuple(found.shape)}."
            )
    return stand_in + (defended - stand_in).detach()
