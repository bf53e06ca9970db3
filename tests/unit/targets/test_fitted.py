"""Weights that did not arrive are said; weights of every type are taken, and tell one target from another."""

import copy
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from torch import Tensor, nn

from ganguard.base.cache import tensor_digest
from ganguard.base.compute import Compute
from ganguard.base.errors import TargetError
from ganguard.base.weights import weights_of
from ganguard.targets.module import ModuleTarget, WhiteBoxModuleTarget
from ganguard.targets.programs.torchscript import TorchScriptTarget
from ganguard.targets.python_factory import PythonTarget

CODE = """
import torch
from torch import nn


class G(nn.Module):
    latent_dim = 3

    def __init__(self):
        super().__init__()
        self.layer, self.out = nn.Linear(3, 48), nn.Tanh()
        with torch.no_grad():
            self.layer.weight.copy_(2 * torch.sin(torch.arange(144.0)).view(48, 3))
            self.layer.bias.zero_()

    def forward(self, z):
        return self.out(self.layer(z)).view(-1, 3, 4, 4)


class GAN(nn.Module):
    def __init__(self):
        super().__init__()
        self.generator = G()


def make():
"""
GOOD = "G().state_dict()"


@pytest.fixture
def open_factory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compute: Compute, request: pytest.FixtureRequest
) -> Callable[[str], ModuleTarget]:
    monkeypatch.chdir(tmp_path)

    def load(body: str) -> ModuleTarget:
        name = f"fitted_under_test_{abs(hash((request.node.name, body)))}"
        (tmp_path / f"{name}.py").write_text(CODE + "\n".join(f"    {line}" for line in body.split("; ")))
        return PythonTarget(python=f"{name}:make").load(compute)

    return load


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (
            "g = G(); g.load_state_dict({'module.' + k: v for k, v in " + GOOD + ".items()}, strict=False);"
            " return g",
            "fitted none of the 2 tensors of its G, .*'layer.weight'; the file has names such as 'module",
        ),
        ("g = G(); g.load_state_dict({}, strict=False); return g", "fitted none of the 2 tensors"),
        (
            "a = GAN(); a.load_state_dict(" + GOOD + ", strict=False); return a.generator",
            "fitted none of the 2 tensors of its GAN, which wants names such as 'generator.layer.weight'",
        ),
        (
            "g = G(); g.layer.load_state_dict(" + GOOD + ", strict=False); return g",
            "fitted none of the 2 tensors of its Linear",
        ),
    ],
    ids=["prefix", "empty", "of the whole", "of a part"],
)
def test_a_load_that_fitted_nothing_is_said(open_factory: Any, body: str, said: str) -> None:
    (note,) = open_factory(body).notes
    assert note.startswith("fitted_under_test_")
    with pytest.raises(AssertionError, match=said):
        raise AssertionError(note)


@pytest.mark.parametrize(
    "body",
    [
        "g = G(); g.load_state_dict(" + GOOD + "); return g",
        "g = G(); g.load_state_dict({**" + GOOD + ", 'steps': torch.ones(1)}, strict=False); return g",
        "g = G(); g.load_state_dict({'layer.weight': g.layer.weight}, strict=False); return g",
        "g = G(); g.load_state_dict({}, strict=False); g.load_state_dict(" + GOOD + "); return g",
        "nn.Linear(2, 2).load_state_dict({}, strict=False); return G()",
    ],
    ids=["strict", "more than wanted", "half", "a second load", "another network"],
)
def test_a_load_that_fitted_is_not_said(open_factory: Any, body: str) -> None:
    assert open_factory(body).notes == ()


def test_loading_is_pytorchs_own_again(open_factory: Any) -> None:
    before = nn.Module.load_state_dict
    with pytest.raises(TargetError):
        open_factory("raise RuntimeError")
    assert nn.Module.load_state_dict is before


