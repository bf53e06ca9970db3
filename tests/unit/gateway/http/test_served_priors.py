"""A gateway before a generator whose codes are not N(0, I): what clients draw, and what the watch sees."""

import importlib
import itertools
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from test_http_target import connected

from ganguard.gateway.watch.account_codes import AccountCodes, Kept
from ganguard.gateway.watch.code_sketch import Grids
from ganguard.gateway.watch.signs import NEAR
from ganguard.gateway.watch.usual_codes import watched_form
from ganguard.targets.load import parse_target
from ganguard.targets.prior import OfIndices, PriorSettings, prior_of
from ganguard.targets.protocol import LatentTarget

MODULE = """
import torch
from torch import nn


class G(nn.Module):
    latent_shape = (3, 2)

    def forward(self, z):
        return z[:, :, None].expand(-1, 3, 2, 2).tanh()


def make():
    return G()


def code(generator):
    return torch.rand(3, 2, generator=generator) - 0.4


def of_a_bank(generator):
    bank = torch.randn(20, 3, 2, generator=torch.Generator().manual_seed(0))
    return bank[torch.randint(20, (), generator=generator)]
"""
_NUMBERS = itertools.count()
Start = Callable[..., Any]


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    name = f"served_prior_{next(_NUMBERS)}"
    (tmp_path / f"{name}.py").write_text(MODULE)
    importlib.invalidate_caches()
    return name


@pytest.mark.parametrize("prior", ["uniform", "truncated", {"kind": "sphere", "radius": 2}])
def test_a_client_draws_the_codes_that_the_gateway_draws(gateway: Start, module: str, prior: object) -> None:
    us = gateway(target={"python": f"{module}:make", "prior": prior})
    target = connected(us, us.key())
    assert isinstance(target, LatentTarget)
    served = us.service.batching.of("us")
    codes = served.draw_latents(range(5, 9), seed=2)
    assert torch.equal(target.draw_latents(range(5, 9), seed=2), codes)
    assert torch.equal(target.generate(codes), target.sample(range(5, 9), seed=2))
    assert prior_of(target) == prior_of(served)


def test_a_prior_of_code_stays_at_the_gateway(gateway: Start, module: str) -> None:
    us = gateway(target={"python": f"{module}:make", "prior": f"python:{module}:code"})
    key = us.key()
    assert module not in us.get("/v1/account", key).text.replace(us.service.batching.inner.identity, "")
    target = connected(us, key)
    assert not isinstance(target, LatentTarget)
    assert "asked without codes" in target.notes[0]
    images = us.service.batching.of("us").sample(range(4), seed=2)
    assert torch.equal(target.sample(range(4), seed=2), images)


def _settings(said: object) -> PriorSettings:
    return prior_of(parse_target({"torchscript": "g.ts", "latent_dim": 6, "prior": said}))


def _raised(prior: PriorSettings, codes: torch.Tensor) -> list[str]:
    form = watched_form(prior, codes.shape[1])
    assert form is not None
    account = AccountCodes(Kept())
    return [sign.name for sign in account.observe(form(codes), Grids(codes.shape[1], 3))]


PRIORS = (
    "uniform",
    {"kind": "uniform", "low": 0, "high": 1},
    {"kind": "truncated", "std": 0.3},
    "sphere",
    {"kind": "sphere", "radius": 22.6},
    {"kind": "normal", "std": 0.05},
)


@pytest.mark.parametrize("width", [16, pytest.param(300, marks=pytest.mark.slow)])
@pytest.mark.parametrize("said", PRIORS)
def test_honest_customers_of_any_prior_show_no_sign_and_copies_do(said: object, width: int) -> None:
    prior = _settings(said)
    codes = prior.draw(OfIndices(5, range(1500)), width)
    assert _raised(prior, codes) == []
    _, std = prior.moments(width)
    moved = codes + 1e-3 * std * torch.randn(codes.shape, generator=torch.Generator().manual_seed(0))
    assert NEAR in _raised(prior, torch.stack([codes, moved], 1).flatten(0, 1))


def test_codes_are_not_watched_if_honest_ones_look_like_copies(
    gateway: Start, module: str, caplog: pytest.LogCaptureFixture
) -> None:
    us = gateway(target={"python": f"{module}:make", "prior": f"python:{module}:of_a_bank"})
    assert "no account's codes are watched" in caplog.text
    key = us.key()
    codes = us.service.batching.of("us").draw_latents(range(200), seed=0).tolist()
    assert us.buy(key, latents=codes).status_code == 200
    us.service.journal.write()
    assert us.service.journal.signs(["us"])["us"] == []
    assert us.counts()[0] == 200


@pytest.mark.parametrize("said", ["uniform", "sphere"])
def test_codes_of_one_number_are_watched_unless_there_are_only_two(said: str) -> None:
    assert (watched_form(_settings(said), 1) is None) == (said == "sphere")


def test_codes_of_large_images_are_watched_too() -> None:
    width = 3 * 32 * 32
    form = watched_form(_settings("uniform"), width)
    assert form is not None
    codes = torch.rand(4, width) * 2 - 1
    assert math.isclose(form(codes).square().mean().item(), 1, rel_tol=0.05)
