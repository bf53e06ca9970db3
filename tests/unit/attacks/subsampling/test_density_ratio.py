"""One suite for every density ratio, on data with a known ratio; then tests of single ratios."""

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
AUC = 0.5 * math.erfc(-SHIFT / 2)  # Phi(SHIFT / sqrt 2), of the true ratio
NETWORKS = ("softplus_dre", "logistic_dre")


def normal_rows(count: int, mean: float, seed: int) -> Tensor:
    """Return rows (count, 1) from N(mean, 1)."""
    return torch.randn(count, 1, generator=torch.Generator().manual_seed(seed)).double() + mean


def log_ratio(x: Tensor) -> Tensor:
    """Return the true log ratio (N,) of rows (N, 1)."""
    return (SHIFT * x - SHIFT**2 / 2)[:, 0]


@pytest.fixture
def few_updates(monkeypatch: pytest.MonkeyPatch) -> None:
    """Train the networks for fewer updates: enough for one dimension."""
    monkeypatch.setattr("ganguard.attacks.subsampling.ratio_network.FEWEST_UPDATES", 250)


@pytest.mark.usefixtures("few_updates")
@pytest.mark.parametrize("kind", RATIOS.table())
class TestEveryRatio:
    def test_approximates_the_true_ratio(self, kind: str) -> None:
        count = 600 if kind in NETWORKS else 4000
        fitted = fit_density_ratio(kind, normal_rows(count, SHIFT, 0), normal_rows(count, 0, 1), seed=0)
        x = torch.linspace(-0.5, 2, 26, dtype=torch.float64)[:, None]
        error = (fitted.log_ratio(x) - log_ratio(x)).abs().mean().item()
        assert error < (0.5 if kind in (*NETWORKS, "isotonic") else 0.1)
        assert fitted.diagnosis.auc == pytest.approx(AUC, abs=0.04)
        assert (fitted.diagnosis.real, fitted.diagnosis.fake) == (count // 2, count // 2)

    def test_is_not_shifted_by_unequal_numbers_of_images(self, kind: str) -> None:
        fake = 900 if kind in NETWORKS else 4000
        fitted = fit_density_ratio(kind, normal_rows(400, SHIFT, 0), normal_rows(fake, 0, 1), seed=0)
        x = torch.tensor([[0.0], [SHIFT / 2], [SHIFT]], dtype=torch.float64)
        assert (fitted.log_ratio(x) - log_ratio(x)).abs().mean() < 0.5

    def test_is_finite_even_if_nothing_overlaps(self, kind: str) -> None:
        fitted = fit_density_ratio(kind, normal_rows(40, 50, 0), normal_rows(40, 0, 1), seed=0)
        far = fitted.log_ratio(torch.tensor([[-1e3], [0.0], [50.0], [1e3]], dtype=torch.float64))
        assert far.dtype == torch.float64
        assert far.isfinite().all()
        assert far[2] > far[1]
        assert fitted.diagnosis.auc == 1

    def test_the_same_seed_fits_the_same_ratio_and_leaves_the_global_stream_alone(self, kind: str) -> None:
        x = normal_rows(20, 1, 5)
        state = torch.random.get_rng_state()
        first, again = (
            fit_density_ratio(kind, normal_rows(60, 1, 0), normal_rows(60, 0, 1), seed=3).log_ratio(x)
            for _ in range(2)
        )
        assert torch.equal(first, again)
        assert torch.equal(torch.random.get_rng_state(), state)


def test_which_output_of_d_each_ratio_reads() -> None:
    assert {kind: reads_of(kind) for kind in RATIOS.table()} == {
        "logistic": "scores",
        "isotonic": "scores",
        "beta": "scores",
        "feature_head": "features",
        "softplus_dre": "features",
        "logistic_dre": "features",
    }


def test_a_feature_head_finds_the_one_informative_feature() -> None:
    noise = torch.randn(2000, 20, generator=torch.Generator().manual_seed(9)).double()
    real, fake = noise[:300].clone(), noise[1000:2000].clone()
    real[:, 7] += SHIFT
    fitted = fit_density_ratio("feature_head", real, fake, seed=0)
    assert fitted.diagnosis.auc == pytest.approx(AUC, abs=0.06)
    assert abs(fitted.diagnosis.calibration_z) < 3


def test_a_feature_head_compares_penalties_by_finite_log_losses() -> None:
    """With many features and the weakest penalty, a wrong prediction can have probability 1 to the last bit.

    Its log loss, computed from probabilities, would be infinite. scikit-learn warns of that, and a warning is
    an error here.
    """
    noise = torch.randn(140, 64, generator=torch.Generator().manual_seed(0)).double()
    log_ratio = fit_feature_head(noise[:40], noise[40:], seed=0)
    assert log_ratio(noise).abs().max() < 1


@pytest.mark.usefixtures("few_updates")
@pytest.mark.parametrize("kind", ["feature_head", *NETWORKS])
def test_a_feature_that_is_constant_in_the_fit_is_ignored_later(kind: str) -> None:
    """An example is a dead ReLU of D that one image of the pool activates."""
    constant = torch.full((60, 1), 0.1)
    real = torch.cat([normal_rows(60, SHIFT, 0), constant], 1)
    fake = torch.cat([normal_rows(60, 0, 1), constant], 1)
    fitted = fit_density_ratio(kind, real, fake, seed=0)
    usual, active = fitted.log_ratio(torch.tensor([[1.0, 0.1], [1.0, 3.0]], dtype=torch.float64))
    assert active.item() == pytest.approx(usual.item(), abs=1e-6)


def test_isotonic_odds_end_at_half_an_image() -> None:
    """Three images of one kind and half an image of the other: probabilities 0.125 and 0.875."""
    fitted = fit_isotonic(torch.tensor([[2.0], [3.0], [4.0]]), torch.tensor([[-1.0], [0.0], [1.0]]), seed=0)
    assert fitted(torch.tensor([[-9.0], [9.0]])).tolist() == pytest.approx(
        [math.log(0.125 / 0.875), math.log(0.875 / 0.125)]
    )


def test_isotonic_odds_between_the_ends_are_not_changed() -> None:
    """The lowest score belongs to one generated image, the next to 99 and a real one, with odds of 1 : 99."""
    fake = torch.cat([torch.tensor([[-5.0]]), torch.zeros(99, 1)])
    real = torch.cat([torch.zeros(1, 1), torch.full((50, 1), 9.0)])
    fitted = fit_isotonic(real, fake, seed=0)
    assert fitted(torch.zeros(1, 1)).item() == pytest.approx(math.log(1 / 99) - math.log(51 / 100))


def test_a_beta_ratio_may_fall_as_the_score_rises() -> None:
    """Generated images score both below and above the real ones, so D orders them wrongly."""
    fake = torch.cat([normal_rows(300, -2, 1), normal_rows(300, 2, 2)])
    low, middle, high = fit_beta(normal_rows(600, 0, 0), fake, seed=0)(
        torch.tensor([[-2.0], [0.0], [2.0]], dtype=torch.float64)
    )
    assert min(middle - low, middle - high) > 0.5


def test_a_logistic_ratio_of_a_critics_scores_is_not_clipped() -> None:
    """The scores of a hinge D lie outside [0, 1], and all of them count."""
    fitted = fit_logistic(normal_rows(500, -3, 0), normal_rows(500, -5, 1), seed=0)
    values = fitted(torch.tensor([[-6.0], [-5.0], [-4.0], [-3.0]], dtype=torch.float64))
    assert (values.diff() > 1).all()


def test_the_losses_are_the_published_ones_and_least_at_the_true_ratio() -> None:
    real, fake = torch.tensor([0.5, 2.0]), torch.tensor([0.0, 1.0, 3.0])
    s = [1 / (1 + math.exp(-r)) for r in (0.5, 2.0)]
    g = [1 / (1 + math.exp(-r)) * r - math.log1p(math.exp(r)) for r in (0.0, 1.0, 3.0)]
    assert softplus_loss(real, fake, penalty=0.1).item() == pytest.approx(
        sum(g) / 3 - sum(s) / 2 + 0.1 * (4 / 3 - 1) ** 2
    )
    x, z = normal_rows(100_000, SHIFT, 0), normal_rows(100_000, 0, 1)
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
def test_unusable_rows_are_refused(real: Tensor, fake: Tensor, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        fit_density_ratio("logistic", real, fake, seed=0)


def test_an_unknown_ratio_names_the_nearest() -> None:
    with pytest.raises(SpecError, match="unknown density ratio 'isotonc'; did you mean 'isotonic'"):
        fit_density_ratio("isotonc", torch.zeros(9, 1), torch.zeros(9, 1), seed=0)