class Layered(nn.Module):
    """A generator of 4x4 images through one hidden layer."""

    def __init__(self, norm: nn.Module | None = None) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 48)
        self.norm = norm or nn.Identity()
        with torch.no_grad():
            self.layer.weight.copy_(2 * torch.sin(torch.arange(144.0)).view(48, 3))
            self.layer.bias.zero_()

    def forward(self, z: Tensor) -> Tensor:
        return self.norm(self.layer(z)).tanh().view(-1, 3, 4, 4)


class Judge(nn.Module):
    def __init__(self, norm: nn.Module | None = None) -> None:
        super().__init__()
        self.norm, self.layer = norm or nn.Identity(), nn.Linear(48, 1)
        with torch.no_grad():
            self.layer.weight.copy_(torch.cos(torch.arange(48.0)).view(1, 48))
            self.layer.bias.zero_()

    def forward(self, images: Tensor) -> Tensor:
        return self.layer(self.norm(images.flatten(1)))


def _open(module: nn.Module, compute: Compute) -> ModuleTarget:
    return ModuleTarget(module, latent_dim=3, identity="test", compute=compute)


def _filled(norm: nn.BatchNorm1d, **values: float) -> nn.BatchNorm1d:
    for name, value in values.items():
        norm.get_buffer(name).fill_(value)
    return norm


@pytest.mark.parametrize(
    ("norm", "said"),
    [
        (nn.BatchNorm1d(48), True),
        (_filled(nn.BatchNorm1d(48), num_batches_tracked=7), True),
        (_filled(nn.BatchNorm1d(48), running_mean=0.1), False),
        (_filled(nn.BatchNorm1d(48), running_var=0.9), False),
        (nn.SyncBatchNorm(48), True),
        (nn.Sequential(nn.BatchNorm1d(48), nn.BatchNorm1d(48)), True),
    ],
    ids=["new", "counted and yet new", "mean", "variance", "synchronised", "two"],
)
def test_statistics_that_were_never_filled_are_said(norm: nn.Module, said: bool, compute: Compute) -> None:
    notes = _open(Layered(norm), compute).notes
    assert any("never saw a batch" in note for note in notes) == said
    pair = WhiteBoxModuleTarget(
        Layered(), Judge(copy.deepcopy(norm)), latent_dim=3, identity="test", compute=compute
    )
    of_D = [note for note in pair.notes if note.startswith("The discriminator: ")]
    assert bool(of_D) == said


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_weights_of_another_precision_are_taken(dtype: torch.dtype, compute: Compute) -> None:
    target = WhiteBoxModuleTarget(
        Layered().to(dtype), Judge().to(dtype), latent_dim=3, identity="test", compute=compute
    )
    plain = _open(Layered(), compute)
    apart = target.sample(range(70), seed=0).int() - plain.sample(range(70), seed=0).int()
    assert apart.abs().max() <= 4
    assert target.discriminator.scores(target.sample(range(3), seed=0)).dtype == torch.float32
    other = Layered().to(dtype)
    other.layer.bias.data += 0.01
    assert tensor_digest(weights_of(other)) != tensor_digest(weights_of(Layered().to(dtype)))


def test_a_network_that_casts_its_input_itself_gets_float32(compute: Compute) -> None:
    class Casting(Layered):
        def forward(self, z: Tensor) -> Tensor:
            assert z.dtype == torch.float32
            return super().forward(z.to(self.layer.weight.dtype))

    assert _open(Casting().bfloat16(), compute).image_shape == (3, 4, 4)


class Extra(Layered):
    """A generator whose state holds what is no tensor."""

    extra: object = None

    def get_extra_state(self) -> object:
        return self.extra

    def set_extra_state(self, state: object) -> None:
        self.extra = state


