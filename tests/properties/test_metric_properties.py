"""What holds of distances and of precision, recall, density and coverage for any rows: ties, doubles and few
rows included."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ganguard.metrics import PRDC, GaussianStatistics, frechet_distance, precision_recall_density_coverage

ROUNDING = 1e-9  # of the sum of all variances and squared means, which are what is subtracted
PLACES = st.integers(-3, 3).map(float)  # few: ties and doubles everywhere, and every distance is exact
SHAPES = st.integers(1, 7)


@st.composite
def pairs(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Two sets of one width, of fewer rows than columns or of more."""
    width = draw(SHAPES)
    n, m = draw(st.integers(2, 12)), draw(st.integers(2, 12))
    return draw(arrays(np.float64, (n, width), elements=PLACES)), draw(
        arrays(np.float64, (m, width), elements=PLACES)
    )


def _near(a: np.ndarray, b: np.ndarray, wanted: float) -> object:
    return pytest.approx(wanted, abs=ROUNDING * (1 + np.square(a).sum() + np.square(b).sum()))


@given(pairs(), st.randoms(use_true_random=False))
@settings(max_examples=40)
def test_frechet_distances_know_no_order_no_side_and_no_origin(
    both: tuple[np.ndarray, np.ndarray], random: object
) -> None:
    a, b = both
    wanted = frechet_distance(a, b)
    rows = list(range(len(a)))
    random.shuffle(rows)  # type: ignore[attr-defined]
    assert 0 <= wanted < math.inf
    for found in (frechet_distance(b, a), frechet_distance(a[rows], b), frechet_distance(a + 5, b + 5)):
        assert found == _near(a, b, wanted)
    assert frechet_distance(GaussianStatistics.of(a), GaussianStatistics.of(b)) == _near(a, b, wanted)
    assert frechet_distance(a, a[rows]) == _near(a, a, 0)


@given(pairs(), st.integers(2, 4))
@settings(max_examples=30)
def test_frechet_distances_of_doubles_are_of_the_same_means_and_nearly_the_same_spread(
    both: tuple[np.ndarray, np.ndarray], times: int
) -> None:
    """The covariance of N rows, each of them t times, is t (N - 1) / (t N - 1) of theirs."""
    a, b = both
    doubled = [GaussianStatistics.of(np.repeat(rows, times, axis=0)) for rows in both]
    by_hand = [
        GaussianStatistics(times * s.count, s.mean, times * s.scatter)
        for s in map(GaussianStatistics.of, both)
    ]
    assert frechet_distance(*doubled) == _near(a, b, frechet_distance(*by_hand))


@given(
    arrays(np.float64, (14, 2), elements=PLACES),
    arrays(np.float64, (11, 2), elements=PLACES),
    st.integers(1, 5),
    st.integers(2, 3),
    st.randoms(use_true_random=False),
)
@settings(max_examples=40)
def test_balls_know_no_order_and_count_doubles_as_what_they_are(
    real: np.ndarray, fake: np.ndarray, k: int, times: int, random: object
) -> None:
    wanted = precision_recall_density_coverage(real, fake, k=k)
    rows, others = list(range(14)), list(range(11))
    random.shuffle(rows)  # type: ignore[attr-defined]
    random.shuffle(others)  # type: ignore[attr-defined]
    assert _same(precision_recall_density_coverage(real[rows], fake[others], k=k), wanted)
    swapped = precision_recall_density_coverage(fake, real, k=k)
    assert (swapped.precision, swapped.recall) == pytest.approx((wanted.recall, wanted.precision))
    repeated = precision_recall_density_coverage(real, np.repeat(fake, times, axis=0), k=k)
    assert (repeated.precision, repeated.density, repeated.coverage) == pytest.approx(
        (wanted.precision, wanted.density, wanted.coverage)
    )
    assert repeated.recall <= wanted.recall + 1e-12  # whose balls reach less far
    itself = precision_recall_density_coverage(real, real[rows], k=k)
    assert (itself.precision, itself.recall, itself.coverage) == (1, 1, 1)


def _same(found: PRDC, wanted: PRDC) -> bool:
    return list(vars(found).values()) == pytest.approx(list(vars(wanted).values()))
