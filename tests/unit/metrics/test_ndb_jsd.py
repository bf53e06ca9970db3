import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import jensenshannon
from scipy.stats import norm

from ganguard.base.errors import MetricError
from ganguard.metrics.ndb_jsd import NdbJsd, _p_values, ndb_jsd


def _blobs(*sizes: int) -> np.ndarray:
    """Rows (sum, 2) in tight groups far apart, so that the bins are known: group i has sizes[i] rows."""
    generator = np.random.default_rng(len(sizes))
    centres = [(100.0 * i, 37.0 * i * i) for i in range(len(sizes))]
    return np.concatenate(
        [centre + generator.normal(size=(size, 2)) for centre, size in zip(centres, sizes, strict=True)]
    )


def test_mass_moved_between_bins_is_found_where_it_went() -> None:
    """300, 200 and 100 rows against 150, 350 and 100: the first two bins differ, the third does not."""
    found = ndb_jsd(_blobs(300, 200, 100), _blobs(150, 350, 100), bins=3)
    p, q = np.array([300, 200, 100]) / 600, np.array([150, 350, 100]) / 600
    assert found.reference_proportions == pytest.approx(tuple(p))
    assert found.query_proportions == pytest.approx(tuple(q))
    assert found.different == (True, True, False)
    assert (found.different_bins, found.bins, found.expected_share) == (2, 3, 0.05)
    assert found.share == pytest.approx(2 / 3)
    assert found.jsd == pytest.approx(jensenshannon(p, q) ** 2, rel=1e-12)


@pytest.mark.parametrize("moved", [27, 28, 33, 34])
def test_a_bin_differs_from_where_the_z_test_says(moved: int) -> None:
    """500 : 500 against 500 + moved : 500 - moved, by the formula: p-values of 0.23, 0.21, 0.14 and 0.13."""
    pooled = (1000 + moved) / 2000
    z = moved / 1000 / np.sqrt(pooled * (1 - pooled) * 2 / 1000)
    p_value = 2 * norm.sf(z)
    for significance, different in ((p_value * 1.001, 2), (p_value * 0.999, 0)):
        found = ndb_jsd(_blobs(500, 500), _blobs(500 + moved, 500 - moved), bins=2, significance=significance)
        assert found.different_bins == different


def test_sets_of_unlike_size_are_compared_by_share() -> None:
    found = ndb_jsd(_blobs(300, 200, 100), _blobs(60, 40, 20), bins=3)
    assert (found.different_bins, found.share) == (0, 0)
    assert found.jsd == pytest.approx(0, abs=1e-15)


def test_a_query_that_lacks_a_bin_or_holds_but_one() -> None:
    found = ndb_jsd(_blobs(300, 200, 100), _blobs(300, 0, 0), bins=3)
    assert found.query_proportions == (1, 0, 0)
    assert found.different == (True, True, True)
    assert 0 < found.jsd < np.log(2)


@pytest.mark.parametrize(("in_reference", "in_query"), [([0, 5], [0, 7]), ([5, 0], [7, 0])])
def test_bins_that_hold_nothing_or_everything_do_not_differ(
    in_reference: list[int], in_query: list[int]
) -> None:
    assert _p_values(np.array(in_reference), np.array(in_query)).tolist() == [1, 1]


def test_nothing_in_common_is_as_far_as_the_divergence_goes() -> None:
    """Nearly all of the query falls into a bin that holds one row of 20,001."""
    reference = np.concatenate([_blobs(20_000), [[1e4, 1e4]]])
    found = ndb_jsd(reference, np.full((50, 2), 1e4), bins=2)
    assert found.jsd == pytest.approx(np.log(2), rel=1e-3)
    assert found.different_bins == 2


def test_equal_sets_do_not_differ_at_all() -> None:
    rows = np.random.default_rng(0).normal(size=(500, 5))
    found = ndb_jsd(rows, rows[::-1].copy(), bins=20)
    assert (found.different_bins, found.share, found.jsd) == (0, 0, 0)
    assert sum(found.reference_proportions) == pytest.approx(1)


