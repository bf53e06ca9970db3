"""Weights in the layouts of other packages, which follow from their names by a formula.

What they must give was computed once by the packages' own networks."""

import zlib
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

Shapes = dict[str, tuple[int, ...]]
LABEL = 2


def _conv(name: str, wide: int, narrow: int, kernel: int) -> Shapes:
    return {f"{name}.weight": (narrow, wide, kernel, kernel), f"{name}.bias": (narrow,)}


def _norm(name: str, width: int) -> Shapes:
    parts = {part: (width,) for part in ("weight", "bias", "running_mean", "running_var")}
    return {f"{name}.{part}": shape for part, shape in parts.items()} | {f"{name}.num_batches_tracked": ()}


def _of_classes(name: str, width: int) -> Shapes:
    parts = {part: (width,) for part in ("bn.running_mean", "bn.running_var")}
    parts |= {"bn.num_batches_tracked": (), "gain.weight": (width, 4), "bias.weight": (width, 4)}
    return {f"{name}.{part}": shape for part, shape in parts.items()}


def _spectral(shapes: Shapes) -> Shapes:
    """The same as torch normalises it spectrally."""
    found: Shapes = {}
    for name, shape in shapes.items():
        if name.endswith(".weight") and len(shape) > 1:
            columns = int(np.prod(shape[1:]))
            found |= {f"{name}_orig": shape, f"{name}_u": shape[:1], f"{name}_v": (columns,)}
        else:
            found[name] = shape
    return found


def _mimicry_g(bottom: int, widths: list[int]) -> Shapes:
    found: Shapes = {"l1.weight": (widths[0] * bottom**2, 6), "l1.bias": (widths[0] * bottom**2,)}
    for n, (wide, narrow) in enumerate(pairwise(widths), 2):
        found |= _conv(f"block{n}.c1", wide, narrow, 3) | _conv(f"block{n}.c2", narrow, narrow, 3)
        found |= _norm(f"block{n}.b1", wide) | _norm(f"block{n}.b2", narrow)
        found |= _conv(f"block{n}.c_sc", wide, narrow, 1)
    last = len(widths) + 1
    return found | _norm(f"b{last}", widths[-1]) | _conv(f"c{last}", widths[-1], 3, 3)


def _mimicry_g_of_classes() -> Shapes:
    """cGAN-PD's: each norm of a block has an embedding of 4 classes, the scale before the shift."""
    plain = _mimicry_g(4, [8, 8, 8, 8])
    norms = [f"block{n}.b{b}" for n in (2, 3, 4) for b in (1, 2)]
    kept = {name: shape for name, shape in plain.items() if not name.startswith(tuple(norms))}
    for norm in norms:
        kept |= {f"{norm}.bn.{part}": (8,) for part in ("running_mean", "running_var")}
        kept |= {f"{norm}.bn.num_batches_tracked": (), f"{norm}.embed.weight": (4, 16)}
    return kept


def _mimicry_d_of_classes() -> Shapes:
    """cGAN-PD's, whose last layers keep u alone."""
    plain = _mimicry_d([8, 8, 8, 8], 2, "l5")
    kept = {name: shape for name, shape in plain.items() if not name.startswith("l5.weight")}
    for name, rows in (("l5", 1), ("l_y", 4)):
        kept |= {f"{name}.weight": (rows, 8), f"{name}.sn_u": (1, rows), f"{name}.sn_sigma": (1,)}
    return kept


def _mimicry_d(widths: list[int], downs: int, last: str) -> Shapes:
    found = _conv("block1.c1", 3, widths[0], 3) | _conv("block1.c2", widths[0], widths[0], 3)
    found |= _conv("block1.c_sc", 3, widths[0], 1)
    for n, (wide, narrow) in enumerate(pairwise(widths), 2):
        found |= _conv(f"block{n}.c1", wide, wide, 3) | _conv(f"block{n}.c2", wide, narrow, 3)
        if wide != narrow or n <= downs:
            found |= _conv(f"block{n}.c_sc", wide, narrow, 1)
    return _spectral(found | {f"{last}.weight": (1, widths[-1]), f"{last}.bias": (1,)})


def _studio_g(widths: list[int], *, classes: bool = False) -> Shapes:
    norm = _of_classes if classes else _norm
    found: Shapes = {"linear0.weight": (widths[0] * 16, 6), "linear0.bias": (widths[0] * 16,)}
    for n, (wide, narrow) in enumerate(pairwise(widths)):
        found |= norm(f"blocks.{n}.0.bn1", wide) | norm(f"blocks.{n}.0.bn2", narrow)
        found |= _conv(f"blocks.{n}.0.conv2d0", wide, narrow, 1)
        found |= _conv(f"blocks.{n}.0.conv2d1", wide, narrow, 3)
        found |= _conv(f"blocks.{n}.0.conv2d2", narrow, narrow, 3)
    return found | _norm("bn4", widths[-1]) | _conv("conv2d5", widths[-1], 3, 3)


def _studio_d(widths: list[int], downs: int) -> Shapes:
    found: Shapes = {}
    for n, (wide, narrow) in enumerate(pairwise([3, *widths])):
        if wide != narrow or n < downs:
            found |= _conv(f"blocks.{n}.0.conv2d0", wide, narrow, 1)
        found |= _conv(f"blocks.{n}.0.conv2d1", wide, narrow, 3)
        found |= _conv(f"blocks.{n}.0.conv2d2", narrow, narrow, 3)
    return _spectral(found | {"linear1.weight": (1, widths[-1]), "linear1.bias": (1,)})


