"""Checks that every metric applies to the features it is given."""

import math
import numbers
import operator
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, SupportsIndex, cast

import numpy as np
import torch
from torch import Tensor
from typing_extensions import TypeIs

from ganguard.base.errors import MetricError
from ganguard.base.images import require_images
from ganguard.base.settings import one_line, shortened

Features = Tensor | np.ndarray
Pixels = Tensor | np.ndarray  # (N, C, H, W) uint8

# Bounds on the largest entry: products of four entries, as in a product of two covariances, are still finite.
SMALLEST, LARGEST = 1e-60, 1e60
# Types that rows keep: torch finds the edges of each.
_KEPT = (torch.uint8, torch.int8, torch.int16, torch.float16, torch.bfloat16, torch.float32, torch.float64)


@dataclass(frozen=True)
class MeanStd:
    """A quantity measured on several parts of the data.

    Attributes:
        mean: mean over the parts.
        std: standard deviation between the parts (dividing by their number, not by one less).
    """

    mean: float
    std: float


def as_features(features: Features, name: str, at_least: int) -> Tensor:
    """Return features (N, D) of real numbers as float64.

    Raises MetricError for other shapes or types, masked entries, fewer than `at_least` rows, NaN, infinity,
    or a largest entry that is neither 0 nor between SMALLEST and LARGEST.
    """
    return as_rows(features, name, at_least).double()


def as_floats(features: Features, name: str, at_least: int) -> Tensor:
    """Return features as `as_features` does, but keep float32 as float32.

    The result may share memory with float32 or float64 input.
    """
    rows = as_rows(features, name, at_least)
    return rows if rows.dtype == torch.float32 else rows.double()


def as_rows(features: Features, name: str, at_least: int) -> Tensor:
    """Return features as `as_features` does, but keep their type, such as the bytes of flattened images.

    The result may share memory with the input.
    """
    tensor = _tensor(features, name)
    if tensor.dtype not in _KEPT:
        tensor = tensor.double()
    if tensor.ndim != 2 or tensor.shape[1] == 0:
        remedy = " Make each image one row, as images.flatten(1) does." if tensor.ndim > 2 else ""
        raise MetricError(f"{name} must be features (N, D); got shape {tuple(tensor.shape)}.{remedy}")
    if len(tensor) < at_least:
        raise MetricError(
            f"{name} must hold at least {at_least} rows; got {len(tensor)}. Measure more images."
        )
    edges: list[float] = torch.stack(tensor.aminmax()).double().tolist()
    if not all(math.isfinite(edge) for edge in edges):
        raise MetricError(
            f"{name} holds NaN or infinity. Check the images or the feature network that made it."
        )
    largest = max(map(abs, edges))
    if largest and not SMALLEST <= largest <= LARGEST:
        raise MetricError(
            f"the largest entry of {name} must be 0, or {SMALLEST:g} to {LARGEST:g} in absolute value; got "
            f"{largest:.3g}, whose powers exceed the range of a float. Standardise the features first."
        )
    return tensor


def as_images(images: Pixels, name: str = "images") -> Tensor:
    """Return images (N, C, H, W) uint8 as a tensor; one stays on its device.

    Raises MetricError unless they are that, with C of 1 to 4, and H and W at least 1.
    """
    tensor = _plain(images, name) if isinstance(images, Tensor) else _tensor(images, name)
    require_images(tensor, name, MetricError)
    if 0 in tensor.shape[2:]:
        raise MetricError(f"{name} must have H and W of at least 1; got {tuple(tensor.shape)}.")
    return tensor


def as_matrix(numbers: Features, name: str) -> Tensor:
    """Return real numbers of any shape as float64. Raises MetricError if they are none."""
    return _tensor(numbers, name).double()


def as_path(path: object, name: str = "path") -> Path:
    """Return a path. Raises MetricError for another type."""
    if not isinstance(path, Path | str):
        raise MetricError(f"{name} must be the path of a file; got {_said(path)}.")
    return Path(path)


def _tensor(features: Features, name: str) -> Tensor:
    """Return an array as a tensor on the CPU, copied only if torch cannot take it as it lies in memory.

    Raises MetricError if it is not one array of real numbers.
    """
    if isinstance(features, Tensor):
        return _plain(features, name).detach().cpu()
    array = _array(features, name)
    if array.dtype.kind not in "biuf":
        raise MetricError(f"{name} must be real numbers; got {array.dtype}.")
    kind = np.dtype(np.float64) if array.dtype.itemsize > 8 else array.dtype.newbyteorder("=")
    with np.errstate(over="ignore"):  # infinity is refused later
        array = array.astype(kind, copy=False)
    backwards = min(array.strides, default=0) < 0
    return torch.from_numpy(array.copy() if backwards or not array.flags.writeable else array)


