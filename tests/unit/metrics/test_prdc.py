import numpy as np
import pytest

from ganguard.base.errors import MetricError
from ganguard.metrics import PRDC, Balls, precision_recall_density_coverage
from ganguard.metrics import distances as distances_module
from ganguard.metrics import prdc as prdc_module


def _slow(real: np.ndarray, fake: np.ndarray, k: int) -> PRDC:
    """The definitions, pair by pair, with ties inside."""

    def radii(points: np.ndarray) -> list[float]:
        return [sorted(np.linalg.norm(points - point, axis=1))[k] for point in points]

    real_radii, fake_radii = radii(real), radii(fake)
    near = [[np.linalg.norm(x - y) for y in fake] for x in real]
    inside = [[d <= r for d in row] for row, r in zip(near, real_radii, strict=True)]
    inside_fake = [any(d <= r for d, r in zip(row, fake_radii, strict=True)) for row in near]
    return PRDC(
        precision=float(np.any(inside, axis=0).mean()),
        recall=float(np.mean(inside_fake)),
        density=float(np.sum(inside, axis=0).mean() / k),
        coverage=float(np.any(inside, axis=1).mean()),
    )


def _same(found: PRDC, wanted: PRDC) -> bool:
    return np.allclose(
        [found.precision, found.recall, found.density, found.coverage],
        [wanted.precision, wanted.recall, wanted.density, wanted.coverage],
        rtol=1e-12,
    )


@pytest.mark.parametrize(("n", "m", "width", "k"), [(30, 20, 3, 1), (20, 30, 3, 5), (25, 25, 12, 3)])
def test_it_agrees_with_the_definitions(n: int, m: int, width: int, k: int) -> None:
    generator = np.random.default_rng(n + k)
    real, fake = generator.normal(size=(n, width)), generator.normal(size=(m, width)) * 1.2 + 0.3
    wanted = _slow(real, fake, k)
    assert 0 < wanted.precision < 1 or 0 < wanted.recall < 1
    assert _same(precision_recall_density_coverage(real, fake, k=k), wanted)


def test_balls_may_stand_for_features() -> None:
    generator = np.random.default_rng(3)
    real, fake = generator.normal(size=(30, 4)) + 5, generator.normal(size=(20, 4)) + 5
    wanted = precision_recall_density_coverage(real, fake, k=3)
    real_balls, fake_balls = Balls.around(real, k=3), Balls.around(fake, k=3)
    assert precision_recall_density_coverage(real_balls, fake_balls, k=3) == wanted
    assert precision_recall_density_coverage(real_balls, fake, k=3) == wanted
    with pytest.raises(MetricError, match="must have k = 5; got 3 and 5"):
        precision_recall_density_coverage(real_balls, fake, k=5)


def test_points_on_a_grid_have_ties_everywhere_and_ties_are_inside() -> None:
    grid = np.stack(np.meshgrid(range(5), range(5)), -1).reshape(-1, 2).astype(float)
    moved = grid + np.array([1, 0])
    assert _same(precision_recall_density_coverage(grid, moved, k=2), _slow(grid, moved, 2))


def test_a_perfect_copy_scores_full() -> None:
    rows = np.random.default_rng(0).normal(size=(40, 4))
    found = precision_recall_density_coverage(rows, rows)
    assert (found.precision, found.recall, found.coverage) == (1, 1, 1)
    assert found.density == pytest.approx(6 / 5)  # a point, and the five whose balls it is in, or on


def test_copies_of_a_few_images_score_full() -> None:
    """Each point occurs seven times, so that its five nearest neighbours lie at distance 0: every ball is a
    point.
    """
    rows = np.repeat(np.random.default_rng(0).normal(size=(10, 4)), 7, axis=0)
    found = precision_recall_density_coverage(rows, rows)
    assert (found.precision, found.recall, found.coverage) == (1, 1, 1)


def test_copies_far_from_the_origin_score_full() -> None:
    """Distances by matrix product lose digits to large norms; copies must still be 0 apart."""
    rows = np.repeat(np.random.default_rng(0).normal(size=(10, 4)), 7, axis=0) + 1e4
    found = precision_recall_density_coverage(rows, rows)
    assert (found.precision, found.recall, found.coverage) == (1, 1, 1)


