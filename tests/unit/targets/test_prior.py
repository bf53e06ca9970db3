import importlib
import itertools
import math
import textwrap
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import stats

from ganguard.base.compute import Compute
from ganguard.base.errors import SpecError, TargetError
from ganguard.targets.ask import parse_ask
from ganguard.targets.load import fingerprint, load_target, parse_target
from ganguard.targets.module import ModuleTarget
from ganguard.targets.prior import NORMAL, OfIndices, PythonPrior, TruncatedPrior, prior_of

MODULE = """
import torch
from torch import nn


class G(nn.Module):
    def forward(self, z):
        assert z.shape[1:] == {shape}, z.shape
        return z.flatten(1)[:, :4].view(-1, 1, 2, 2).tanh()


def make():
    g = G()
    g.latent_shape = {shape}
    return g

{more}
"""
_NUMBERS = itertools.count()
Open = Callable[..., ModuleTarget]


@pytest.fixture
def open_target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compute: Compute) -> Open:
    """Open a G that checks the shape of its codes and shows four entries of each. `more` is code beside it;
    {name} in a prior stands for its module."""
    monkeypatch.chdir(tmp_path)

    def load(
        prior: object = None, *, shape: tuple[int, ...] = (6,), more: str = "", **settings: object
    ) -> ModuleTarget:
        name = f"prior_under_test_{next(_NUMBERS)}"
        text = MODULE.format(shape=shape, more=textwrap.dedent(more))
        (tmp_path / f"{name}.py").write_text(text)
        importlib.invalidate_caches()
        if isinstance(prior, str):
            prior = prior.format(name=name)
        said = {"python": f"{name}:make", **({} if prior is None else {"prior": prior}), **settings}
        found = parse_target(said)
        assert parse_target(found.model_dump(mode="json")) == found
        target = load_target(found, compute)
        assert isinstance(target, ModuleTarget)
        return target

    return load


def _codes(prior: object, width: int = 4, count: int = 20_000) -> torch.Tensor:
    found = parse_target({"torchscript": "g.ts", "latent_dim": width, "prior": prior})
    return prior_of(found).draw(OfIndices(3, range(count)), width)


@pytest.mark.parametrize(
    ("prior", "expected"),
    [
        ("normal", stats.norm()),
        ({"kind": "normal", "std": 0.5}, stats.norm(scale=0.5)),
        ("uniform", stats.uniform(-1, 2)),
        ({"kind": "uniform", "low": 0, "high": 3}, stats.uniform(0, 3)),
        ("truncated", stats.truncnorm(-2, 2)),
        ({"kind": "truncated", "bound": 0.5, "std": 3}, stats.truncnorm(-0.5, 0.5, scale=3)),
        # a coordinate of a point on the sphere in three dimensions is uniform (Archimedes)
        ("sphere", stats.uniform(-1, 2)),
    ],
)
def test_entries_are_distributed_as_the_prior_says(prior: object, expected: stats.rv_continuous) -> None:
    codes = _codes(prior, 3)
    assert codes.dtype == torch.float32
    for column in codes.T:
        assert stats.kstest(column.numpy(), expected.cdf).pvalue > 1e-3
    settings = prior_of(parse_target({"torchscript": "g.ts", "latent_dim": 3, "prior": prior}))
    mean, std = settings.moments(3)
    assert float(mean) == pytest.approx(float(expected.mean()), abs=1e-6)
    assert std == pytest.approx(float(expected.std()), rel=1e-5)


@pytest.mark.parametrize("width", [1, 2, 512])
@pytest.mark.parametrize("radius", [1.0, math.sqrt(512)])
def test_codes_on_a_sphere_have_its_radius(width: int, radius: float) -> None:
    lengths = _codes({"kind": "sphere", "radius": radius}, width, 50).norm(dim=1)
    assert torch.allclose(lengths, torch.tensor(radius))


@pytest.mark.parametrize("prior", ["normal", "uniform", "truncated", "sphere", {"kind": "uniform", "low": 0}])
def test_a_code_is_a_function_of_seed_and_index(prior: object) -> None:
    settings = prior_of(parse_target({"torchscript": "g.ts", "latent_dim": 5, "prior": prior}))
    whole = settings.draw(OfIndices(0, range(100)), 5)
    parts = [settings.draw(OfIndices(0, range(a, b)), 5) for a, b in itertools.pairwise([0, 1, 64, 64, 100])]
    assert torch.equal(torch.cat(parts), whole)
    assert not torch.equal(settings.draw(OfIndices(1, range(100)), 5), whole)
    assert len(whole.unique(dim=0)) == 100


