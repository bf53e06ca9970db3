"""An ONNX file becomes a target, whatever shape its codes and its batch have."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from ganguard.base.compute import Compute
from ganguard.base.errors import TargetError
from ganguard.targets.programs.onnx import OnnxTarget

WEIGHTS = np.random.default_rng(0).normal(size=(3, 48)).astype(np.float32)


def _generator(
    batch: int | str = "n",
    code: tuple[int | str, ...] = (3,),
    kind: int = TensorProto.FLOAT,
    outputs: tuple[str, ...] = ("images",),
    inputs: tuple[str, ...] = ("z",),
    last: str = "Tanh",
) -> onnx.ModelProto:
    """Return a file's content that maps a code of 3 numbers to tanh(code · WEIGHTS), as 3x4x4 pixels."""
    weights = numpy_helper.from_array(WEIGHTS.astype(helper.tensor_dtype_to_np_dtype(kind)), "w")
    sides = numpy_helper.from_array(np.array([-1, 3, 4, 4]), "sides")
    nodes = [
        helper.make_node("Flatten", ["z"], ["flat"]),
        helper.make_node("MatMul", ["flat", "w"], ["product"]),
        helper.make_node(last, ["product"], ["pixels"]),
        *(helper.make_node("Reshape", ["pixels", "sides"], [name]) for name in outputs),
    ]
    graph = helper.make_graph(
        nodes,
        "generator",
        [helper.make_tensor_value_info(name, kind, [batch, *code]) for name in inputs],
        [helper.make_tensor_value_info(name, kind, [batch, 3, 4, 4]) for name in outputs],
        [weights, sides],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def _target(tmp_path: Path, model: onnx.ModelProto, **settings: Any) -> OnnxTarget:
    onnx.save(model, tmp_path / "g.onnx")
    return OnnxTarget(onnx=str(tmp_path / "g.onnx"), **settings)


def _levels(codes: torch.Tensor) -> torch.Tensor:
    return (torch.tanh(codes @ torch.from_numpy(WEIGHTS)).view(-1, 3, 4, 4) + 1) * 127.5


@pytest.mark.parametrize("code", [(3,), (3, 1, 1), (1, 3)])
@pytest.mark.parametrize("batch", ["n", 1, 7, 64, 100])
def test_codes_of_any_shape_in_batches_of_any_size(
    tmp_path: Path, compute: Compute, batch: int | str, code: tuple[int, ...]
) -> None:
    target = _target(tmp_path, _generator(batch, code)).load(compute)
    assert (target.latent_dim, target.image_shape) == (3, (3, 4, 4))
    codes = target.draw_latents(range(70), seed=1)
    assert (target.generate(codes).float() - _levels(codes)).abs().max() <= 0.51
    assert torch.equal(target.sample(range(5, 9), seed=1), target.generate(codes)[5:9])


@pytest.mark.parametrize(("kind", "off"), [(TensorProto.FLOAT16, 1.5), (TensorProto.DOUBLE, 0.51)])
def test_other_floats_are_taken(tmp_path: Path, compute: Compute, kind: int, off: float) -> None:
    target = _target(tmp_path, _generator(kind=kind)).load(compute)
    codes = target.draw_latents(range(8), seed=0)
    assert (target.generate(codes).float() - _levels(codes)).abs().max() <= off


def test_a_file_may_leave_open_how_long_a_code_is(tmp_path: Path, compute: Compute) -> None:
    model = _generator(code=("latent",))
    with pytest.raises(TargetError, match=r"g\.onnx: its input is \(\?, \?\): .* Set `latent_dim`\.$"):
        _target(tmp_path, model).load(compute)
    assert _target(tmp_path, model, latent_dim=3).load(compute).latent_dim == 3


def test_an_output_is_named_if_there_are_several(tmp_path: Path, compute: Compute) -> None:
    model = _generator(outputs=("images", "w_plus"))
    with pytest.raises(TargetError, match=r"it has several outputs\. Set `output` to one of images, w_plus"):
        _target(tmp_path, model).load(compute)
    with pytest.raises(
        TargetError, match=r"it has no output 'image'\. Set `output` to one of images, w_plus"
    ):
        _target(tmp_path, model, output="image").load(compute)
    assert _target(tmp_path, model, output="images").load(compute).image_shape == (3, 4, 4)


@pytest.mark.parametrize(
    ("model", "settings", "said"),
    [
        (_generator(inputs=("z", "c")), {}, r"it must have one input, the codes; got 2 \(z, c\)"),
        (_generator(), {"latent_dim": 4}, r"latent_dim is 4, and its input \(\?, 3\) takes 3 entries"),
        (_generator(code=("a", "b")), {"latent_dim": 3}, "say how many entries a code has"),
        (_generator(last="Exp"), {}, r"must give images in \[-1, 1\]"),
    ],
)
def test_what_is_no_generator_of_images_is_one_line(
    tmp_path: Path, compute: Compute, model: onnx.ModelProto, settings: dict[str, int], said: str
) -> None:
    with pytest.raises(TargetError, match=said) as refusal:
        _target(tmp_path, model, **settings).load(compute)
    assert len(str(refusal.value).splitlines()) == 1


@pytest.mark.parametrize("content", [b"", b"no ONNX", b"PK\x03\x04 a zip"])
def test_a_damaged_file_is_one_line(tmp_path: Path, compute: Compute, content: bytes) -> None:
    (tmp_path / "g.onnx").write_bytes(content)
    with pytest.raises(TargetError, match=r"g\.onnx: not an ONNX file that can be run") as refusal:
        OnnxTarget(onnx=str(tmp_path / "g.onnx")).load(compute)
    assert len(str(refusal.value).splitlines()) == 1


def test_weights_in_other_files_are_not_opened(
    tmp_path: Path, compute: Compute, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file may name any path; and the digest of the file would not hold what lies elsewhere."""
    monkeypatch.chdir(tmp_path)
    onnx.save(
        _generator(), tmp_path / "g.onnx", save_as_external_data=True, location="w.bin", size_threshold=0
    )
    with pytest.raises(TargetError, match=r"its weights lie in other files\. Write one file"):
        OnnxTarget(onnx=str(tmp_path / "g.onnx")).load(compute)


def test_an_absent_file_is_named(tmp_path: Path, compute: Compute) -> None:
    with pytest.raises(TargetError, match=r"g\.onnx: no such file"):
        OnnxTarget(onnx=str(tmp_path / "g.onnx")).load(compute)


def test_an_absent_package_is_named(
    tmp_path: Path, compute: Compute, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "onnxruntime", None)
    with pytest.raises(TargetError, match=r"pip install 'ganguard\[onnx\]'"):
        _target(tmp_path, _generator()).load(compute)