def test_sets_far_apart_score_nothing() -> None:
    rows = np.random.default_rng(0).normal(size=(40, 4))
    assert precision_recall_density_coverage(rows, rows + 1000) == PRDC(0, 0, 0, 0)


def test_a_collapsed_generator_is_precise_and_recalls_little() -> None:
    real = np.random.default_rng(0).normal(size=(200, 2))
    fake = real[:1] * 0 + np.random.default_rng(1).normal(size=(200, 2)) * 0.05
    found = precision_recall_density_coverage(real, fake)
    assert found.precision > 0.9
    assert found.recall < 0.3
    assert found.coverage < 0.3


def test_a_generator_of_noise_beside_the_data_recalls_and_is_not_precise() -> None:
    generator = np.random.default_rng(0)
    real, noise = generator.normal(size=(100, 2)), generator.normal(size=(100, 2)) + 50
    found = precision_recall_density_coverage(real, np.concatenate([real, noise]))
    assert (found.precision, found.recall, found.coverage) == (0.5, 1, 1)


def test_swapping_the_sets_swaps_precision_and_recall() -> None:
    generator = np.random.default_rng(0)
    a, b = generator.normal(size=(50, 3)), generator.normal(size=(60, 3)) * 2
    there, back = precision_recall_density_coverage(a, b), precision_recall_density_coverage(b, a)
    assert (there.precision, there.recall) == (back.recall, back.precision)


@pytest.mark.parametrize("rows", [1, 7, 64, 100])
def test_the_size_of_a_block_changes_nothing(monkeypatch: pytest.MonkeyPatch, rows: int) -> None:
    generator = np.random.default_rng(0)
    real, fake = (
        generator.normal(size=(70, 3)).round(1),
        generator.normal(size=(50, 3)).round(1),
    )  # rounded: ties
    whole = precision_recall_density_coverage(real, fake)
    for module in (distances_module, prdc_module):
        monkeypatch.setattr(module, "BLOCK", rows)
    assert precision_recall_density_coverage(real, fake) == whole


@pytest.mark.parametrize("distance", [1e3, 1e7])
def test_one_distant_outlier_does_not_blur_the_rest(distance: float) -> None:
    """Such outliers occur: standardising inflates a feature that hardly varies on real images."""
    generator = np.random.default_rng(0)
    real, fake = generator.normal(size=(40, 2)), generator.normal(size=(40, 2)) + 8
    fake[0] = distance
    assert _same(precision_recall_density_coverage(real, fake), _slow(real, fake, 5))


@pytest.mark.parametrize("unit", [1e-36, 1e-40, 1e-44])
def test_float32_features_as_small_as_there_are_any_keep_their_neighbours(unit: float) -> None:
    """1e-44 is a few of the smallest float32: the rows are on a grid then."""
    generator = np.random.default_rng(0)
    real, fake = (unit * (generator.normal(size=(40, 3)) + shift) for shift in (0, 0.5))
    real, fake = real.astype(np.float32), fake.astype(np.float32)
    wanted = _slow(real.astype(float), fake.astype(float), 5)
    assert _same(precision_recall_density_coverage(real, fake), wanted)


GOOD = np.random.default_rng(0).normal(size=(9, 3))


@pytest.mark.parametrize(
    ("real", "fake", "k", "said"),
    [
        (GOOD, GOOD, 0, "k must be at least 1; got 0"),
        (GOOD, GOOD, 9, "real must hold at least 10 rows; got 9"),
        (GOOD, GOOD[:5], 5, "fake must hold at least 6 rows; got 5"),
        (GOOD, GOOD[:, :2], 3, "the same width; got 3 and 2"),
        (GOOD[:, 0], GOOD, 3, r"real must be features"),
        (np.where(GOOD > 1, np.nan, GOOD), GOOD, 3, "real holds NaN"),
    ],
)
def test_what_cannot_be_measured_is_refused(real: np.ndarray, fake: np.ndarray, k: int, said: str) -> None:
    with pytest.raises(MetricError, match=said):
        precision_recall_density_coverage(real, fake, k=k)
