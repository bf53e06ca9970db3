"""A file of weights that another package wrote: safetensors, or a state dict that torch.save wrote.

torch reads the latter with `weights_only`, which makes tensors, numbers, texts and containers, and runs
nothing that a file names. What a file claims to hold is compared with its size first.
"""

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from ganguard.base.codecs import read_tensors, require_finite
from ganguard.base.errors import TargetError
from ganguard.base.settings import one_line

WRAPPERS = ("model_state_dict", "state_dict")
"""Keys under which packages put the weights beside an optimiser's state."""
SLACK = 16 << 20  # bytes by which the parts of a file may exceed its size, since names compress


def read_weights(file: Path) -> dict[str, Tensor]:
    """Return the tensors of a file by name, on the CPU, floats in float32.

    Raises TargetError if there is no such file, or if it holds anything else than finite weights.
    """
    if not file.is_file():
        raise TargetError(f"{file}: no such file. Give a file of weights, .pth or .safetensors.")
    try:
        found = read_tensors(file)[0] if file.suffix == ".safetensors" else _unpacked(file)
        weights = {
            name.removeprefix("module."): _plain(name, value, file.stat().st_size)
            for name, value in found.items()
        }
        require_finite(weights)
    except ValueError as problem:
        raise TargetError(f"{file}: no weights that can be read ({one_line(problem, 200)}).") from None
    return weights


def _unpacked(file: Path) -> dict[str, Tensor]:
    """Return the state dict of a file that torch.save wrote. Raises ValueError if there is none."""
    size = file.stat().st_size
    try:
        if zipfile.is_zipfile(file):
            with zipfile.ZipFile(file) as archive:
                unpacked = sum(part.file_size for part in archive.infolist())
            if unpacked > size + SLACK:
                raise ValueError(f"it unpacks to {unpacked:,} bytes")
        with torch.serialization.safe_globals(_numbers()):
            content: object = torch.load(file, map_location="cpu", weights_only=True)
    except ValueError:
        raise
    except Exception as problem:  # noqa: BLE001 - torch raises any error on a damaged file
        lines = str(problem).strip().splitlines()
        why = "it holds more than plain weights" if "weights_only" in str(problem) else lines and lines[0]
        raise ValueError(why or type(problem).__name__) from None
    return _tensors(content)


def _numbers() -> list[Any]:
    """Return what NumPy's numbers are made with: StudioGAN notes its best FID beside D's weights."""
    scalar = cast(Any, np.float64(0)).__reduce__()[0]
    types = [type(np.dtype(kind)) for kind in (np.float64, np.float32, np.int64)]
    # NumPy 1 named the module otherwise.
    return [np.dtype, *types, scalar, (scalar, "numpy.core.multiarray.scalar")]


def _tensors(content: object) -> dict[str, Tensor]:
    """Return the tensors of a state dict, or of one within a checkpoint. Raises ValueError for others."""
    if not isinstance(content, Mapping):
        raise ValueError(f"it holds a {type(content).__name__}, not weights by name")
    parts = cast(Mapping[Any, Any], content)
    for key in WRAPPERS:
        if isinstance(parts.get(key), Mapping):
            return _tensors(parts[key])
    strange = next((str(key) for key, value in parts.items() if not isinstance(value, Tensor)), None)
    if strange is not None:
        raise ValueError(f"it holds {one_line(strange, 60)!r}, which is no tensor")
    if not parts:
        raise ValueError("it is empty")
    return {str(key): value for key, value in parts.items()}


def _plain(name: str, value: Tensor, size: int) -> Tensor:
    """Return a tensor with memory of its own, floats in float32. Raises ValueError if it is no plain one."""
    if value.layout != torch.strided or value.is_quantized or value.is_complex() or value.is_meta:
        raise ValueError(f"tensor {one_line(name, 80)!r} is sparse, quantised, complex or empty")
    if value.numel() * value.element_size() > size:
        raise ValueError(f"tensor {one_line(name, 80)!r} claims more bytes than the file has")
    value = value.detach()
    return value.to(torch.float32, copy=True) if value.is_floating_point() else value.clone()
