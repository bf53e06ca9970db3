"""Every density ratio on data whose ratio is known, through one suite; then what is particular to each."""

import math

import pytest
import torch
from torch import Tensor

from ganguard.attacks.subsampling import fit_density_ratio
from ganguard.attacks.subsampling.calibration import fit_beta, fit_isotonic, fit_logistic
from ganguard.attacks.subsampling.density_ratio import RATIOS, reads_of
from ganguard.attacks.subsampling.feature_head import fit_feature_head
from ganguard.attacks.subsampling.ratio_network import logistic_loss, softplus_loss
from ganguard.base.errors import SpecError

SHIFT = 1.5  # real N(SHIFT, 1), generated N(0, 1): log r = SHIFT x - SHIFT²/2
NETWORKS = ("softplus_dre", "logistic_dre")


def drawn(count: int, mean: float, seed: int) -> Tensor:
    return torch.randn(count, 1, generator=torch.Generator().manual_seed(seed)).double() + mean


def log_ratio(x: Tensor) -> Tensor:
    return (SHIFT * x - SHIFT**2 / 2)[:, 0]


@pytest.fixture
def few_updates(monkeypatch: pytest.MonkeyPatch) -> None:
    """Enough for one dimension."""
    monkeypatch.setattr("ganguard.attacks.subsampling.ratio_network.FEWEST_UPDATES", 250)