def test_equal_distributions_measure_about_the_significance_and_the_known_divergence() -> None:
    """The mean of 12 repetitions of 50 tests: 0.05 with a standard deviation of about 0.01; and (bins - 1) /
    8 (1/N + 1/M)."""
    generator = np.random.default_rng(0)
    found = [
        ndb_jsd(generator.normal(size=(4000, 3)), generator.normal(size=(3000, 3)), bins=50, seed=seed)
        for seed in range(12)
    ]
    assert np.mean([f.share for f in found]) == pytest.approx(0.05, abs=0.03)
    assert np.mean([f.jsd for f in found]) == pytest.approx(49 / 8 * (1 / 4000 + 1 / 3000), rel=0.15)


def test_noise_in_many_dimensions_differs_from_itself_and_held_out_rows_tell() -> None:
    """The docstring warns of it: few rows a bin, in 512 dimensions. Rows with structure do not have the
    problem.
    """
    generator = np.random.default_rng(0)
    noise, plane = np.eye(512), generator.normal(size=(4, 512))
    for basis, lowest, highest in ((noise, 0.4, 1.0), (plane, 0.0, 0.2)):
        rows = generator.normal(size=(1200, len(basis))) @ basis
        assert lowest <= ndb_jsd(rows[:600], rows[600:], bins=30).share <= highest


def test_a_worse_copy_differs_in_more_bins() -> None:
    generator = np.random.default_rng(0)
    reference = generator.normal(size=(3000, 4))
    found = [
        ndb_jsd(reference, generator.normal(size=(3000, 4)) + shift, bins=30) for shift in (0, 0.1, 0.3, 1)
    ]
    assert [f.different_bins for f in found] == sorted(f.different_bins for f in found)
    assert [f.jsd for f in found] == sorted(f.jsd for f in found)
    assert found[-1].share > 0.8


def test_a_collapsed_generator_differs_nearly_everywhere() -> None:
    generator = np.random.default_rng(0)
    reference = generator.normal(size=(2000, 4))
    found = ndb_jsd(reference, reference[:3].repeat(500, axis=0), bins=20)
    assert found.share > 0.8
    assert sum(q > 0 for q in found.query_proportions) <= 3


def test_whitening_gives_every_dimension_a_say() -> None:
    """The groups differ in a dimension with small units; without whitening, noise in another one decides the
    bins.
    """
    generator = np.random.default_rng(0)
    side = np.repeat([-1.0, 1.0], 500)
    rows = np.stack([side + 0.01 * generator.normal(size=1000), 1000 * generator.normal(size=1000)], 1)
    mostly = rows[side > 0].repeat(2, axis=0)
    assert ndb_jsd(rows, mostly, bins=4, whitening=True).share > 0.9
    assert ndb_jsd(rows, mostly, bins=4).share < 0.9
    scaled = rows * np.array([7.0, 0.003]) + np.array([5.0, -2.0])
    moved = mostly * np.array([7.0, 0.003]) + np.array([5.0, -2.0])
    whitened = ndb_jsd(rows, mostly, bins=4, whitening=True)
    assert ndb_jsd(scaled, moved, bins=4, whitening=True).query_proportions == whitened.query_proportions


def test_a_dimension_that_never_varies_is_no_obstacle_to_whitening() -> None:
    rows = np.random.default_rng(0).normal(size=(200, 3)) * np.array([1, 0, 1])
    assert ndb_jsd(rows, rows, bins=10, whitening=True).different_bins == 0


def _measured(seed: int = 0, order: np.ndarray | None = None, times: int = 1) -> NdbJsd:
    generator = np.random.default_rng(1)
    reference, query = generator.normal(size=(400, 3)), generator.normal(size=(300, 3)) * 1.3
    return ndb_jsd(
        reference, (query if order is None else query[order]).repeat(times, axis=0), bins=12, seed=seed
    )