def _plain(tensor: Tensor, name: str) -> Tensor:
    """Return a tensor of real numbers that lie in memory. Raises MetricError for another one."""
    if tensor.is_complex() or tensor.is_quantized:
        raise MetricError(f"{name} must be real numbers; got {tensor.dtype}.")
    if tensor.layout != torch.strided or tensor.is_nested or tensor.is_meta:
        said = "meta tensor" if tensor.is_meta else f"tensor of layout {tensor.layout}"
        raise MetricError(f"{name} must hold each of its numbers; got a {said}. Make it a dense tensor.")
    return tensor


def _array(features: object, name: str) -> np.ndarray:
    """Return what is no tensor as an array. Raises MetricError for ragged lists and masked entries."""
    if _lists(features, np.ma.MaskedArray):
        features = np.ma.stack(features)  # numpy.asarray would forget the masks
    if isinstance(features, np.ma.MaskedArray):
        if (masked := int(np.ma.count_masked(features))) > 0:
            raise MetricError(
                f"{name} holds {masked} masked entries, which have no value. Leave out their rows, or fill "
                "them."
            )
        return features.data
    try:
        if _lists(features, Tensor):
            rows = [row if isinstance(row, Tensor) else torch.as_tensor(row) for row in features]
            return torch.stack([row.detach().cpu() for row in rows]).numpy()
        return np.asarray(features)
    except (ValueError, TypeError, RuntimeError, OverflowError) as problem:
        said = one_line(problem, 120)
        raise MetricError(
            f"{name} must be one array of real numbers; got {type(features).__name__} that is none ({said}). "
            "Give rows of equal length."
        ) from None


def _lists(given: object, kind: type) -> TypeIs[Sequence[Any]]:
    return isinstance(given, list | tuple) and any(isinstance(row, kind) for row in given)


def as_whole(value: object, name: str, at_least: int | None = None) -> int:
    """Return a whole number of Python, NumPy or torch as an int.

    Raises MetricError for other types, bool and floats among them, and for less than `at_least`.
    """
    wanted = f"{name} must be a whole number" + ("" if at_least is None else f" of at least {at_least}")
    try:
        if isinstance(value, bool | np.bool_) or (isinstance(value, Tensor) and value.dtype == torch.bool):
            raise TypeError
        number = operator.index(cast(SupportsIndex, value))
    except (TypeError, ValueError, RuntimeError):
        remedy = f" Write {value:.0f}." if isinstance(value, float) and value.is_integer() else ""
        raise MetricError(f"{wanted}; got {_said(value)}.{remedy}") from None
    if at_least is not None and number < at_least:
        raise MetricError(f"{name} must be at least {at_least}; got {shortened(number)}.")
    return number


def as_number(value: object, name: str) -> float:
    """Return a real number of Python or NumPy as a float, NaN too. Raises MetricError for other types."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise MetricError(f"{name} must be a number; got {_said(value)}.")
    try:
        return float(value)
    except OverflowError:
        raise MetricError(f"{name} must be a number that a float can hold; got {_said(value)}.") from None


def as_flag(value: object, name: str) -> bool:
    """Return True or False of Python or NumPy as a bool. Raises MetricError for other types."""
    if not isinstance(value, bool | np.bool_):
        raise MetricError(f"{name} must be True or False; got {_said(value)}.")
    return bool(value)


def require_type(value: object, kind: type, name: str, remedy: str) -> None:
    """Raise MetricError, which tells the remedy, unless a value is of a type."""
    if not isinstance(value, kind):
        raise MetricError(f"{name} must be a {kind.__name__}; got {_said(value)}. {remedy}")


def _said(value: object) -> str:
    """Return a wrong value as a message repeats it: a plain one by its repr, any other by its type."""
    plain = isinstance(value, str | bytes | int | float | complex | None)
    return one_line(shortened(value), 100) if plain else type(value).__name__


def require_same_width(a: Tensor, b: Tensor) -> None:
    """Raise MetricError if two feature sets have different D."""
    if a.shape[1] != b.shape[1]:
        raise MetricError(f"both feature sets must have the same width; got {a.shape[1]} and {b.shape[1]}.")
