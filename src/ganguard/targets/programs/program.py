"""Generators in formats of programs, ONNX and torch.export, which run on the CPU in batches of their own."""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from ganguard.base.errors import TargetError
from ganguard.targets.module import MOST_LATENTS

# What a program's input says of a side: a number, or that any will do.
Side = int | None


class Program(nn.Module):
    """A program that maps codes to images, as a module that takes z (N, latent_dim) on any device.

    A program with a fixed batch is given its codes in batches of that size, the last one filled up with
    zeros.

    Args:
        run: takes codes (n, …) on the CPU and gives images (n, C, H, W).
        code_shape: the shape of one code.
        batch: the only n that `run` takes; None for any.
    """

    def __init__(self, run: Callable[[Tensor], Tensor], code_shape: tuple[int, ...], batch: Side) -> None:
        super().__init__()
        self._program, self._code_shape, self._batch = run, code_shape, batch

    def forward(self, z: Tensor) -> Tensor:
        """Return images (N, C, H, W) float32 of codes (N, latent_dim)."""
        codes = z.cpu().reshape(len(z), *self._code_shape)
        size = self._batch or len(codes)
        lacking = -len(codes) % size
        filled = torch.cat([codes, codes.new_zeros(lacking, *self._code_shape)])
        images = torch.cat([self._program(part) for part in filled.split(size)])
        return images[: len(codes)].to(z.device)


def code_shape_of(sides: tuple[Side, ...], latent_dim: int | None) -> tuple[int, ...]:
    """Return the shape of one code, from the sides of a program's input (the batch first).

    Raises TargetError if the sides leave open how many entries a code has and `latent_dim` does not say it,
    or if `latent_dim` says something else.
    """
    own = sides[1:]
    if not own:
        raise TargetError("its input must be (N, latent_dim), or (N, …) of any shape; got a single side.")
    unknown = [side for side in own if side is None]
    known = math.prod(side for side in own if side is not None)
    if unknown and (len(unknown) > 1 or latent_dim is None or latent_dim % known):
        raise TargetError(f"its input is {_spelt(sides)}: say how many entries a code has. Set `latent_dim`.")
    shape = tuple(latent_dim // known if side is None and latent_dim else side or 0 for side in own)
    if latent_dim not in (None, math.prod(shape)):
        raise TargetError(
            f"latent_dim is {latent_dim}, and its input {_spelt(sides)} takes {math.prod(shape)} entries. "
            "Leave latent_dim out."
        )
    if not 0 < math.prod(shape) <= MOST_LATENTS:
        raise TargetError(f"its input is {_spelt(sides)}: a code must have 1 to {MOST_LATENTS:,} entries.")
    return shape


def _spelt(sides: tuple[Side, ...]) -> str:
    return f"({', '.join('?' if side is None else str(side) for side in sides)})"
