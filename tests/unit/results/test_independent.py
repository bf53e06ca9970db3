"""Is a copy closer than a model that never saw the target? Decided by seeds, and by nothing less."""

import math

import numpy as np
import pytest
from honest_samples import honest_model, record_of
from scipy.stats import ttest_ind

from ganguard.results.independent import compare_with_honest, honest_distances, honest_record
from ganguard.results.intervals import welch_interval


def by_seed(*values: float) -> dict[int, float]:
    return dict(enumerate(values))


@pytest.mark.parametrize("sizes", [(3, 3), (2, 5), (5, 2), (20, 3)])
def test_the_interval_is_scipys_welch_interval(sizes: tuple[int, int]) -> None:
    random = np.random.default_rng(sum(sizes))
    one, other = random.normal(0, 1, sizes[0]), random.normal(0.4, 3, sizes[1])
    found = welch_interval(one.tolist(), other.tolist())
    expected = ttest_ind(one, other, equal_var=False).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), rel=1e-12)


@pytest.mark.parametrize(
    ("copies", "closer"),
    [
        ((0.05, 0.055, 0.06), "yes"),
        ((4.0, 3.5, 3.8), "no"),
        ((0.12, 0.15, 0.14), "undecided"),
        ((0.01, 0.14, 0.9), "undecided"),  # a smaller geometric mean alone decides nothing
    ],
)
def test_it_is_decided_by_an_interval_on_logarithms(copies: tuple[float, ...], closer: str) -> None:
    honest = (0.13, 0.14, 0.16)
    found = compare_with_honest(by_seed(*copies), by_seed(*honest))
    assert found.closer == closer
    assert found.ratio == pytest.approx(math.prod(copies) ** (1 / 3) / math.prod(honest) ** (1 / 3))
    assert found.low is not None and found.high is not None
    assert (found.high < 1, found.low > 1) == (closer == "yes", closer == "no")


def test_seeds_are_not_paired() -> None:
    """A copy's seed has nothing to do with an honest model's of the same number."""
    honest = by_seed(0.13, 0.14, 0.16)
    found = [compare_with_honest(by_seed(*copies), honest) for copies in ((1, 2, 3), (3, 1, 2))]
    assert found[0].low == pytest.approx(found[1].low)
    assert compare_with_honest({7: 1.0, 9: 1.1}, honest).closer == "no"


@pytest.mark.parametrize(
    ("copies", "honest", "reason"),
    [
        ((0.01,), (1.0, 1.1, 1.2), "one seed gives no interval"),
        ((0.01, 0.02), (1.0,), "one seed gives no interval"),
        ((0.0, 0.1), (1.0, 1.1), "not above 0"),
        ((0.1, 0.1), (1.0, 1.0), "do not differ"),
        ((), (1.0, 1.1), "no such copy"),
    ],
)
def test_what_gives_no_interval_is_undecided_however_far_apart(
    copies: tuple[float, ...], honest: tuple[float, ...], reason: str
) -> None:
    found = compare_with_honest(by_seed(*copies), by_seed(*honest))
    assert found.closer == "undecided" and reason in found.reason and found.low is None


def test_of_several_honest_models_the_one_with_most_real_images_counts() -> None:
    half, whole = record_of("sngan, 50 %", ["a", "b"], 0.5), record_of("sngan", ["a", "b"])
    other = record_of("dcgan", ["c"])
    assert honest_record([half, whole, other], "a", []) == whole
    assert honest_record([half, other], "b", []) == half
    assert honest_record([half, other], "moved", []) is None


def test_of_several_recipes_the_nearest_that_learnt_the_real_images_counts() -> None:
    flow, sngan, broken = (record_of(kind, ["strongest"]) for kind in ("flow", "sngan", "broken"))
    half = record_of("flow, 50 %", ["strongest"], 0.5)
    every = [flow, sngan, broken, half]
    far = {"flow": 0.5, "sngan": 0.3, "broken": 0.1, "flow, 50 %": 0.01}
    measured = [honest_model(value, 0, recipe) for recipe, value in far.items()]
    assert honest_record(every, "strongest", measured) == broken
    to_real = [honest_model(9.0 if recipe == "broken" else 1.0, 0, recipe, "reference") for recipe in far]
    target = honest_model(1.0, 0, "").model_copy(update={"subject": "target", "recipe": None})
    of_target = target.model_copy(update={"against": "reference", "seed": None})
    assert honest_record(every, "strongest", [*measured, *to_real, of_target]) == sngan
    assert honest_record([flow, sngan], "strongest", measured[:1]) == flow  # the other's training failed


def test_draws_of_an_honest_model_are_averaged_within_its_seed() -> None:
    draws = [honest_model(v, seed, "r") for seed, v in ((0, 0.1), (0, 0.3), (1, 0.5))]
    others = [honest_model(9, 0, "other"), honest_model(9, 0, "r", "reference")]
    assert honest_distances([*draws, *others], "r") == pytest.approx({0: 0.2, 1: 0.5})
