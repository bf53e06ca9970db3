"""Cross-fitting: no ratio sees what it chooses from or is judged by, and chains have the right law."""

import math

import pytest
import torch
from accuracy_samples import BrightnessD, WhiteBox, bright, judge
from torch import Tensor

from ganguard.attacks.subsampling import density_ratio
from ganguard.attacks.subsampling.crossed import cross_fit
from ganguard.attacks.subsampling.density_ratio import RatioKind
from ganguard.attacks.subsampling.refining import refine
from ganguard.attacks.subsampling.refining_settings import Refining
from ganguard.base.errors import SpecError, StepError

CROSSED = Refining(fitting="crossed", steps=20, ratio="logistic")
RAW_ODDS = RatioKind("scores", lambda real, fake, *, seed: lambda rows: rows[:, 0].double())


def by_brightness(real: Tensor):
    wanted = real.double().mean()
    return lambda images: abs(images.double().mean() - wanted).item()


def test_no_ratio_has_seen_an_image_that_it_chooses_from_or_is_judged_by(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fitted: list[tuple[set[float], set[float]]] = []

    def fit(real: Tensor, fake: Tensor, *, seed: int):
        fitted.append((set(real[:, 0].tolist()), set(fake[:, 0].tolist())))
        return lambda rows: torch.full((len(rows),), float(len(fitted)), dtype=torch.float64)

    monkeypatch.setitem(density_ratio.RATIOS.builtin, "spy", f"{__name__}:SPY")
    monkeypatch.setitem(globals(), "SPY", RatioKind("scores", fit))
    real, bought = torch.arange(13.0)[:, None], 100 + torch.arange(52.0)[:, None]
    found = cross_fit("spy", real, bought, count=50, seed=0)
    assert len(found.folds) == len(fitted) == 5
    for fold, (seen_real, seen_bought) in zip(found.folds, fitted, strict=True):
        assert seen_real == set(real[:, 0].tolist()) - set(real[fold.real, 0].tolist())
        assert seen_bought == set(bought[:, 0].tolist()) - set(bought[fold.bought, 0].tolist())
    # each row is of one fold, and its log ratio is that of the fit without it
    for rows, values in (("real", found.of_real), ("bought", found.of_bought)):
        parts = [getattr(fold, rows) for fold in found.folds]
        assert torch.cat(parts).sort().values.tolist() == list(range(len(values)))
        for number, part in enumerate(parts, 1):
            assert (values[part] == number).all()
    assert [fold.count for fold in found.folds] == [10] * 5


@pytest.mark.parametrize(
    ("real", "bought", "count", "folds"), [(4, 40, 40, 2), (7, 40, 40, 3), (40, 40, 9, 4)]
)
def test_folds_are_as_many_as_give_two_images_of_each_kind(
    real: int, bought: int, count: int, folds: int
) -> None:
    found = cross_fit("logistic", torch.randn(real, 1), torch.randn(bought, 1), count=count, seed=0)
    assert len(found.folds) == folds
    assert sum(fold.count for fold in found.folds) == count == len(found.unrefined())
    assert all(min(len(fold.real), len(fold.bought), fold.count) >= 2 for fold in found.folds)


def test_chains_of_each_fold_follow_its_ratio(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(density_ratio.RATIOS.builtin, "raw", f"{__name__}:RAW_ODDS")
    states = torch.tensor([0.0, math.log(3)]).repeat(50)[:, None]
    found = cross_fit("raw", torch.zeros(20, 1), states, count=20_000, seed=0)
    kept = found.walk(0.5, steps=40, never_moved="discard", seed=1).handles
    for fold in found.folds:
        own = kept[torch.isin(kept, fold.bought)]
        assert len(own) == fold.count
        odds = states[fold.bought, 0].mul(0.5).exp()
        expected = odds[states[fold.bought, 0] > 0].sum() / odds.sum()
        share = (states[own, 0] > 0).double().mean()
        assert abs(share - expected) < 5 * math.sqrt(0.25 / fold.count)


def test_the_score_is_the_mean_of_the_folds_own_judges() -> None:
    images, real = WhiteBox().sample(range(60), seed=0), bright(10)
    found = cross_fit("logistic", torch.randn(10, 1), torch.randn(60, 1), count=60, seed=0)
    kept = torch.cat([fold.bought.flip(0) for fold in found.folds])
    judges = [by_brightness(real[fold.real]) for fold in found.folds]
    slow = [
        judge(torch.stack([images[i] for i in kept.tolist() if i in fold.bought.tolist()]))
        for judge, fold in zip(judges, found.folds, strict=True)
    ]
    assert found.score(kept, images, judges, 2000) == pytest.approx(sum(slow) / len(slow))
    first = [by_brightness(real[fold.real])(images[fold.bought.flip(0)[:3]]) for fold in found.folds]
    assert found.score(kept, images, judges, 3) == pytest.approx(sum(first) / len(first))


def test_crossed_refining_brings_a_purchase_closer_and_repeats_itself() -> None:
    images, real = WhiteBox().sample(range(200), seed=0), bright(30)

    def once():
        return refine(images, real, BrightnessD(), CROSSED, judge, seed=0, judge_against=by_brightness)

    found, again = once(), once()
    assert torch.equal(found.kept, again.kept)
    assert len(found.kept) == 200 and found.best.power > 0
    bought, kept = (rows.double().mean().item() for rows in (images, images[found.kept]))
    assert abs(kept - 170) < abs(bought - 170)
    assert torch.equal(found.tried[0].kept, torch.arange(200))
    assert found.plain is not None  # Algorithm 1 stands beside it


def test_crossed_refining_says_what_it_lacks() -> None:
    images, real, D = WhiteBox().sample(range(60), seed=0), bright(9), BrightnessD()
    with pytest.raises(SpecError, match=r"refining\.fitting: crossed needs a maker of judges"):
        refine(images, real, D, CROSSED, judge, seed=0)
    with pytest.raises(StepError, match="the judge of refined images gave nan at power 0"):
        refine(images, real, D, CROSSED, judge, seed=0, judge_against=lambda _: lambda _: math.nan)
    for wrong, message in (
        ({"proposals": "stream", "count": 10}, "refines a pool"),
        ({"count": 3}, "at least 4; got 3"),
        ({"algorithm": "paper", "count": 10}, "paper has fitting: split"),
    ):
        with pytest.raises(ValueError, match=message):
            Refining(fitting="crossed", **wrong)


def test_it_is_the_default_wherever_there_are_folds() -> None:
    """R5 decided so (docs/r5.md). A key says which it was, so that no step of the other is taken for it."""
    assert Refining().fitting == "crossed"
    for no_folds in ({"proposals": "stream", "count": 9}, {"count": 3}, {"algorithm": "paper", "count": 9}):
        assert Refining.model_validate(no_folds).fitting == "split"
    assert Refining(count=4).fitting == "crossed"
    for each in (Refining(), CROSSED, Refining(fitting="split")):
        said = each.model_dump(mode="json")
        assert said["fitting"] == each.fitting
        assert Refining.model_validate(said) == each