@pytest.mark.usefixtures("few_updates")
@pytest.mark.parametrize("kind", RATIOS.table())
class TestEveryRatio:
    def test_comes_near_the_true_ratio(self, kind: str) -> None:
        count = 600 if kind in NETWORKS else 4000
        fitted = fit_density_ratio(kind, drawn(count, SHIFT, 0), drawn(count, 0, 1), seed=0)
        x = torch.linspace(-0.5, 2, 26, dtype=torch.float64)[:, None]
        error = (fitted.log_ratio(x) - log_ratio(x)).abs().mean().item()
        assert error < (0.5 if kind in (*NETWORKS, "isotonic") else 0.1)
        assert fitted.diagnosis.auc == pytest.approx(
            0.5 * math.erfc(-SHIFT / 2), abs=0.04
        )  # Phi(SHIFT / sqrt 2)
        assert (fitted.diagnosis.real, fitted.diagnosis.fake) == (count // 2, count // 2)

    def test_is_a_ratio_of_densities_whatever_their_numbers(self, kind: str) -> None:
        fake = 900 if kind in NETWORKS else 4000
        fitted = fit_density_ratio(kind, drawn(400, SHIFT, 0), drawn(fake, 0, 1), seed=0)
        x = torch.tensor([[0.0], [SHIFT / 2], [SHIFT]], dtype=torch.float64)
        assert (fitted.log_ratio(x) - log_ratio(x)).abs().mean() < 0.5

    def test_is_finite_even_where_nothing_overlaps(self, kind: str) -> None:
        fitted = fit_density_ratio(kind, drawn(40, 50, 0), drawn(40, 0, 1), seed=0)
        far = fitted.log_ratio(torch.tensor([[-1e3], [0.0], [50.0], [1e3]], dtype=torch.float64))
        assert far.dtype == torch.float64
        assert far.isfinite().all()
        assert far[2] > far[1]
        assert fitted.diagnosis.auc == 1

    def test_the_same_seed_fits_the_same(self, kind: str) -> None:
        x = drawn(20, 1, 5)
        state = torch.random.get_rng_state()
        first, again = (
            fit_density_ratio(kind, drawn(60, 1, 0), drawn(60, 0, 1), seed=3).log_ratio(x) for _ in range(2)
        )
        assert torch.equal(first, again)
        assert torch.equal(torch.random.get_rng_state(), state)


def test_what_each_reads() -> None:
    assert {kind: reads_of(kind) for kind in RATIOS.table()} == {
        "logistic": "scores",
        "isotonic": "scores",
        "beta": "scores",
        "feature_head": "features",
        "softplus_dre": "features",
        "logistic_dre": "features",
    }


def test_a_feature_head_finds_the_one_feature_that_tells() -> None:
    noise = torch.randn(2000, 20, generator=torch.Generator().manual_seed(9)).double()
    real, fake = noise[:300].clone(), noise[1000:2000].clone()
    real[:, 7] += SHIFT
    fitted = fit_density_ratio("feature_head", real, fake, seed=0)
    assert fitted.diagnosis.auc == pytest.approx(0.5 * math.erfc(-SHIFT / 2), abs=0.06)
    assert abs(fitted.diagnosis.calibration_z) < 3


def test_a_feature_head_chooses_its_strength_among_numbers_alone() -> None:
    """The weakest penalty of many features is certain to the last bit of images that it gets wrong, whose log
    loss would be infinite: scikit-learn warns of it, and a warning is an error here."""
    noise = torch.randn(140, 64, generator=torch.Generator().manual_seed(0)).double()
    log_ratio = fit_feature_head(noise[:40], noise[40:], seed=0)
    assert log_ratio(noise).abs().max() < 1


@pytest.mark.usefixtures("few_updates")
@pytest.mark.parametrize("kind", ["feature_head", *NETWORKS])
def test_a_feature_that_never_varied_says_nothing_where_it_does_later(kind: str) -> None:
    """Such as a dead ReLU of D, which some image of the pool wakes up."""
    real, fake = (
        torch.cat([drawn(60, mean, i), torch.full((60, 1), 0.1)], 1) for i, mean in enumerate((SHIFT, 0))
    )
    fitted = fit_density_ratio(kind, real, fake, seed=0)
    usual, awake = fitted.log_ratio(torch.tensor([[1.0, 0.1], [1.0, 3.0]], dtype=torch.float64))
    assert awake.item() == pytest.approx(usual.item(), abs=1e-6)


def test_isotonic_odds_end_at_half_an_image() -> None:
    fitted = fit_isotonic(torch.tensor([[2.0], [3.0], [4.0]]), torch.tensor([[-1.0], [0.0], [1.0]]), seed=0)
    assert fitted(torch.tensor([[-9.0], [9.0]])).tolist() == pytest.approx(
        [math.log(0.125 / 0.875), math.log(0.875 / 0.125)]
    )


def test_isotonic_odds_in_between_are_left_alone() -> None:
    """One generated image alone at the bottom, then 99 and a real one: their odds are 1 : 99."""
    fake = torch.cat([torch.tensor([[-5.0]]), torch.zeros(99, 1)])
    real = torch.cat([torch.zeros(1, 1), torch.full((50, 1), 9.0)])
    fitted = fit_isotonic(real, fake, seed=0)
    assert fitted(torch.zeros(1, 1)).item() == pytest.approx(math.log(1 / 99) - math.log(51 / 100))


def test_a_beta_ratio_may_fall_as_the_score_rises() -> None:
    """Generated images on both sides of the real ones: D's order of them misleads."""
    fake = torch.cat([drawn(300, -2, 1), drawn(300, 2, 2)])
    low, middle, high = fit_beta(drawn(600, 0, 0), fake, seed=0)(
        torch.tensor([[-2.0], [0.0], [2.0]], dtype=torch.float64)
    )
    assert min(middle - low, middle - high) > 0.5


def test_a_logistic_ratio_of_a_critics_scores_is_not_clipped() -> None:
    """Scores of a hinge D lie outside [0, 1]; all of them count."""
    fitted = fit_logistic(drawn(500, -3, 0), drawn(500, -5, 1), seed=0)
    values = fitted(torch.tensor([[-6.0], [-5.0], [-4.0], [-3.0]], dtype=torch.float64))
    assert (values.diff() > 1).all()


def test_the_losses_are_the_published_ones_and_least_at_the_true_ratio() -> None:
    real, fake = torch.tensor([0.5, 2.0]), torch.tensor([0.0, 1.0, 3.0])
    s = [1 / (1 + math.exp(-r)) for r in (0.5, 2.0)]
    g = [1 / (1 + math.exp(-r)) * r - math.log1p(math.exp(r)) for r in (0.0, 1.0, 3.0)]
    assert softplus_loss(real, fake, penalty=0.1).item() == pytest.approx(
        sum(g) / 3 - sum(s) / 2 + 0.1 * (4 / 3 - 1) ** 2
    )
    x, z = drawn(100_000, SHIFT, 0), drawn(100_000, 0, 1)
    for loss, of in ((softplus_loss, torch.exp), (logistic_loss, lambda v: v)):
        losses = [loss(of(log_ratio(x) * t), of(log_ratio(z) * t)).item() for t in (0.8, 1.0, 1.2)]
        assert min(losses) == losses[1]


@pytest.mark.parametrize(
    ("real", "fake", "message"),
    [
        (torch.zeros(3, 1), torch.zeros(9, 1), "at least 4 real images; got 3"),
        (torch.zeros(9, 1), torch.zeros(3, 1), "at least 4 generated images; got 3"),
        (torch.zeros(9, 2), torch.zeros(9, 1), r"one width; got \(9, 1\) of generated images"),
        (torch.zeros(9), torch.zeros(9, 1), r"got \(9,\) of real images"),
        (torch.full((9, 1), math.nan), torch.zeros(9, 1), "NaN or infinity for real images"),
    ],
)
def test_what_it_refuses(real: Tensor, fake: Tensor, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        fit_density_ratio("logistic", real, fake, seed=0)


def test_an_unknown_ratio_names_the_nearest() -> None:
    with pytest.raises(SpecError, match="unknown density ratio 'isotonc'; did you mean 'isotonic'"):
        fit_density_ratio("isotonc", torch.zeros(9, 1), torch.zeros(9, 1), seed=0)