@pytest.mark.parametrize(
    "extra",
    [{"steps": 7}, b"bytes", "text", 3, None, (1, [2]), {"scale": torch.ones(2, dtype=torch.bfloat16)}],
)
def test_extra_state_is_taken(extra: object, compute: Compute, open_factory: Any) -> None:
    module = Extra()
    module.extra = extra
    assert _open(module, compute).image_shape == (3, 4, 4)
    assert {"layer.weight", "layer.bias"} <= weights_of(module).keys()
    tensor_digest(weights_of(module))
    open_factory("G.get_extra_state = lambda self: {'steps': 7}; return G()")


def test_tensors_within_extra_state_count() -> None:
    digests: set[str] = set()
    for value in (1.0, 2.0):
        module = Extra()
        module.extra = {"scales": [torch.tensor(value)]}
        digests.add(tensor_digest(weights_of(module)))
    assert len(digests) == 2


def _quantised(scale: float = 1.0, *, dynamic: bool) -> nn.Module:
    ao, module = torch.ao.quantization, Layered()
    module.layer.weight.data *= scale
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch deprecates its own quantisation for another package's
        if dynamic:
            return ao.quantize_dynamic(module, {nn.Linear}, dtype=torch.qint8)
        module.norm = ao.DeQuantStub()
        static = nn.Sequential(ao.QuantStub(), module).eval()
        cast(Any, static).qconfig = ao.get_default_qconfig("x86")
        prepared = ao.prepare(static)
        prepared(torch.randn(500, 3, generator=torch.Generator().manual_seed(0)))
        return ao.convert(prepared)


def test_a_quantised_network_is_taken(compute: Compute, tmp_path: Path) -> None:
    target, plain = _open(_quantised(dynamic=False), compute), _open(Layered(), compute)
    apart = target.sample(range(70), seed=0).int() - plain.sample(range(70), seed=0).int()
    assert apart.abs().float().mean() < 6
    same, again, other = (weights_of(_quantised(scale, dynamic=False)) for scale in (1.0, 1.0, 1.1))
    assert tensor_digest(same) == tensor_digest(again) != tensor_digest(other)
    program = _program(_quantised(dynamic=False), tmp_path / "g.ts")
    assert torch.equal(program.load(compute).sample(range(9), seed=0), target.sample(range(9), seed=0))


def _program(module: nn.Module, file: Path) -> TorchScriptTarget:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch deprecates TorchScript
        torch.jit.save(torch.jit.script(module), file)
    return TorchScriptTarget(torchscript=str(file), latent_dim=3, trusted=True)


def test_a_network_that_rounds_by_the_batch_is_refused(compute: Compute, tmp_path: Path) -> None:
    with pytest.raises(
        TargetError, match=r"layer \(Linear\) is quantised dynamically: it rounds its input by"
    ):
        _open(_quantised(dynamic=True), compute)
    program = _program(_quantised(dynamic=True), tmp_path / "g.ts")
    with pytest.raises(TargetError, match="A layer is quantised dynamically"):
        program.load(compute)


def test_tensors_that_numpy_lacks_are_told_apart() -> None:
    class Odd(nn.Module):
        def __init__(self, value: float) -> None:
            super().__init__()
            dense = torch.tensor([[0.0, value]])
            for name, tensor in {
                "brain": dense.bfloat16(),
                "eighth": dense.to(torch.float8_e4m3fn),
                "sparse": dense.to_sparse(),
                "complex": torch.complex(dense, dense).conj(),
                "channels": torch.quantize_per_channel(
                    dense, torch.tensor([0.1]), torch.tensor([0]), 0, torch.qint8
                ),
                "scalar": torch.tensor(value, dtype=torch.bfloat16),
                "strided": torch.stack([dense, dense], 2).bfloat16()[..., 0],
            }.items():
                self.register_buffer(name, tensor)

    same, other = (weights_of(Odd(value)) for value in (1.0, 2.0))
    assert tensor_digest(same) == tensor_digest(weights_of(Odd(1.0)))
    for name in ("brain/torch.bfloat16", "sparse", "complex", "channels", "scalar/torch.bfloat16"):
        assert tensor_digest({"x": same[name]}) != tensor_digest({"x": other[name]}), name