@given(st.permutations(range(300)))
@settings(max_examples=8)
def test_the_order_of_the_query_does_not_matter(order: list[int]) -> None:
    assert _measured(order=np.array(order)) == _measured()


@pytest.mark.parametrize("times", [2, 7])
def test_repeating_the_query_keeps_its_shares(times: int) -> None:
    """The test becomes surer, as it believes that the rows are independent."""
    once, repeated = _measured(), _measured(times=times)
    assert repeated.query_proportions == pytest.approx(once.query_proportions)
    assert repeated.jsd == pytest.approx(once.jsd)
    assert repeated.different_bins >= once.different_bins


def test_the_same_seed_gives_the_same_bins_whatever_the_global_generators_do() -> None:
    before = _measured(seed=5)
    np.random.seed(9)  # noqa: NPY002
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    assert _measured(seed=5) == before
    assert np.array_equal(np.random.get_state()[1], state)  # noqa: NPY002
    assert _measured(seed=2**61) != before


def test_bins_are_listed_by_size() -> None:
    shares = _measured().reference_proportions
    assert list(shares) == sorted(shares, reverse=True)


def test_tensors_are_read_as_arrays_are_and_left_alone() -> None:
    rows = np.random.default_rng(0).normal(size=(100, 3))
    before = rows.copy()
    found = ndb_jsd(torch.from_numpy(rows), torch.from_numpy(rows * 2), bins=5, whitening=True)
    assert found == ndb_jsd(rows, rows * 2, bins=5, whitening=True)
    assert np.array_equal(rows, before)


def test_rows_far_from_the_origin_fall_into_the_bins_of_rows_near_it() -> None:
    generator = np.random.default_rng(0)
    reference, query = generator.normal(size=(500, 2)), generator.normal(size=(500, 2)) + 0.3
    near, far = (
        ndb_jsd(reference, query, bins=10),
        ndb_jsd(reference / 2**10 + 2**20, query / 2**10 + 2**20, bins=10),
    )
    assert far.jsd == pytest.approx(near.jsd, rel=0.02)


GOOD = np.random.default_rng(0).normal(size=(20, 3))


@pytest.mark.parametrize(
    ("reference", "query", "bins", "said"),
    [
        (GOOD, GOOD, 21, "reference must hold at least 21 rows; got 20"),
        (GOOD, GOOD[:1], 5, "query must hold at least 2 rows; got 1"),
        (GOOD, GOOD, 1, "bins must be at least 2; got 1"),
        (GOOD, GOOD[:, :2], 5, "the same width; got 3 and 2"),
        (GOOD, np.where(GOOD > 1, np.nan, GOOD), 5, "query holds NaN"),
        (np.where(GOOD > 1, np.inf, GOOD), GOOD, 5, "reference holds NaN or infinity"),
        (GOOD[0], GOOD, 2, "reference must be features"),
        (
            GOOD[:3].repeat(9, axis=0),
            GOOD,
            5,
            "at least 5 different rows of the reference; got 3. Set bins to at most 3",
        ),
        (np.array([[0.0], [-0.0], [1.0]]), np.zeros((2, 1)), 3, "got 2"),
    ],
)
def test_what_cannot_be_measured_is_refused(
    reference: np.ndarray, query: np.ndarray, bins: int, said: str
) -> None:
    with pytest.raises(MetricError, match=said):
        ndb_jsd(reference, query, bins=bins)


@pytest.mark.parametrize("significance", [0, 1, -0.1, float("nan")])
def test_a_significance_that_is_none_is_refused(significance: float) -> None:
    with pytest.raises(MetricError, match="significance must lie between 0 and 1; got"):
        ndb_jsd(GOOD, GOOD, bins=2, significance=significance)


def test_the_least_that_the_refusals_ask_for_is_enough() -> None:
    assert ndb_jsd(GOOD, GOOD[:2], bins=20).bins == 20
    assert ndb_jsd(GOOD[:3].repeat(9, axis=0), GOOD, bins=3).bins == 3
