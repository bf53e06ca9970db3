"""Generators in formats of programs, ONNX and torch.export, which run on the CPU in batches of their own."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ganguard.base.errors import TargetError
from ganguard.base.settings import one_line
from ganguard.targets.conditions import Conditions
from ganguard.targets.foreign.settings import MOST_LATENTS

# What a program's input says of a side: a number, or that any will do.
Side = int | None


class Program(nn.Module):
    """A program that maps codes to images, as a module that takes codes (N, …) on any device.

    A program with a fixed batch is given its codes in batches of that size, the last one filled up with
    zeros.

    Args:
        run: takes codes (n, …) on the CPU, with classes also y (n,) int64, and gives images (n, C, H, W).
        batch: the only n that `run` takes; None for any.
    """

    def __init__(self, run: Callable[..., Tensor], batch: Side) -> None:
        super().__init__()
        self._program, self._batch = run, batch

    def forward(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """Return images (N, C, H, W) float32 of codes (N, …), with classes also of y (N,)."""
        size = self._batch or len(z)
        parts = [_filled(rows.cpu(), size).split(size) for rows in (z, y) if rows is not None]
        images = torch.cat([self._program(*part) for part in zip(*parts, strict=True)])
        return images[: len(z)].to(z.device)


def _filled(rows: Tensor, size: int) -> Tensor:
    """Return rows (N, …), and zeros behind them up to a multiple of a size."""
    return torch.cat([rows, rows.new_zeros(-len(rows) % size, *rows.shape[1:])])


@dataclass(frozen=True)
class Given:
    """An input of a program.

    Attributes:
        name: the program's own.
        floats: whether it takes floats that codes can be.
        whole: whether it takes whole numbers that classes can be.
        kind: its type, as the program says it.
        sides: the batch first.
    """

    name: str
    floats: bool
    whole: bool
    kind: str
    sides: tuple[Side, ...]

    def shaped(self, y: Tensor) -> Tensor:
        """Return classes (N,) in the form that the input takes, (N,) or (N, 1)."""
        return y.view(-1, *(1 for _ in self.sides[1:]))


def inputs_of(given: Sequence[Given], known: Conditions | None) -> tuple[Given, Given | None]:
    """Return the input of a program that takes codes, and the one that takes the numbers of classes.

    known: the classes, if the settings name any.

    Raises TargetError if the program has no such inputs, or others.
    """
    names = one_line(", ".join(one.name for one in given), 120) or "none"
    if len(given) != (2 if known else 1):
        whole = any(one.whole for one in given)
        if known:
            what = "two inputs, codes and y (int64), since `classes` is set"
            advice = "Export it with them, or leave `classes` out."
        else:
            what = "one input, the codes"
            also = " If one of the others takes the class, set `classes`." if whole else ""
            advice = f"Export it with the others fixed.{also}"
        raise TargetError(f"it must have {what}; got {len(given)} ({names}). {advice}")
    codes = next((one for one in given if one.floats), None)
    if codes is None:
        raise TargetError(f"its input must be a tensor of floats; got {one_line(given[0].kind, 60)}.")
    if not known:
        return codes, None
    labels = next(one for one in given if one is not codes)
    if not labels.whole or labels.sides[1:] not in ((), (1,)) or not labels.sides:
        raise TargetError(
            f"its input {one_line(labels.name, 60)} must take the numbers of classes, (N,) int64; it takes "
            f"{one_line(labels.kind, 60)} {_spelt(labels.sides)}. Export it with y of that form."
        )
    if labels.sides[0] != codes.sides[0] and None not in (labels.sides[0], codes.sides[0]):
        raise TargetError(
            f"it takes {codes.sides[0]} codes at once, and {labels.sides[0]} classes. Export it with as many "
            "of both."
        )
    return codes, labels


def code_shape_of(sides: tuple[Side, ...], said: tuple[int, ...] | None) -> tuple[int, ...]:
    """Return the shape of one code, from the sides of a program's input (the batch first).

    Raises TargetError if the sides leave open how many entries a code has and the settings do not say it, or
    if they say something else.

    said: the shape that the settings say, or (latent_dim,), or None.
    """
    own = sides[1:]
    if not own:
        raise TargetError("its input must be (N, latent_dim), or (N, …) of any shape; got a single side.")
    if said and len(said) == len(own) > 1:
        if any(side not in (None, wanted) for side, wanted in zip(own, said, strict=True)):
            raise TargetError(
                f"latent_shape is {list(said)}, and its input {_spelt(sides)}. Leave latent_shape out, or "
                "set what the input takes."
            )
        return said
    unknown = [side for side in own if side is None]
    known = math.prod(side for side in own if side is not None)
    entries = math.prod(said) if said else None
    if unknown and (len(unknown) > 1 or entries is None or entries % known):
        name = "`latent_dim`" if len(unknown) == 1 else "`latent_shape`"
        raise TargetError(f"its input is {_spelt(sides)}: say how many entries a code has. Set {name}.")
    shape = tuple(entries // known if side is None and entries else side or 0 for side in own)
    if entries not in (None, math.prod(shape)):
        raise TargetError(
            f"latent_dim is {entries}, and its input {_spelt(sides)} takes {math.prod(shape)} entries. "
            "Leave latent_dim out."
        )
    if not 0 < math.prod(shape) <= MOST_LATENTS:
        raise TargetError(f"its input is {_spelt(sides)}: a code must have 1 to {MOST_LATENTS:,} entries.")
    return shape


def _spelt(sides: tuple[Side, ...]) -> str:
    return f"({', '.join('?' if side is None else str(side) for side in sides)})"