def test_without_a_prior_codes_are_those_that_targets_always_drew(open_target: Open) -> None:
    from ganguard.base.seeds import normal

    target, named = open_target(), open_target("normal")
    assert torch.equal(target.draw_latents(range(3, 9), seed=5), normal(5, "latents", range(3, 9), 6))
    assert target.identity.split(":")[3:] == named.identity.split(":")[3:]
    assert prior_of(target) == NORMAL == prior_of(object())


PRIORS = ("uniform", "truncated", "sphere", {"kind": "sphere", "radius": 2}, {"kind": "normal", "std": 0.9})


def test_the_prior_is_part_of_the_identity_even_if_the_images_are_not(open_target: Open) -> None:
    """This G scales its codes to one length, so that those of two spheres give the same images."""
    more = """
    class G(nn.Module):
        def forward(self, z):
            return (z / z.norm(dim=1, keepdim=True))[:, :4].view(-1, 1, 2, 2)
    """
    found = [open_target(prior, more=more).identity.split(":", 3)[3] for prior in (None, *PRIORS)]
    assert len(set(found)) == len(found)


@pytest.mark.parametrize("prior", [*PRIORS, "python:{name}:code"])
def test_images_are_those_of_the_priors_codes(open_target: Open, prior: object) -> None:
    more = """
    def code(generator):
        return torch.rand(2, 3, 1, generator=generator, dtype=torch.float64).double() - 0.5
    """
    target = open_target(prior, shape=(2, 3, 1), more=more)
    assert target.latent_dim == 6
    codes = target.draw_latents(range(70), seed=2)
    assert codes.shape == (70, 6)
    images = target.sample(range(70), seed=2)
    assert torch.equal(images, target.generate(codes))
    assert torch.equal(images[60:], target.sample(range(60, 70), seed=2))
    assert (images.float() - (codes[:, :4].view(-1, 1, 2, 2).tanh() + 1) * 127.5).abs().max() <= 0.51


def test_a_prior_of_code_has_no_fingerprint_whatever_the_file(tmp_path: Path) -> None:
    """Its code may change, and the file stay: only opening the target tells."""
    file = tmp_path / "g.onnx"
    file.write_bytes(b"any")
    said = {"onnx": str(file), "latent_dim": 3}
    plain, sphere = (fingerprint(parse_target(said | more)) for more in ({}, {"prior": "sphere"}))
    assert plain == sphere
    assert plain is not None
    assert fingerprint(parse_target(said | {"prior": "python:m:f"})) is None


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("return torch.randn(6)", "drew another one the second time"),
        ("import random; return torch.full((6,), random.random())", "drew another one the second time"),
        (
            "return torch.randn(5, generator=generator)",
            r"must draw one code, 6 floats .* got torch.float32 \(5,\)",
        ),
        ("return [0.0] * 6", "got list"),
        ("return torch.ones(6).int()", r"got torch.int32 \(6,\)"),
        ("return torch.full((6,), 2000.0)", "with values beyond"),
        ("return torch.full((6,), float('nan'))", "with values beyond"),
        ("raise KeyError('no such bank')", "raised KeyError: 'no such bank'"),
        ("raise SystemExit(3)", "raised SystemExit: 3"),
    ],
)
def test_a_prior_that_draws_no_codes_is_refused(open_target: Open, code: str, said: str) -> None:
    with pytest.raises(TargetError, match=f"the prior .*{said}"):
        open_target("python:{name}:code", more=f"\ndef code(generator):\n    {code}\n")


def test_a_prior_that_is_not_there_is_refused(open_target: Open) -> None:
    with pytest.raises(TargetError, match="has no function 'codes'"):
        open_target("python:{name}:codes")
    with pytest.raises(TargetError, match="no module 'no_such_module_of_priors'"):
        open_target("python:no_such_module_of_priors:code")


@pytest.mark.parametrize(
    ("prior", "said"),
    [
        ("gaussian", r"must be one of normal, sphere, truncated, uniform, python:module:function"),
        ("python", r"must be one of"),
        ("python:module", r'must be "module:function"'),
        ({"kind": "uniform", "low": 1, "high": 1}, "must have `low` below `high`"),
        ({"kind": "uniform", "low": -5000}, "greater than or equal to -1000"),
        ({"kind": "sphere", "radius": 0}, "greater than 0"),
        ({"kind": "normal", "sd": 1}, "unknown key"),
        ({"std": 1}, "or a mapping with `kind`; got"),
        (3, "or a mapping with `kind`; got 3"),
    ],
)
def test_wrong_priors_are_named_in_one_line(prior: object, said: str) -> None:
    with pytest.raises(SpecError, match=f"^target.*{said}") as raised:
        parse_target({"python": "m:f", "prior": prior})
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (
            {"latent_dim": 5, "latent_shape": [2, 3]},
            "must have a latent_dim of 6 beside this latent_shape; got 5",
        ),
        ({"latent_shape": []}, "at least 1"),
        ({"latent_shape": [3, 0]}, "greater than 0"),
        ({"latent_shape": [2000, 2000]}, "at most 1,048,576 entries"),
        ({"batch": 65}, "less than or equal to 64"),
        ({"batch": 0}, "greater than 0"),
    ],
)
def test_wrong_shapes_and_batches_are_named(settings: dict[str, object], said: str) -> None:
    with pytest.raises(SpecError, match=said):
        parse_target({"python": "m:f", **settings})


