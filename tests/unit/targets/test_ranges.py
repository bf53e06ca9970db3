"""What a foreign generator's pixels say of their range: refused, said, or taken."""

import re
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from ganguard.base.compute import Compute
from ganguard.base.errors import SpecError, TargetError
from ganguard.targets.foreign.settings import Interface
from ganguard.targets.load import parse_target
from ganguard.targets.module import ModuleTarget

Change = Callable[[Tensor], Tensor]


class Picture(nn.Module):
    """A generator whose pixels fill [-1, 1] evenly; `change` then puts them into another range."""

    def __init__(self, change: Change) -> None:
        super().__init__()
        self.change = change

    def forward(self, z: Tensor) -> Tensor:
        phases = z[:, :1, None, None] + torch.arange(192.0).view(1, 3, 8, 8)
        return self.change(2 * (phases * 0.618).frac().abs() - 1)


def _open(change: Change, compute: Compute, stated: tuple[float, float] | None = None) -> ModuleTarget:
    return ModuleTarget(
        Picture(change),
        latent_dim=3,
        identity="test",
        compute=compute,
        interface=Interface(pixel_range=stated),
    )


def _sparse(x: Tensor) -> Tensor:
    """A black ground with few bright points, in [0, 1]."""
    return torch.where(x > 0.99, 1.0, 0.0)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda x: (x + 1) / 2 - 1e-4, r"got \[-8.\S*, 1\]\. Set `range: \[0, 1\]`"),
        (lambda x: (x + 1) / 2, r"Set `range: \[0, 1\]`"),
        (lambda x: (x + 1) / 2 * 1.05 - 0.02, r"Set `range: \[0, 1\]`"),
        (lambda x: ((x + 1) / 2) ** 4, r"Set `range: \[0, 1\]`"),
        (_sparse, r"Set `range: \[0, 1\]`"),
        (lambda x: _sparse(x) - 0.05 * (x < -0.9), r"Set `range: \[0, 1\]`"),
        (lambda x: (x + 1) * 127.5, r"Set `range: \[0, 255\]`"),
        (lambda x: (x + 1) * 127.5 - 0.5, r"Set `range: \[0, 255\]`"),
        (lambda x: 255 * _sparse(x), r"Set `range: \[0, 255\]`"),
        (lambda x: ((x + 1) * 127.5).byte(), r"got torch.uint8 tensor\. Set `range: \[0, 255\]`"),
        (lambda x: 2.2 * x, r"Scale them, or clamp.*`range: \[LOW, HIGH\]`"),
        (lambda x: 1.1 * x, r"Scale them, or clamp"),
        (lambda x: (x + 1) * 32767.5, r"Scale them, or clamp"),
    ],
    ids=[
        "unit, a hair lower",
        "unit",
        "unit, overshooting",
        "unit, dark",
        "unit, sparse",
        "unit, sparse and overshooting",
        "bytes",
        "bytes, half a level lower",
        "bytes, sparse",
        "bytes as such",
        "normalised by a data set",
        "a tenth too wide",
        "16 bits",
    ],
)
def test_what_is_surely_another_range_is_refused(change: Change, said: str, compute: Compute) -> None:
    with pytest.raises(TargetError, match=said):
        _open(change, compute)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda x: x / 2, r"use only \[-0.5, 0.5\] of \[-1, 1\], about 128 of 256"),
        (lambda x: x / 127.5, r"about 3 of 256 grey levels.*set `range: \[LOW, HIGH\]`"),
        (lambda x: x / 2 - 0.5, r"use only \[-1, -0\S*\] of"),
        (lambda x: torch.full_like(x, -1), "about 1 of 256"),
        (lambda x: torch.where(x > 0.95, 1.5, x), r"2\.\d\d% of its values lie outside .*clamped"),
    ],
    ids=["half", "divided by 127.5", "the dark half", "one value", "few outside"],
)
def test_what_may_be_meant_is_said(change: Change, said: str, compute: Compute) -> None:
    (note,) = _open(change, compute).notes
    assert note.startswith("The generator: ")
    assert re.search(said, note)


@pytest.mark.parametrize(
    "change",
    [
        lambda x: x,
        lambda x: 0.7 * x,
        lambda x: 1.008 * x,
        lambda x: (x * 4).clamp(-1, 1),
        lambda x: 1 - 2 * _sparse(x),
    ],
    ids=["whole", "most", "a hair outside", "black and white", "dark points"],
)
def test_what_fills_the_range_is_taken_in_silence(change: Change, compute: Compute) -> None:
    assert _open(change, compute).notes == ()


@pytest.mark.parametrize(
    ("change", "stated"),
    [
        (lambda x: (x + 1) / 2, (0, 1)),
        (lambda x: (x + 1) * 127.5, (0, 255)),
        (lambda x: ((x + 1) * 127.5).round().byte(), (0, 255)),
        (lambda x: ((x + 1) * 32767.5).round().int(), (0, 65535)),
        (lambda x: x / 2, (-0.5, 0.5)),
        (lambda x: x, (-1, 1)),
    ],
    ids=["unit", "bytes", "bytes as such", "16 bits", "half", "own"],
)
def test_a_stated_range_becomes_all_256_levels(
    change: Change, stated: tuple[float, float], compute: Compute
) -> None:
    target, plain = _open(change, compute, stated), _open(lambda x: x, compute)
    apart = target.sample(range(70), seed=1).int() - plain.sample(range(70), seed=1).int()
    assert apart.abs().max() <= 1
    assert target.notes == ()


@pytest.mark.parametrize("stated", [(0, 1), (-1, 1)])
def test_another_range_than_the_stated_one_is_refused(stated: tuple[float, float], compute: Compute) -> None:
    with pytest.raises(TargetError, match=r"got \[\S+, 25\d\]\. Set `range` to what it gives"):
        _open(lambda x: (x + 1) * 127.5, compute, stated)


def test_a_stated_range_is_believed_if_the_images_are_bright(compute: Compute) -> None:
    assert _open(lambda x: (x + 1) / 2, compute, (-1, 1)).notes != ()


@pytest.mark.parametrize("limits", [[1, 0], [0, 0], [0], [0, 1, 2], "0, 1", [0, float("nan")], [0, 1e300]])
def test_no_range_is_refused(limits: object) -> None:
    with pytest.raises(SpecError, match=r"target\.range"):
        parse_target({"python": "gan:make", "range": limits})


@pytest.mark.parametrize(
    "kind",
    [
        {"python": "gan:make"},
        {"torchscript": "g.ts", "latent_dim": 3, "trusted": True},
        {"exported": "g.pt2", "trusted": True},
        {"onnx": "g.onnx"},
    ],
)
def test_a_spec_may_state_the_range(kind: dict[str, object]) -> None:
    settings = parse_target({**kind, "range": [0, 255]})
    assert parse_target(settings.model_dump(mode="json")) == settings
    assert settings.model_dump()["range"] == (0, 255)
