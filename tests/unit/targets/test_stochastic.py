"""Generators with noise in `forward`: each image has noise of its own, from seed and index, and from nowhere
else."""

import importlib
import itertools
import random
import textwrap
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ganguard.base.compute import Compute
from ganguard.base.errors import TargetError
from ganguard.targets.load import load_target, parse_target
from ganguard.targets.protocol import BlackBoxTarget, LatentTarget, WhiteBoxTarget, notes_of

CODE = """
import os, random, time
import numpy as np
import torch
from torch import nn

{at_import}


class G(nn.Module):
    latent_dim = 3

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 16)
        with torch.no_grad():
            self.layer.weight.copy_(torch.sin(torch.arange(48.0)).view(16, 3))
            self.layer.bias.zero_()
        {kept}

    def forward(self, z{arguments}):
        x = self.layer(z).view(-1, 1, 4, 4)
{forward}
        return x.tanh()


class D(nn.Module):
    def forward(self, images):
        return images.mean(dim=(1, 2, 3))


def make():
    return {returned}
"""
FORWARD: dict[str, str] = {
    "torch": "x = x + torch.randn(x.shape)",
    "torch, on the way": "for _ in range(3): x = 0.9 * x + 0.3 * torch.randn_like(x)",
    "dropout": "x = nn.functional.dropout(x, 0.5, training=True)",
    "NumPy": "x = x + torch.from_numpy(np.random.randn(*x.shape)).float()",
    "an odd number of NumPy's normals": "x = x + float(np.random.randn())",
    "Python": "x = x + random.gauss(0, 1)",
    "all three": "x = x + torch.randn(1) + float(np.random.rand()) + random.random()",
    "one noise for the batch": "x = x + torch.randn(1, *x.shape[1:])",
    "as many draws as the code says": "x = x + sum(torch.randn(1) for _ in range(1 + int(z[0, 0] > 0)))",
    "gradients inside": """
        y = x.detach().requires_grad_(True)
        (step,) = torch.autograd.grad((y ** 2).sum(), y)
        x = x - 0.1 * step + 0.4 * torch.randn_like(x)
    """,
}
LIST = """
    x = x + torch.cat([torch.randn(1, *x.shape[1:], generator=one) for one in {name}])
    seen.append(len(x))
"""
ALONE = "x = x + torch.randn(x.shape, generator=generator)"
SLOW = pytest.mark.slow
AT_ONCE = ("torch", "all three", "gradients inside")  # the others take seconds
_NUMBERS = itertools.count()
Write = Callable[..., dict[str, Any]]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Write a module, and return the settings of its target."""
    monkeypatch.chdir(tmp_path)

    def write(forward: str, arguments: str = "", **texts: str) -> dict[str, Any]:
        name = f"stochastic_{next(_NUMBERS)}"
        said = {"at_import": "seen = []", "kept": "", "returned": "G()", **texts}
        body = textwrap.indent(textwrap.dedent(forward).strip("\n"), " " * 8)
        (tmp_path / f"{name}.py").write_text(CODE.format(forward=body, arguments=arguments, **said))
        importlib.invalidate_caches()
        return {"python": f"{name}:make", "stochastic": True}

    return write


def opened(settings: dict[str, Any], compute: Compute) -> BlackBoxTarget:
    return load_target(parse_target(settings), compute)


def require_function_of_seed_and_index(target: BlackBoxTarget, count: int = 20) -> None:
    """Ask for images in many ways, beside draws of everybody else."""
    assert not isinstance(target, LatentTarget)
    whole = target.sample(range(count), seed=1)
    assert len(whole.flatten(1).unique(dim=0)) == count
    for start, stop in ((0, 1), (3, 5), (count - 1, count), (2, count - 3)):
        torch.randn(3)
        np.random.randn(1)  # noqa: NPY002 - a neighbour that draws
        random.gauss(0, 1)
        assert torch.equal(target.sample(range(start, stop), seed=1), whole[start:stop])
    assert not (target.sample(range(9), seed=2) == whole[:9]).flatten(1).all(1).any()


@pytest.mark.parametrize(
    "noise", [pytest.param(name, marks=[SLOW] * (name not in AT_ONCE)) for name in FORWARD]
)
def test_an_image_is_a_function_of_seed_and_index(write: Write, compute: Compute, noise: str) -> None:
    settings = write(FORWARD[noise])
    target = opened(settings, compute)
    require_function_of_seed_and_index(target)
    assert opened(settings, compute).identity == target.identity
    assert not any("stochastic" in note for note in notes_of(target))
    with pytest.raises(TargetError, match=r"set `stochastic: true`"):
        opened({**settings, "stochastic": False}, compute)


@pytest.mark.parametrize("name", ["generator", "generators"])
def test_a_list_of_generators_is_given_for_a_batch(write: Write, compute: Compute, name: str) -> None:
    settings = write(LIST.format(name=name), f", {name}=None")
    target = opened(settings, compute)
    require_function_of_seed_and_index(target, count=70)
    module = importlib.import_module(settings["python"].partition(":")[0])
    assert set(module.seen) == {64}
    for batch in (5, 1):
        opened({**settings, "batch": batch}, compute).sample(range(7), seed=0)
    assert set(module.seen) == {64, 5, 1}


@pytest.mark.parametrize(
    "arguments", [", generator", ", *, generator=None", ", generator: torch.Generator = None"]
)
def test_one_generator_is_given_for_an_image_if_a_list_is_not_taken(
    write: Write, compute: Compute, arguments: str
) -> None:
    settings = write(ALONE, arguments)
    require_function_of_seed_and_index(opened(settings, compute))
    with pytest.raises(TargetError, match=r"[sS]et `stochastic: true`"):
        opened({**settings, "stochastic": False}, compute)


def test_noise_that_a_list_does_not_reach_is_seeded_one_at_a_time(write: Write, compute: Compute) -> None:
    require_function_of_seed_and_index(
        opened(write("x = x + torch.randn(x.shape)", ", generator=None"), compute)
    )


ELSEWHERE = {
    "NumPy's new generators": ("x = x + float(np.random.default_rng().normal())", ""),
    "a generator that G keeps": (
        "x = x + torch.randn(x.shape, generator=self.own)",
        "self.own = torch.Generator()",
    ),
    "the system": ("x = x + os.urandom(1)[0] / 100", ""),
    "a count of calls": ("self.calls += 1; x = x + 0.1 * self.calls", "self.calls = 0"),
}


@pytest.mark.parametrize("noise", ELSEWHERE)
def test_noise_from_elsewhere_is_refused_with_what_to_do(write: Write, compute: Compute, noise: str) -> None:
    forward, kept = ELSEWHERE[noise]
    with pytest.raises(TargetError, match=r"gave others the second time .* one an image") as raised:
        opened(write(forward, kept=kept), compute)
    assert "\n" not in str(raised.value)


def test_a_generator_without_noise_is_told_so(write: Write, compute: Compute) -> None:
    (note,) = notes_of(opened(write("pass"), compute))
    assert "other noise gives the same images: leave it out" in note


def test_noise_and_seed_are_no_part_of_each_other(write: Write, compute: Compute) -> None:
    """Two images of a seed have noise apart, also if G ignores its codes."""
    target = opened(write("x = 0 * x + torch.randn(x.shape)"), compute)
    values = target.sample(range(200), seed=0).float().flatten(1) / 127.5 - 1
    correlations = torch.corrcoef(values) - torch.eye(200)
    assert correlations.abs().mean() < 0.35  # of 16 independent values: 0.2
    assert values.mean().abs() < 0.05


@pytest.mark.parametrize("place", ["at_import", "kept"])
def test_what_it_seeds_itself_is_not_what_it_draws(write: Write, compute: Compute, place: str) -> None:
    seeded = "torch.manual_seed(0); np.random.seed(0); np.random.set_bit_generator(np.random.PCG64(1))"
    settings = write(FORWARD["all three"], **{place: f"seen = []; {seeded}"})
    before = torch.get_rng_state(), random.getstate(), str(np.random.get_state())  # noqa: NPY002
    target = opened(settings, compute)
    target.sample(range(3), seed=4)
    after = torch.get_rng_state(), random.getstate(), str(np.random.get_state())  # noqa: NPY002
    assert torch.equal(before[0], after[0])
    assert before[1:] == after[1:]
    require_function_of_seed_and_index(target)


def test_seeding_in_forward_is_no_noise(write: Write, compute: Compute) -> None:
    settings = write("torch.manual_seed(0); x = x + torch.randn(x.shape)")
    assert "other noise gives the same images" in notes_of(opened(settings, compute))[0]


def test_a_discriminator_is_handed_over(write: Write, compute: Compute) -> None:
    target = opened(write(FORWARD["torch"], returned="(G(), D())"), compute)
    assert isinstance(target, WhiteBoxTarget)
    assert not isinstance(target, LatentTarget)
    assert target.discriminator.scores(target.sample(range(3), seed=0)).shape == (3,)


@pytest.mark.parametrize(
    ("settings", "forward", "said"),
    [
        ({}, "x = x[0] + torch.randn(1)", r"must give \(1, C, H, W\)"),
        ({}, "x = x + torch.randn(1) / 0 * 0", "NaN or infinity"),
        ({}, "x = x + torch.randn(1); raise ValueError('bad')", "bad"),
        ({}, "x = x + torch.randn(1); return (x.tanh() + 1) / 2", r"Set `range: \[0, 1\]`"),
        ({}, "return (127.5 * (x + torch.randn(1)).tanh() + 127.5).to(torch.uint8)", "float tensor"),
        ({"latent_dim": 4}, "x = x + torch.randn(1)", "raised on codes"),
    ],
)
def test_what_is_no_image_is_refused(
    write: Write, compute: Compute, settings: dict[str, Any], forward: str, said: str
) -> None:
    with pytest.raises(TargetError, match=said) as raised:
        opened({**write(forward), **settings}, compute)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "forward",
    ["return (x + torch.randn(x.shape)).tanh() / 2 + 0.5", pytest.param(FORWARD["torch"], marks=SLOW)],
)
def test_range_prior_shape_and_batch_hold_here_too(write: Write, compute: Compute, forward: str) -> None:
    unit = {"range": [0, 1]} if "return" in forward else {}
    target = opened({**write(forward), **unit, "prior": "uniform", "batch": 4}, compute)
    require_function_of_seed_and_index(target)
    assert target.sample(range(50), seed=0).float().std() > 60
    whole = "return (127.5 * (x + torch.randn(1)).tanh() + 127.5).to(torch.uint8)"
    bytes_of = opened({**write(whole), "range": [0, 255]}, compute)
    assert bytes_of.sample(range(50), seed=0).float().std() > 60


class Scripted(torch.nn.Module):
    """G with noise, to be scripted, traced and exported."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(3, 16)

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        x = self.layer(z).view(-1, 1, 4, 4)
        return (2 * x + torch.randn_like(x)).tanh()


@pytest.mark.parametrize(
    "kind", ["script", pytest.param("trace", marks=SLOW), pytest.param("export", marks=SLOW)]
)
def test_programs_may_draw_noise_too(kind: str, compute: Compute, tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch deprecates TorchScript, and a trace says that noise differs
        if kind == "export":
            program = torch.export.export(Scripted(), (torch.zeros(8, 3),))
            torch.export.save(program, tmp_path / "g.pt2")
            settings: dict[str, Any] = {"exported": str(tmp_path / "g.pt2")}
        else:
            made = (
                torch.jit.script(Scripted())
                if kind == "script"
                else torch.jit.trace(Scripted(), torch.zeros(1, 3), check_trace=False)
            )
            torch.jit.save(made, tmp_path / "g.ts")
            settings = {"torchscript": str(tmp_path / "g.ts"), "latent_dim": 3}
    with pytest.raises(TargetError, match=r"set `stochastic: true`"):
        opened({**settings, "trusted": True}, compute)
    require_function_of_seed_and_index(opened({**settings, "trusted": True, "stochastic": True}, compute))
