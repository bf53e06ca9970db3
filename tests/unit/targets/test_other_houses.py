"""Weights of other packages. What they must give was computed once by the packages' own networks, on weights
that follow from their names by a formula."""

import pickle
import zipfile
import zlib
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from ganguard.base.compute import Compute
from ganguard.base.errors import SpecError, TargetError
from ganguard.targets.load import fingerprint, load_target, parse_target
from ganguard.targets.module import WhiteBoxModuleTarget
from ganguard.targets.other_houses.layouts import discriminator_of, generator_of, layout_of
from ganguard.targets.protocol import WhiteBoxTarget

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


def _weights(shapes: Shapes) -> dict[str, Tensor]:
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


def _codes() -> Tensor:
    return torch.sin(torch.arange(18, dtype=torch.float64) * 1.3).float().reshape(3, 6) * 1.2


def _images(side: int) -> Tensor:
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


def _floats(numbers: str) -> list[float]:
    return [float(number) for number in numbers.split()]


def _g(name: str) -> dict[str, Tensor]:
    return _weights(GENERATORS[name][1])


@pytest.mark.parametrize("name", GENERATORS)
def test_a_generator_gives_what_its_own_package_gives(name: str) -> None:
    side, _, wanted = GENERATORS[name]
    weights = _g(name)
    label = LABEL if "classes" in name else None
    G = generator_of(weights, layout_of(weights), label).eval()
    with torch.no_grad():
        images = G(_codes())
    assert images.shape == (3, 3, side, side)
    assert images[:, :, side // 2, side // 3].flatten().tolist() == pytest.approx(_floats(wanted), abs=3e-4)


@pytest.mark.parametrize("name", DISCRIMINATORS)
def test_a_discriminator_gives_what_its_own_package_gives(name: str) -> None:
    """Its first ReLU of a block writes into the block's input, which the shortcut sees."""
    side, shapes, wanted = DISCRIMINATORS[name]
    layout = layout_of(_g(name))
    D = discriminator_of(_weights(shapes), layout, side).eval()
    with torch.no_grad():
        scores = D(_images(side))
    assert scores.tolist() == pytest.approx(_floats(wanted), rel=1e-4)


def test_weights_that_torch_normalises_spectrally_are_divided(tmp_path: Path) -> None:
    plain = _g("StudioGAN 32")
    stem = "blocks.1.0.conv2d1.weight"
    u, v = torch.ones(8) / 8**0.5, torch.zeros(72).index_fill(0, torch.tensor([3]), 1.0)
    W = plain[stem]
    divided = plain | {f"{stem}_orig": W, f"{stem}_u": u, f"{stem}_v": v}
    del divided[stem]
    expected = plain | {stem: W / (u @ W.flatten(1) @ v)}
    layout = layout_of(plain)
    images = [generator_of(weights, layout, None).eval()(_codes()) for weights in (divided, expected)]
    assert torch.equal(*images)


def _saved(path: Path, weights: object) -> Path:
    torch.save(weights, path)
    return path


def _mimicry_file(folder: Path, name: str = "netG_100_steps.pth", **change: Any) -> Path:
    weights = _g("mimicry 32") | change
    said = {"model_state_dict": weights, "optimizer_state_dict": {"state": {}}, "global_step": 100}
    return _saved(folder / name, said)


def test_both_files_of_a_gan_become_a_white_box(tmp_path: Path, compute: Compute) -> None:
    """As mimicry and StudioGAN save them: an optimiser beside the weights, and NumPy's numbers."""
    D = _weights(DISCRIMINATORS["mimicry 32"][1])
    beside = {"best_fid": np.float64(3.5), "step": 5, "run_name": "us", "topk": "initialize"}
    netD = _saved(tmp_path / "netD.pth", {"state_dict": D, "optimizer": None, **beside})
    said = {"state_dict": str(_mimicry_file(tmp_path)), "discriminator": str(netD)}
    settings = parse_target(said)
    assert parse_target(settings.model_dump(mode="json")) == settings
    target = load_target(settings, compute)
    assert isinstance(target, WhiteBoxModuleTarget)
    assert (target.latent_dim, target.image_shape) == (6, (3, 32, 32))
    images = target.sample(range(70), seed=0)
    assert torch.equal(images[60:], target.sample(range(60, 70), seed=0))
    assert target.discriminator.scores(images).shape == (70,)
    assert target.discriminator.features(images[:3]).shape == (3, 8)
    assert target.discriminator.module().training is False
    black = load_target(parse_target({"state_dict": said["state_dict"]}), compute)
    assert not isinstance(black, WhiteBoxTarget)
    assert fingerprint(settings) != fingerprint(parse_target({"state_dict": said["state_dict"]}))


FILES = {
    "bare": lambda folder, w: _saved(folder / "g.pth", w),
    "of several GPUs": lambda folder, w: _saved(folder / "g.pth", {f"module.{k}": v for k, v in w.items()}),
    "legacy": lambda folder, w: _legacy(folder / "g.pt", w),
    "half precision": lambda folder, w: _saved(folder / "g.pth", {k: v.half() for k, v in w.items()}),
    "safetensors": lambda folder, w: _tensors_file(folder / "g.safetensors", w),
}


def _legacy(path: Path, weights: dict[str, Tensor]) -> Path:
    torch.save(weights, path, _use_new_zipfile_serialization=False)
    return path


def _tensors_file(path: Path, weights: dict[str, Tensor]) -> Path:
    save_file(weights, path)
    return path


@pytest.mark.parametrize("kind", FILES)
def test_weights_are_read_from_any_plain_file(kind: str, tmp_path: Path, compute: Compute) -> None:
    wanted = load_target(parse_target({"state_dict": str(_mimicry_file(tmp_path))}), compute)
    file = FILES[kind](tmp_path, _g("mimicry 32"))
    found = load_target(parse_target({"state_dict": str(file)}), compute)
    images = [target.sample(range(5), seed=0).int() for target in (wanted, found)]
    assert (images[0] - images[1]).abs().max() <= (12 if kind == "half precision" else 0)


class Runs:
    def __reduce__(self) -> tuple[Any, ...]:
        return (open, (str(Path("/tmp") / "ran_from_a_pickle"), "w"))


def _deflated(path: Path) -> Path:
    torch.save({"l1.weight": torch.zeros(8_000_000)}, path)
    with zipfile.ZipFile(path) as archive:
        parts = {part.filename: archive.read(part) for part in archive.infolist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return path


def _without(folder: Path, beginning: str) -> Path:
    left = {name: value for name, value in _g("mimicry 32").items() if not name.startswith(beginning)}
    return _saved(folder / "g.pth", left)


def _holding(content: object) -> Callable[[Path], Path]:
    return lambda folder: _saved(folder / "g.pth", content)


def _changed(**change: Tensor) -> Callable[[Path], Path]:
    named = {name.replace("__", "."): value for name, value in change.items()}
    return lambda folder: _mimicry_file(folder, **named)


MANY = torch.ones(200_000)
BAD_FILES: dict[str, tuple[Callable[[Path], Path], str]] = {
    "absent": (lambda folder: folder / "absent.pth", "no such file"),
    "empty": (lambda folder: _bytes(folder / "g.pth", b""), "no weights that can be read"),
    "broken": (lambda folder: _bytes(folder / "g.pth", b"PK\x03\x04 a zip"), "no weights that can be read"),
    "code": (_holding({"a": Runs()}), "it holds more than plain weights"),
    "pickled": (lambda folder: _bytes(folder / "g.pth", pickle.dumps(Runs())), "no weights that can be read"),
    "a whole module": (_holding(torch.nn.Linear(2, 2)), "more than plain weights"),
    "a list": (_holding([torch.ones(2)]), "it holds a list, not weights by name"),
    "other things": (_holding({"a": 3}), "'a', which is no tensor"),
    "nothing": (_holding({"state_dict": {}}), "it is empty"),
    "NaN": (_changed(c5__bias=torch.tensor([0, np.nan, 0])), "NaN or infinity"),
    "a bomb": (lambda folder: _deflated(folder / "g.pth"), "it unpacks to 32,"),
    "a tensor of nothing": (_holding({"l1.weight": torch.zeros(1).expand(1 << 40)}), "claims more bytes"),
    "sparse": (_holding({"a": torch.eye(3).to_sparse()}), "is sparse"),
    "another network": (_holding(torch.nn.Linear(2, 2).state_dict()), r"weight, bias\. Build the generator"),
    "a lost tensor": (lambda folder: _without(folder, "b5.weight"), r"Missing key.*norm\.weight"),
    "a lost block": (lambda folder: _without(folder, "block3."), r"blocks\.1\.norm1\.running_mean"),
    "attention": (_changed(attn__theta__weight=torch.ones(2, 2, 1, 1)), "without attention.*attn"),
    "another shape": (_changed(c5__weight=torch.ones(3, 9, 3, 3)), "size mismatch"),
    "no shape at all": (_changed(c5__weight=torch.ones(())), "mimicry's layout"),
    "an endless first layer": (_changed(block2__b1__running_mean=MANY), "128 outputs, for 200000 channels"),
    "an endless network": (
        _changed(block3__b1__running_mean=MANY, block4__b1__running_mean=MANY),
        "size mismatch",
    ),
}


def _bytes(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("kind", BAD_FILES)
def test_what_is_no_such_file_is_one_line_and_nothing_runs(
    kind: str, tmp_path: Path, compute: Compute
) -> None:
    make, said = BAD_FILES[kind]
    settings = parse_target({"state_dict": str(make(tmp_path))})
    with pytest.raises(TargetError, match=said) as refusal:
        load_target(settings, compute)
    assert "\n" not in str(refusal.value)
    assert len(str(refusal.value)) < 900
    assert not (Path("/tmp") / "ran_from_a_pickle").exists()


def test_a_generator_of_classes_is_a_target_of_one(tmp_path: Path, compute: Compute) -> None:
    file = _saved(tmp_path / "g.pth", {"state_dict": _g("StudioGAN 32, of classes")})
    targets = [load_target(parse_target({"state_dict": str(file), "label": k}), compute) for k in (0, 1)]
    images = [target.sample(range(3), seed=0) for target in targets]
    assert not torch.equal(*images)
    assert targets[0].identity != targets[1].identity
    for settings in ({}, {"label": 4}):
        with pytest.raises(TargetError, match="makes images of 4 classes, and a target is of one"):
            load_target(parse_target({"state_dict": str(file), **settings}), compute)
    with pytest.raises(TargetError, match="knows no classes; got label 1"):
        load_target(parse_target({"state_dict": str(_mimicry_file(tmp_path)), "label": 1}), compute)


def test_settings_that_do_not_fit_are_refused(tmp_path: Path, compute: Compute) -> None:
    file = str(_mimicry_file(tmp_path))
    with pytest.raises(TargetError, match=r"its codes are rows of 6 numbers; got \[128\]"):
        load_target(parse_target({"state_dict": file, "latent_dim": 128}), compute)
    with pytest.raises(TargetError, match="those of a discriminator in mimicry's layout"):
        load_target(parse_target({"state_dict": file, "discriminator": file}), compute)
    with pytest.raises(SpecError, match="label"):
        parse_target({"state_dict": file, "label": -1})
    prior = load_target(parse_target({"state_dict": file, "prior": "uniform", "latent_dim": 6}), compute)
    assert prior.sample(range(3), seed=0).shape == (3, 3, 32, 32)