def weights_of(shapes: Shapes) -> dict[str, Tensor]:
    return {name: _tensor(name, shape) for name, shape in shapes.items()}


def _tensor(name: str, shape: tuple[int, ...]) -> Tensor:
    if not shape:
        return torch.tensor(5)
    count = int(np.prod(shape))
    x = torch.sin(torch.arange(count, dtype=torch.float64) * 0.7 + zlib.crc32(name.encode()) % 1000)
    if name.endswith("running_var"):
        x = 1 + 0.5 * x
    elif name.endswith(".weight") and len(shape) == 1:
        x = 1 + 0.3 * x
    elif name.endswith(("running_mean", "bias")):
        x = 0.2 * x
    else:
        x = x * 1.5 / (count // shape[0] if len(shape) > 1 else count) ** 0.5
    x = x.float().reshape(shape)
    return x / x.norm() if name.endswith(("_u", "_v")) else x


def codes() -> Tensor:
    return torch.sin(torch.arange(18, dtype=torch.float64) * 1.3).float().reshape(3, 6) * 1.2


def images_of(side: int) -> Tensor:
    count = 9 * side * side
    return torch.sin(torch.arange(count, dtype=torch.float64) * 0.37).float().reshape(3, 3, side, side)


# Of images[:, :, side // 2, side // 3], by image and channel.
GENERATORS: dict[str, tuple[int, Shapes, str]] = {
    "mimicry 32": (
        32,
        _mimicry_g(4, [8, 8, 8, 8]),
        "-0.259017 -0.291034 -0.237758 -0.225239 -0.425537 -0.526264 -0.306705 -0.446406 -0.499241",
    ),
    "mimicry 48": (
        48,
        _mimicry_g(6, [32, 16, 8, 4]),
        "-0.828154 -0.887096 -0.911874 -0.161612 -0.288224 -0.327258 -0.145593 -0.265531 -0.29781",
    ),
    "mimicry 64": (
        64,
        _mimicry_g(4, [64, 32, 16, 8, 4]),
        "0.997259 0.998216 0.998998 0.990259 0.991694 0.99393 0.994015 0.995793 0.997459",
    ),
    "StudioGAN 32": (
        32,
        _studio_g([8, 8, 8, 8]),
        "-0.998048 -0.998412 -0.998523 -0.999659 -0.99982 -0.999887 0.990274 0.98367 0.970347",
    ),
    "StudioGAN 32, of classes": (
        32,
        _studio_g([8, 8, 8, 8], classes=True),
        "0.995 0.995323 0.995145 0.936226 0.934548 0.92908 -1.0 -1.0 -1.0",
    ),
    "StudioGAN 64": (
        64,
        _studio_g([64, 32, 16, 8, 4]),
        "0.411168 0.3148 0.212507 0.297476 0.187757 0.074831 1.0 1.0 1.0",
    ),
}
DISCRIMINATORS: dict[str, tuple[int, Shapes, str]] = {
    "mimicry 32": (
        32,
        _mimicry_d([8, 8, 8, 8], 2, "l5"),
        "-74237.632812 -69684.921875 -63381.675781",
    ),
    "mimicry 48": (
        48,
        _mimicry_d([4, 8, 16, 32, 64], 4, "l5"),
        "349896.90625 350189.75 331400.46875",
    ),
    "mimicry 64": (
        64,
        _mimicry_d([4, 8, 16, 32, 64], 5, "l6"),
        "43692.382812 44271.828125 44656.421875",
    ),
    "StudioGAN 32": (
        32,
        _studio_d([4, 4, 4, 4], 2),
        "2834.052979 2665.456787 2776.483154",
    ),
    "StudioGAN 64": (
        64,
        _studio_d([4, 8, 16, 32, 64], 4),
        "259009.625 360041.40625 391519.34375",
    ),
}


# As above, of the classes ASKED.
ASKED = (3, 0, 2)
CONDITIONAL_GENERATORS: dict[str, tuple[Shapes, str]] = {
    "mimicry": (
        _mimicry_g_of_classes(),
        "-0.18349 -0.302707 -0.333916 -0.229366 -0.373866 -0.429003 0.00782957 -0.0160191 0.0469123",
    ),
    "StudioGAN": (
        _studio_g([8, 8, 8, 8], classes=True),
        "0.824537 0.814529 0.79751 0.0829796 -0.127612 -0.323002 -1 -1 -1",
    ),
}
CONDITIONAL_DISCRIMINATORS: dict[str, tuple[Shapes, str]] = {
    "mimicry": (_mimicry_d_of_classes(), "-9518.627 -43584.387 -23201.162"),
    "StudioGAN": (
        _studio_d([4, 4, 4, 4], 2)
        | {"embedding.weight_orig": (4, 4), "embedding.weight_u": (4,), "embedding.weight_v": (4,)},
        "-4002.7156 9609.46 10561.273",
    ),
}


def floats(numbers: str) -> list[float]:
    return [float(number) for number in numbers.split()]


def generator_weights(name: str) -> dict[str, Tensor]:
    return weights_of(GENERATORS[name][1])


def saved(path: Path, weights: object) -> Path:
    torch.save(weights, path)
    return path


def mimicry_file(folder: Path, name: str = "netG_100_steps.pth", **change: Any) -> Path:
    weights = generator_weights("mimicry 32") | change
    said = {"model_state_dict": weights, "optimizer_state_dict": {"state": {}}, "global_step": 100}
    return saved(folder / name, said)
