"""Defences and adversaries that move codes, before targets whose codes are not N(0, I)."""

import pytest
import torch
from torch import Tensor

from ganguard.base.errors import SpecError
from ganguard.defences.defended_target import defend
from ganguard.defences.input_linear_interpolation import LinearInterpolation
from ganguard.defences.protocol import parse_chain
from ganguard.queries.averaged_target import average
from ganguard.targets.load import parse_target
from ganguard.targets.prior import OfIndices, PriorSettings, prior_of
from ganguard.targets.protocol import LatentTarget

FROM_ZERO = {"kind": "uniform", "low": 0, "high": 1}
PRIORS = ("uniform", FROM_ZERO, "truncated", "sphere", {"kind": "normal", "std": 3})


class Echo:
    """Its images are what it got: the codes are written down."""

    identity, image_shape, latent_dim = "echo", (1, 2, 2), 8

    def __init__(self, prior: object) -> None:
        settings = {} if prior is None else {"prior": prior}
        self.prior = prior_of(parse_target({"torchscript": "g.ts", "latent_dim": 8, **settings}))
        self.got: list[Tensor] = []

    def draw_latents(self, indices: range, *, seed: int) -> Tensor:
        return self.prior.draw(OfIndices(seed, indices), 8)

    def generate(self, latents: Tensor) -> Tensor:
        self.got.append(latents)
        return torch.zeros(len(latents), 1, 2, 2, dtype=torch.uint8)

    def sample(self, indices: range, *, seed: int) -> Tensor:
        return self.generate(self.draw_latents(indices, seed=seed))


class Unsaid(Echo):
    """The same without a word on its prior, as an adapter of another package."""

    def __init__(self) -> None:
        super().__init__(None)
        self._own: PriorSettings = self.prior
        del self.prior

    def draw_latents(self, indices: range, *, seed: int) -> Tensor:
        return self._own.draw(OfIndices(seed, indices), 8)


def _ends(prior: object) -> Tensor:
    """The codes at which the lines of single codes of zeros end: each point lies within half of one."""
    target, chain = Echo(prior), [LinearInterpolation(points=1)]
    for client in range(200):
        defended = defend(target, chain, secret=b"s", client=f"{client}")
        assert prior_of(defended) == target.prior
        assert isinstance(defended, LatentTarget)
        defended.generate(torch.zeros(1, 8))
    return 2 * torch.cat(target.got)  # one point, at half of the line


@pytest.mark.parametrize("prior", PRIORS)
def test_the_line_of_a_single_code_ends_at_a_code_of_the_targets_prior(prior: object) -> None:
    ends = _ends(prior)
    drawn = Echo(prior).draw_latents(range(2000), seed=0)
    assert ends.std().item() == pytest.approx(drawn.std().item(), rel=0.1)
    assert ends.mean().item() == pytest.approx(drawn.mean().item(), abs=0.1 * drawn.std().item())
    assert ends.min() >= drawn.min() - 0.35 * drawn.std()
    if prior == "sphere":
        assert torch.allclose(ends.norm(dim=1), torch.ones(200))
    if prior == FROM_ZERO:
        assert 0 <= ends.min() <= ends.max() <= 1


def test_without_a_prior_the_ends_are_those_of_before() -> None:
    target, said = Unsaid(), Echo("normal")
    for inner in (target, said):
        defend(inner, [LinearInterpolation(points=1)], secret=b"s", client="0").sample(range(1), seed=0)
    assert torch.equal(target.got[0], said.got[0])


@pytest.mark.parametrize("prior", PRIORS)
def test_the_distribution_is_preserved_or_that_is_refused(prior: object) -> None:
    chain = parse_chain({"kind": "linear_interpolation", "preserve_distribution": True})
    target = Echo(prior)
    if target.prior.gaussian:
        defend(target, chain, secret=b"s", client="us").sample(range(6400), seed=0)
        assert torch.cat(target.got).std().item() == pytest.approx(3, rel=0.03)
        return
    with pytest.raises(SpecError, match=r"this target's prior is (uniform|truncated|sphere)"):
        defend(target, chain, secret=b"s", client="us")
    assert not target.got


@pytest.mark.parametrize("prior", [None, *PRIORS])
def test_averaging_moves_codes_by_a_share_of_the_priors_deviation(prior: object) -> None:
    target = Echo(prior)
    average(target, 4, 0.1).sample(range(500), seed=1)
    (got,) = [torch.cat(target.got)]
    moved = got - target.draw_latents(range(500), seed=1).repeat_interleave(4, 0)
    _, std = target.prior.moments(8)
    assert moved.std().item() == pytest.approx(0.1 * std, rel=0.03)
