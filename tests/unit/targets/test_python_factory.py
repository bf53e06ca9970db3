import importlib
import itertools
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from ganguard.base.compute import Compute
from ganguard.base.errors import TargetError
from ganguard.targets.module import ModuleTarget
from ganguard.targets.protocol import WhiteBoxTarget
from ganguard.targets.python_factory import PythonTarget

GOOD = """
import torch
from torch import nn


class G(nn.Module):
    latent_dim = 3

    def __init__(self):
        super().__init__()
        self.gain = nn.Parameter(torch.ones(()))

    def forward(self, z):
        return (self.gain * z[:, :1, None, None]).tanh().expand(-1, 1, 4, 4)


class D(nn.Module):
    def __init__(self):
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(()))

    def forward(self, images):
        return images.mean(dim=(1, 2, 3)) + self.bias
"""
_NUMBERS = itertools.count()
Open = Callable[..., ModuleTarget]


@pytest.fixture
def open_factory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compute: Compute) -> Open:
    """Write a module with a factory into the current folder, under a unique name, and load it as a target."""
    monkeypatch.chdir(tmp_path)

    def load(body: str, *, code: str = GOOD, factory: str = "make", **settings: object) -> ModuleTarget:
        name = f"factory_under_test_{next(_NUMBERS)}"
        (tmp_path / f"{name}.py").write_text(f"{code}\n\ndef make():\n{textwrap.indent(body, '    ')}\n")
        importlib.invalidate_caches()
        return PythonTarget(python=f"{name}:{factory}", **settings).load(compute)

    return load


def test_a_generator_alone_is_a_latent_target(open_factory: Open) -> None:
    target = open_factory("return G()")
    assert (target.latent_dim, target.image_shape) == (3, (1, 4, 4))
    assert not isinstance(target, WhiteBoxTarget)


def test_a_pair_is_a_white_box(open_factory: Open) -> None:
    target = open_factory("return G(), D()")
    assert isinstance(target, WhiteBoxTarget)
    assert target.discriminator.scores(target.sample(range(5), seed=0)).shape == (5,)


def test_a_tuple_of_one_is_a_generator_alone(open_factory: Open) -> None:
    assert not isinstance(open_factory("return (G(),)"), WhiteBoxTarget)


def test_latent_dim_may_be_said_beside_the_factory(open_factory: Open) -> None:
    assert open_factory("return G()", latent_dim=7).draw_latents(range(2), seed=0).shape == (2, 7)


@pytest.mark.parametrize("latent_dim", ["None", "'3'"])
def test_without_a_latent_dim_it_is_asked_for(open_factory: Open, latent_dim: str) -> None:
    with pytest.raises(TargetError, match="latent_dim"):
        open_factory(f"G.latent_dim = {latent_dim}\nreturn G()")


def test_the_identity_is_of_the_name_and_both_networks_weights(open_factory: Open) -> None:
    bodies = [
        "return G(), D()",
        "g = G(); g.gain.data.fill_(2); return g, D()",
        "d = D(); d.bias.data.fill_(1); return G(), d",
        "return G()",
    ]
    digests = {tuple(open_factory(body).identity.split(":")[-2:]) for body in bodies}
    assert len(digests) == 4
    assert open_factory("return G()").identity.startswith("python:factory_under_test_")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("raise SystemExit(0)", "raised SystemExit: 0.*if __name__"),
        (
            "g = G(); g.forward = lambda z: torch.rand(len(z), 1, 8, 8) - 0.5; return g",
            "must give the same images for the same codes; it gave others",
        ),
    ],
)
def test_a_factory_that_leaves_or_draws_its_own_noise_is_refused(
    open_factory: Open, body: str, said: str
) -> None:
    with pytest.raises(TargetError, match=said):
        open_factory(body)


def test_a_missing_module_is_named(open_factory: Open, compute: Compute) -> None:
    with pytest.raises(
        TargetError, match=r"no module 'no_such_factory_module'. Run from the folder that holds it"
    ):
        PythonTarget(python="no_such_factory_module:make").load(compute)


def test_a_module_that_the_users_module_lacks_is_named(open_factory: Open) -> None:
    with pytest.raises(TargetError, match="no module 'no_such_dependency'"):
        open_factory("return G()", code="import no_such_dependency")


def test_a_missing_function_is_named(open_factory: Open) -> None:
    with pytest.raises(TargetError, match="has no function 'build'"):
        open_factory("return G()", factory="build")


@pytest.mark.parametrize("code", ["", "raise RuntimeError('out of luck')"], ids=["factory", "module"])
def test_what_raises_is_repeated(open_factory: Open, code: str) -> None:
    with pytest.raises(TargetError, match="raised RuntimeError: out of luck"):
        open_factory("raise RuntimeError('out of luck')", code=code or GOOD)


def test_a_module_that_is_no_python_is_a_target_error(open_factory: Open) -> None:
    with pytest.raises(TargetError, match="SyntaxError"):
        open_factory("return G()", code="def def")


@pytest.mark.parametrize(
    ("body", "got"),
    [
        ("return 3", "got int"),
        ("return None", "got NoneType"),
        ("return G", "got type"),
        ("return G(), 3", "got G, int"),
        ("return G(), D(), D()", "got G, D, D"),
        ("return ()", "got nothing"),
        ("return [G(), D()]", "got list"),
    ],
)
def test_another_type_says_what_came(open_factory: Open, body: str, got: str) -> None:
    with pytest.raises(TargetError, match=rf"must return G or \(G, D\).*{got}"):
        open_factory(body)


def _forward(expression: str) -> str:
    return f"G.forward = lambda self, z: {expression}\nreturn G()"


PAINT = "z[:, :1, None, None].tanh().expand(-1, 1, 4, 4)"


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("z", r"got \(64, 3\)"),
        (f"({PAINT} + 1) * 127.5", r"images in \[-1, 1\]"),
        (f"({PAINT} + 1) / 2", r"images in \[-1, 1\]"),
        (f"{PAINT} * float('nan')", "NaN"),
        ("None", "got NoneType"),
        ("z @ z", "the generator raised"),
    ],
    ids=["shape", "bytes", "unit", "NaN", "nothing", "raises"],
)
def test_a_generator_that_gives_something_else_is_refused(
    open_factory: Open, expression: str, said: str
) -> None:
    with pytest.raises(TargetError, match=said):
        open_factory(_forward(expression))


def test_the_import_path_is_put_back(open_factory: Open) -> None:
    before = list(sys.path)
    open_factory("return G()")
    with pytest.raises(TargetError):
        open_factory("raise RuntimeError")
    assert sys.path == before
