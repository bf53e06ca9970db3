"""Files of weights that other packages wrote: any plain one is read, and nothing in one runs."""

import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from other_house_samples import generator_weights, mimicry_file, saved
from safetensors.torch import save_file
from torch import Tensor

from ganguard.base.compute import Compute
from ganguard.base.errors import TargetError
from ganguard.targets.load import load_target, parse_target

FILES = {
    "bare": lambda folder, w: saved(folder / "g.pth", w),
    "of several GPUs": lambda folder, w: saved(folder / "g.pth", {f"module.{k}": v for k, v in w.items()}),
    "legacy": lambda folder, w: _legacy(folder / "g.pt", w),
    "half precision": lambda folder, w: saved(folder / "g.pth", {k: v.half() for k, v in w.items()}),
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
    wanted = load_target(parse_target({"state_dict": str(mimicry_file(tmp_path))}), compute)
    file = FILES[kind](tmp_path, generator_weights("mimicry 32"))
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
    left = {
        name: value
        for name, value in generator_weights("mimicry 32").items()
        if not name.startswith(beginning)
    }
    return saved(folder / "g.pth", left)


def _holding(content: object) -> Callable[[Path], Path]:
    return lambda folder: saved(folder / "g.pth", content)


def _changed(**change: Tensor) -> Callable[[Path], Path]:
    named = {name.replace("__", "."): value for name, value in change.items()}
    return lambda folder: mimicry_file(folder, **named)


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
