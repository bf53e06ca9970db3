"""Which generators are refused because an image depends on more than its code, and with what cause."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganguard.base.compute import Compute
from ganguard.base.errors import TargetError
from ganguard.targets.module import ModuleTarget
from ganguard.targets.programs.torchscript import TorchScriptTarget

Forward = Callable[[Tensor], Tensor]


def _paint(z: Tensor) -> Tensor:
    return z[:, :, None, None].tanh().expand(-1, -1, 4, 4)


class Painter(nn.Module):
    """A generator of 4x4 colour images; `change` alters the codes before they are painted."""

    def __init__(self, change: Forward = lambda z: z, inner: nn.Module | None = None) -> None:
        super().__init__()
        self.change = change
        if inner is not None:
            self.inner = inner

    def forward(self, z: Tensor) -> Tensor:
        return _paint(self.change(self.inner(z) if hasattr(self, "inner") else z))


class Deaf(nn.Sequential):
    """A module that stays in training mode."""

    def eval(self) -> "Deaf":
        return self

    def train(self, mode: bool = True) -> "Deaf":
        return super().train(True)


def _noise(*, rows: int | None, seed: int | None = None) -> Forward:
    def change(z: Tensor) -> Tensor:
        if seed is not None:
            torch.manual_seed(seed)
        return z + torch.randn(rows or len(z), 3)

    return change


def _counted() -> Forward:
    calls: list[int] = []

    def change(z: Tensor) -> Tensor:
        calls.append(1)
        return z + 0.05 * len(calls)

    return change


def _generator_noise(z: Tensor) -> Tensor:
    return z + torch.randn(len(z), 3, generator=torch.Generator().manual_seed(0))


def _hidden(kind: str) -> nn.Module:
    norm = nn.BatchNorm1d(3)
    painter = Painter()
    if kind == "list":
        painter.__dict__["layers"] = [norm]
        painter.change = lambda z: cast(Any, painter).layers[0](z)
    elif kind == "closure":
        painter.change = lambda z: norm(z)
    else:
        painter.change = norm.forward
    return painter


def _open(module: nn.Module, compute: Compute) -> ModuleTarget:
    return ModuleTarget(module, latent_dim=3, identity="test", compute=compute)


IMPURE: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "BatchNorm without statistics": (
        lambda: Painter(inner=nn.BatchNorm1d(3, track_running_stats=False)),
        "whatever stands beside it.*inner \\(BatchNorm1d\\) has no running statistics",
    ),
    "eval does not reach": (
        lambda: Painter(inner=Deaf(nn.BatchNorm1d(3))),
        r"eval\(\) does not reach inner \(Deaf\), inner.0 \(BatchNorm1d\)",
    ),
    "not registered, in a list": (lambda: _hidden("list"), "BatchNorm1d in its attribute 'layers'"),
    "not registered, in a closure": (lambda: _hidden("closure"), "BatchNorm1d in its attribute 'change'"),
    "not registered, a method": (lambda: _hidden("method"), "BatchNorm1d in its attribute 'change'"),
    "functional BatchNorm": (
        lambda: Painter(lambda z: F.batch_norm(z, None, None, training=True)),
        "whatever stands beside it.*64 of|32 of|1 of.*normalisation by the batch",
    ),
    "least and greatest of the batch": (
        lambda: Painter(lambda z: 2 * (z - z.min()) / (z.max() - z.min()) - 1),
        "minimum, maximum, mean",
    ),
    "standardised codes": (
        lambda: Painter(lambda z: (z - z.mean(0)) / (z.std(0) + 1e-8)),
        "whatever stands beside it",
    ),
    "a little of the batch's mean": (lambda: Painter(lambda z: z + 0.1 * z.mean(0)), "beside it"),
    "the first code leads": (lambda: Painter(lambda z: z + z[:1]), "beside it|in a batch"),
    "the last code leads": (lambda: Painter(lambda z: z + z[-1:]), "beside it|in a batch"),
    "groups of four": (
        lambda: Painter(lambda z: z + z.view(16, 4, 3).std(1).repeat_interleave(4, 0)),
        "beside it|in a batch",
    ),
    "the neighbour": (lambda: Painter(lambda z: z + z.roll(1, 0)), "in a batch"),
    "the place": (lambda: Painter(lambda z: z + torch.linspace(0, 1, len(z))[:, None]), "wherever it stands"),
    "noise": (lambda: Painter(_noise(rows=None)), "gave others the second time.*draws noise"),
    "noise for the batch": (lambda: Painter(_noise(rows=1)), "gave others the second time"),
    "noise under a seed": (lambda: Painter(_noise(rows=None, seed=0)), "wherever.*after setting a seed"),
    "noise of a generator": (lambda: Painter(_generator_noise), "wherever it stands in a batch"),
    "dropout": (lambda: Painter(lambda z: F.dropout(z)), "gave others the second time"),
    "dropout that eval does not reach": (
        lambda: Painter(inner=Deaf(nn.Dropout())),
        r"second time.*eval\(\) does not reach",
    ),
    "what was asked before": (lambda: Painter(_counted()), "second time.*from one call to the next"),
}


@pytest.mark.parametrize("kind", IMPURE)
def test_an_image_that_depends_on_more_than_its_code_is_refused(kind: str, compute: Compute) -> None:
    make, said = IMPURE[kind]
    with pytest.raises(TargetError, match=said) as caught:
        _open(make(), compute)
    assert "levels of 255" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_fails_in_another_batch_alone_depends_on_it(compute: Compute) -> None:
    """Sixty-four equal codes have the deviation 0."""
    with pytest.raises(TargetError, match=r"whatever stands beside it; in another batch this came: .*NaN"):
        _open(Painter(lambda z: (z - z.mean(0)) / z.std(0)), compute)


PURE: dict[str, Callable[[], nn.Module]] = {
    "BatchNorm with statistics": lambda: Painter(inner=nn.BatchNorm1d(3)),
    "dropout in evaluation mode": lambda: Painter(inner=nn.Dropout()),
    "normalised code by code": lambda: Painter(lambda z: F.normalize(z)),
    "instances": lambda: Painter(lambda z: F.instance_norm(z[:, None])[:, 0]),
    "one noise for all": lambda: Painter(_noise(rows=1, seed=3)),
    "noise from the code": lambda: Painter(lambda z: z + (1000 * z).sin()),
}


@pytest.mark.parametrize("kind", PURE)
def test_an_image_that_follows_from_its_code_is_taken(kind: str, compute: Compute) -> None:
    target = _open(PURE[kind](), compute)
    assert not any("another way" in note for note in target.notes)
    images = target.sample(range(70), seed=0)
    assert torch.equal(target.sample(range(69, 70), seed=0), images[69:])


def test_a_level_here_and_there_is_rounding_and_is_said(compute: Compute) -> None:
    """Another place in a batch may mean another order of a sum."""

    class Rounding(nn.Module):
        def forward(self, z: Tensor) -> Tensor:
            images = z[:, :1, None, None].tanh().expand(-1, 1, 40, 40).clone()
            images[-1, 0, 0, 0] += 1 / 127.5
            return images.clamp(-1, 1)

    target = _open(Rounding(), compute)
    assert any("1 levels of 255 when they are asked for in another way: rounding" in n for n in target.notes)


class Normed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(3)

    def forward(self, z: Tensor) -> Tensor:
        return self.norm(z)[:, :, None, None].tanh().expand(-1, -1, 4, 4)


@pytest.mark.parametrize("trained", [True, False])
def test_a_trace_in_training_mode_is_refused(trained: bool, tmp_path: Path, compute: Compute) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch deprecates TorchScript, and a trace fixes the size of a batch
        program = torch.jit.trace(Normed().train(trained), torch.randn(64, 3), check_trace=False)
        torch.jit.save(program, tmp_path / "g.ts")
    settings = TorchScriptTarget(torchscript=str(tmp_path / "g.ts"), latent_dim=3, trusted=True)
    if not trained:
        settings.load(compute)
        return
    with pytest.raises(TargetError, match=r"batch_norm was traced in training mode: call eval\(\) before"):
        settings.load(compute)


def test_noise_in_a_program_is_refused(tmp_path: Path, compute: Compute) -> None:
    class Noisy(nn.Module):
        def forward(self, z: Tensor) -> Tensor:
            return (z + torch.randn_like(z))[:, :, None, None].tanh().expand(-1, -1, 4, 4)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.save(torch.jit.script(Noisy()), tmp_path / "g.ts")
    settings = TorchScriptTarget(torchscript=str(tmp_path / "g.ts"), latent_dim=3, trusted=True)
    with pytest.raises(TargetError, match="gave others the second time"):
        settings.load(compute)