@pytest.mark.parametrize(
    "settings", [{"latent_dim": 6, "latent_shape": [2, 3]}, {"latent_shape": [2, 3]}, {"latent_dim": 6}, {}]
)
def test_codes_reach_the_generator_in_its_shape(open_target: Open, settings: dict[str, object]) -> None:
    target = open_target(shape=(2, 3), **settings)
    assert target.latent_dim == 6
    with pytest.raises(TargetError, match=r"\(N, 6\)"):
        target.generate(torch.zeros(1, 2, 3))


@pytest.mark.parametrize("batch", [1, 7, 24, 63])
def test_a_generator_never_gets_more_codes_than_its_batch(open_target: Open, batch: int) -> None:
    more = f"""
    class G(nn.Module):
        def forward(self, z):
            if len(z) != {batch}:
                raise ValueError(len(z))
            return z[:, :4].view(-1, 1, 2, 2).tanh()
    """
    target, whole = open_target(more=more, batch=batch), open_target()
    assert torch.equal(target.sample(range(5, 80), seed=0), whole.sample(range(5, 80), seed=0))
    assert target.identity.split(":", 3)[3] != whole.identity.split(":", 3)[3]
    with pytest.raises(TargetError, match=rf"raised on codes \(64, 6\): {64}"):
        open_target(more=more)


def test_impurity_is_found_in_small_batches_too(open_target: Open) -> None:
    more = """
    class G(nn.Module):
        def forward(self, z):
            return (z - z.mean(0))[:, :4].view(-1, 1, 2, 2).tanh()
    """
    with pytest.raises(TargetError, match="whatever stands beside it"):
        open_target(more=more, batch=4)


def test_a_prior_of_code_is_measured_once_it_is_asked(open_target: Open) -> None:
    more = "\ndef code(generator):\n    return 0.2 + 0.5 * torch.randn(6, generator=generator)\n"
    target = open_target("python:{name}:code", more=more)
    assert isinstance(target.prior, PythonPrior)
    mean, std = target.prior.moments(6)
    assert torch.allclose(mean, torch.tensor(0.2), atol=0.08)
    assert std == pytest.approx(0.5, rel=0.05)


def test_truncated_codes_stay_within_their_bound() -> None:
    class Extreme:
        def uniform(self, width: int) -> torch.Tensor:
            return torch.tensor([[0.0, 1.0]], dtype=torch.float64)

        def normal(self, width: int) -> torch.Tensor:
            raise NotImplementedError

        def seeds(self) -> list[int]:
            raise NotImplementedError

    assert TruncatedPrior(bound=10, std=2).draw(Extreme(), 2).tolist() == [[-20.0, 20.0]]


@pytest.mark.parametrize("bound", [1e-9, 1e-3, 0.00999, 0.01, 0.5])
def test_the_deviation_of_a_narrow_truncated_prior_is_right(bound: float) -> None:
    """Of so narrow a part of the normal density nothing but a uniform one is left: bound / √3."""
    _, deviation = TruncatedPrior(bound=bound, std=2.0).moments(3)
    x = np.linspace(-bound, bound, 20_001)
    density = np.exp(-(x**2) / 2)
    assert deviation == pytest.approx(2 * np.sqrt((x**2 * density).sum() / density.sum()), rel=2e-4)


def test_a_prior_in_code_is_refused_where_no_code_is_run() -> None:
    with pytest.raises(SpecError, match=r"normal, sphere.*code of one's own \(python:…\) is not run here"):
        parse_ask({"prior": "python:mine:draw"}, "ask")
    with pytest.raises(SpecError, match="is not run here"):
        parse_target({"checkpoint": "anywhere", "prior": {"kind": "python", "function": "mine:draw"}})
    with pytest.raises(SpecError, match="must be one of normal, sphere, truncated, uniform, or a mapping"):
        parse_ask({"prior": "gaussian"}, "ask")
