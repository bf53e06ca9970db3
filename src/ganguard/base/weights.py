"""The tensors of a network that others built: its state may also hold what is no tensor."""

from collections.abc import Mapping
from typing import Any, cast

import torch
from torch import Tensor, nn

_BITS = {
    1: torch.uint8,
    2: torch.int16,
}  # bytes of a float that NumPy does not know -> an integer of its size


def weights_of(module: nn.Module) -> dict[str, Tensor]:
    """Return the tensors of a module's state, by name, each in a type that NumPy has.

    Tensors are also found within extra state and packed parameters. Floats of 8 bits and bfloat16 are
    returned as their bits, quantised tensors as whole numbers beside their scales, sparse ones as dense ones.
    """
    return {name: part for key, value in module.state_dict().items() for name, part in _tensors(key, value)}


def _tensors(name: str, value: object) -> list[tuple[str, Tensor]]:
    if isinstance(value, Tensor):
        return _plain(name, value.detach())
    if isinstance(value, Mapping):
        parts = [(str(key), part) for key, part in cast(Mapping[Any, Any], value).items()]
    elif isinstance(value, list | tuple):
        parts = [(str(index), part) for index, part in enumerate(cast(list[Any], value))]
    else:
        return []
    return [found for key, part in parts for found in _tensors(f"{name}/{key}", part)]


def _plain(name: str, value: Tensor) -> list[tuple[str, Tensor]]:
    if value.is_quantized:
        steps = (
            [value.q_per_channel_scales(), value.q_per_channel_zero_points()]
            if value.qscheme() in (torch.per_channel_affine, torch.per_channel_affine_float_qparams)
            else [torch.tensor(value.q_scale()), torch.tensor(value.q_zero_point())]
        )
        return [(name, value.int_repr()), *zip((f"{name}/scale", f"{name}/zero"), steps, strict=True)]
    if value.layout != torch.strided:
        value = value.to_dense()
    if value.is_floating_point() and (value.itemsize == 1 or value.dtype == torch.bfloat16):
        return [(f"{name}/{value.dtype}", value.contiguous().view(_BITS[value.itemsize]))]
    return [(name, value.resolve_conj().resolve_neg())]
