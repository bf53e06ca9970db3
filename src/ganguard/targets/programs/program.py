"""Generators in formats of programs, ONNX and torch.export, which run on the CPU in batches of their own."""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from ganguard.base.errors import TargetError
from ganguard.targets.foreign.settings import MOST_LATENTS

# What a program's input says of a side: a number, or that any will do.
Side = int | None


class Program(nn.Module):
    """A program that maps codes to images, as a module that takes codes (N, …) on any device.

    A program with a fixed batch is given its codes in batches of that size, the last one filled up with
    zeros.

    Args:
        run: takes codes (n, …) on the CPU and gives images (n, C, H, W).
        batch: the only n that `run` takes; None for any.
    """

    def __init__(self, run: Callable[[Tensor], Tensor], batch: Side) -> None:
        super().__init__()
        self._program, self._batch = run, batch

    def forward(self, z: Tensor) -> Tensor:
        """Return images (N, C, H, W) float32 of codes (N, …)."""
        codes = z.cpu()
        size = self._batch or len(codes)
        lacking = -len(codes) % size
        filled = torch.cat([codes, codes.new_zeros(lacking, *codes.shape[1:])])
        images = torch.cat([self._program(part) for part in filled.split(size)])
        return images[: len(codes)].to(z.device)


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
