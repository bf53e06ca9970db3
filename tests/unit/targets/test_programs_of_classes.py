"""ONNX files and exported programs whose second input is the class."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from ganguard.base.compute import Compute
from ganguard.base.errors import TargetError
from ganguard.targets.load import load_target, parse_target
from ganguard.targets.module import ModuleTarget
from ganguard.targets.programs.onnx import OnnxTarget

WEIGHTS = np.random.default_rng(0).normal(size=(3, 16)).astype(np.float32)
TABLE = np.random.default_rng(1).normal(size=(4, 3)).astype(np.float32)
Sides = tuple[int | str, ...]


def _model(
    order: str = "zy", y: Sides = ("n",), kind: int = TensorProto.INT64, batch: int | str = "n"
) -> onnx.ModelProto:
    """A file that maps z (n, 3) and y to tanh((z + TABLE[y]) · WEIGHTS), as 1x4x4 pixels."""
    constants = [
        numpy_helper.from_array(WEIGHTS, "w"),
        numpy_helper.from_array(TABLE, "table"),
        numpy_helper.from_array(np.array([-1, 1, 4, 4]), "sides"),
        numpy_helper.from_array(np.array([-1]), "flat"),
    ]
    nodes = [
        helper.make_node("Cast", ["y"], ["whole"], to=TensorProto.INT64),
        helper.make_node("Reshape", ["whole", "flat"], ["numbers"]),
        helper.make_node("Gather", ["table", "numbers"], ["embedded"]),
        helper.make_node("Add", ["z", "embedded"], ["moved"]),
        helper.make_node("MatMul", ["moved", "w"], ["product"]),
        helper.make_node("Tanh", ["product"], ["pixels"]),
        helper.make_node("Reshape", ["pixels", "sides"], ["images"]),
    ]
    inputs = {
        "z": helper.make_tensor_value_info("z", TensorProto.FLOAT, [batch, 3]),
        "y": helper.make_tensor_value_info("y", kind, list(y)),
    }
    images = helper.make_tensor_value_info("images", TensorProto.FLOAT, [batch, 1, 4, 4])
    graph = helper.make_graph(nodes, "G", [inputs[name] for name in order], [images], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def _load(folder: Path, model: onnx.ModelProto, compute: Compute, **settings: Any) -> ModuleTarget:
    onnx.save(model, folder / "g.onnx")
    return OnnxTarget(onnx=str(folder / "g.onnx"), **settings).load(compute)


def _levels(z: Tensor, y: Tensor) -> Tensor:
    moved = z + torch.from_numpy(TABLE)[y]
    return (torch.tanh(moved @ torch.from_numpy(WEIGHTS)).view(-1, 1, 4, 4) + 1) * 127.5


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"order": "yz"},
        {"y": ("n", 1)},
        {"kind": TensorProto.INT32},
        {"batch": 1, "y": (1,)},
        {"batch": 7, "y": (7, 1)},
        {"batch": 100, "y": (100,)},
    ],
    ids=["plain", "class first", "column", "int32", "one at a time", "batches of 7", "batches of 100"],
)
def test_the_class_reaches_a_file_of_onnx(tmp_path: Path, compute: Compute, said: dict[str, Any]) -> None:
    target = _load(tmp_path, _model(**said), compute, classes=4)
    z, y = target.draw_latents(range(70), seed=0), torch.arange(70) % 4
    assert (target.generate(z, conditions=y).float() - _levels(z, y)).abs().max() <= 0.51


@pytest.mark.parametrize(
    ("said", "settings", "message"),
    [
        ({}, {}, "got 2 (z, y). Export it with the others fixed. If one of the others takes the class, set"),
        ({}, {"classes": 5}, "set `classes` to the classes that it knows"),
        ({"y": ("n", 4)}, {"classes": 4}, "its input y must take the numbers of classes, (N,) int64"),
        ({"kind": TensorProto.FLOAT}, {"classes": 4}, "must take the numbers of classes"),
        ({"batch": 2, "y": (1,)}, {"classes": 4}, "takes 2 codes at once, and 1 classes"),
        ({"order": "z"}, {"classes": 4}, "not an ONNX file that can be run"),
    ],
)
def test_a_file_that_takes_no_such_class_is_refused(
    tmp_path: Path, compute: Compute, said: dict[str, Any], settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(TargetError) as raised:
        _load(tmp_path, _model(**said), compute, **settings)
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


class G(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight, self.table = (nn.Parameter(torch.from_numpy(part)) for part in (WEIGHTS, TABLE))

    def forward(self, z: Tensor, y: Tensor) -> Tensor:
        return ((z + self.table[y.flatten()]) @ self.weight).tanh().view(-1, 1, 4, 4)


class Turned(G):
    def forward(self, y: Tensor, z: Tensor) -> Tensor:
        return super().forward(z, y)


@pytest.mark.parametrize("kind", ["plain", "class first", "any batch"])
def test_the_class_reaches_an_exported_program(tmp_path: Path, compute: Compute, kind: str) -> None:
    z, y = torch.zeros(2, 3), torch.zeros(2, dtype=torch.int64)
    if kind == "class first":
        program = torch.export.export(Turned(), (y[:, None], z))
    elif kind == "any batch":
        n = torch.export.Dim("n", min=2, max=100)
        program = torch.export.export(G(), (z, y), dynamic_shapes=({0: n}, {0: n}))
    else:
        program = torch.export.export(G(), (z, y))
    torch.export.save(program, tmp_path / "g.pt2")
    said = {"exported": str(tmp_path / "g.pt2"), "trusted": True}
    target = load_target(parse_target({**said, "classes": 4}), compute)
    assert isinstance(target, ModuleTarget)
    codes, classes = target.draw_latents(range(9), seed=0), torch.arange(9) % 4
    images = target.generate(codes, conditions=classes)
    assert (images.float() - _levels(codes, classes)).abs().max() <= 0.51
    with pytest.raises(TargetError, match="If one of the others takes the class, set `classes`"):
        load_target(parse_target(said), compute)
