from importlib import import_module

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ganguard.base.errors import MetricError
from ganguard.metrics.memorisation import Memorisation, memorisation

GRID = st.integers(-3, 3).map(float)  # few places: ties and doubles everywhere, and every distance is exact


def _shares(found: Memorisation) -> tuple[float, float, float]:
    return found.authentic, found.copies, found.near_copies


def _normal(count: int, width: int = 8, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, width))


def test_distances_and_authenticity_by_hand() -> None:
    """Training rows at 0, 1 and 10 on a line; their neighbours lie 1, 1 and 9 away, 1 in the median."""
    training = np.array([[0.0], [1.0], [10.0]])
    generated = np.array([[-0.9], [-1.1], [2.5], [17.0], [20.0], [0.4]])
    found = memorisation(training, generated, near=0.5)
    assert found.distances.tolist() == pytest.approx([0.9, 1.1, 1.5, 7, 10, 0.4])
    assert found.authentic == pytest.approx(3 / 6)  # -1.1, 2.5 and 20
    assert found.near_copies == pytest.approx(1 / 6)  # 0.4
    assert found.copies == 0
    assert found.median_distance == pytest.approx(1.3)


def test_a_row_as_far_as_the_neighbour_is_not_authentic() -> None:
    training = np.array([[0.0], [1.0]])
    assert memorisation(training, np.array([[-1.0], [2.0]])).authentic == 0
    assert memorisation(training, np.array([[-1.001], [2.001]])).authentic == 1


def test_of_two_nearest_rows_the_one_with_the_furthest_neighbour_decides() -> None:
    """5 is equally far from 0, whose neighbour is 1 away, and from 10, whose neighbour is 9 away."""
    training = np.array([[0.0], [-1.0], [10.0], [19.0]])
    for order in ([0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1]):
        assert memorisation(training[order], np.array([[5.0]])).authentic == 0


def test_a_generator_that_replays_is_found_out() -> None:
    training = _normal(300)
    replayed = training[np.random.default_rng(1).integers(0, 300, 500)]
    found = memorisation(training, replayed, held_out=_normal(300, seed=2))
    assert _shares(found) == (0, 1, 1)
    assert found.distances.max() == 0
    assert found.distance_ratio == 0


def test_fresh_rows_score_as_held_out_ones_do() -> None:
    found = memorisation(_normal(1000), _normal(800, seed=1), held_out=_normal(900, seed=2))
    assert found.held_out is not None
    assert found.authentic == pytest.approx(found.held_out.authentic, abs=0.06)
    assert found.distance_ratio == pytest.approx(1, abs=0.03)
    assert (found.copies, found.near_copies < 0.02) == (0, True)


def test_a_share_of_copies_shows_as_that_share() -> None:
    training = _normal(500)
    fresh, held_out = _normal(300, seed=1), _normal(300, seed=2)
    half = memorisation(training, np.concatenate([fresh, training[:300]]), held_out=held_out)
    assert half.copies == 0.5
    assert half.authentic == pytest.approx(memorisation(training, fresh).authentic / 2)
    assert half.distance_ratio is not None
    assert half.distance_ratio < 0.9


def test_near_copies_are_counted_up_to_the_share_that_was_asked_for() -> None:
    training = _normal(400)
    close = training + 0.1 * _normal(400, seed=1)  # 0.28 away, where neighbours lie 1.6 apart
    assert _shares(memorisation(training, close))[1:] == (0, 1)
    assert memorisation(training, close, near=0.05).near_copies == 0
    assert memorisation(training, close, near=0).near_copies == 0
    assert memorisation(training, training, near=0).near_copies == 1


def test_copies_of_rows_that_training_holds_twice_are_not_authentic() -> None:
    training = np.repeat(_normal(50), 2, axis=0)
    assert _shares(memorisation(training, training[::3])) == (0, 1, 1)


def test_near_copies_of_doubles_seem_authentic_and_are_near_copies() -> None:
    """The docstring warns of it: the neighbour of a double is at distance 0. Here a quarter of the rows are
    doubles.
    """
    training = np.concatenate([_normal(60), _normal(10)])
    found = memorisation(training, training[:10] + 1e-3)
    assert (found.authentic, found.copies, found.near_copies) == (1, 0, 1)


@pytest.mark.parametrize("offset", [1e4, 1e6])
def test_copies_far_from_the_origin_are_copies(offset: float) -> None:
    training = np.repeat(_normal(40), 2, axis=0) + offset
    assert _shares(memorisation(training, training[:30])) == (0, 1, 1)


def test_copies_are_copies_up_to_the_rounding_of_another_batch() -> None:
    """A network's float32 features of one image differ in the last bit when it comes in other company."""
    training = _normal(200, 64).astype(np.float32)
    found = memorisation(training, np.nextafter(training, np.float32(9)), near=0)
    assert _shares(found) == (0, 1, 1)


def test_rows_far_from_the_origin_are_told_apart() -> None:
    training, generated = _normal(100), _normal(80, seed=1)
    near, far = memorisation(training, generated), memorisation(training + 1e7, generated + 1e7)
    assert _shares(far) == _shares(near)
    assert torch.allclose(far.distances, near.distances, rtol=1e-6)


@pytest.mark.parametrize("where", ["training", "generated"])
def test_one_distant_outlier_does_not_blur_the_rest(where: str) -> None:
    training, generated = _normal(60, 3), _normal(40, 3, seed=1)
    wanted = memorisation(training, generated)
    if where == "training":
        found = memorisation(np.concatenate([training, [[1e7] * 3]]), generated)
        assert _shares(found) == _shares(wanted)
        assert torch.allclose(found.distances, wanted.distances, rtol=1e-9, atol=0)
    else:
        found = memorisation(training, np.concatenate([generated, [[1e7] * 3]]))
        assert found.authentic * 41 == pytest.approx(wanted.authentic * 40 + 1)
        assert torch.allclose(found.distances[:-1], wanted.distances, rtol=1e-12, atol=0)


def test_training_of_one_picture_again_and_again() -> None:
    found = memorisation(np.zeros((9, 3)), np.array([[0.0, 0, 0], [0, 0, 1]]), held_out=np.zeros((2, 3)))
    assert _shares(found) == (0.5, 0.5, 0.5)
    assert found.distance_ratio is None


def test_a_ratio_that_a_part_of_the_rows_does_not_have_has_no_error() -> None:
    generator = np.random.default_rng(0)
    training, fresh = generator.normal(size=(40, 2)), generator.normal(size=(22, 2))
    held_out = np.concatenate([fresh, training[:18]])
    found = memorisation(training, generator.normal(size=(40, 2)), held_out=held_out)
    errors = found.errors()
    assert found.distance_ratio is not None
    assert errors is not None
    assert errors.distance_ratio is None
    assert errors.authentic > 0


def test_without_held_out_rows_there_is_no_ratio() -> None:
    found = memorisation(_normal(9), _normal(9, seed=1))
    assert (found.held_out, found.distance_ratio) == (None, None)


@given(
    arrays(np.float64, (20, 3), elements=GRID),
    arrays(np.float64, (15, 3), elements=GRID),
    st.randoms(use_true_random=False),
)
def test_no_order_matters_even_with_ties(training: np.ndarray, generated: np.ndarray, random: object) -> None:
    rows, others = list(range(20)), list(range(15))
    random.shuffle(rows)
    random.shuffle(others)
    there, mixed = memorisation(training, generated), memorisation(training[rows], generated[others])
    assert _shares(mixed) == pytest.approx(_shares(there))
    assert torch.allclose(mixed.distances, there.distances[others], rtol=1e-12, atol=0)


@pytest.mark.parametrize("rows", [1, 7, 64, 100])
def test_the_size_of_a_block_changes_nothing(monkeypatch: pytest.MonkeyPatch, rows: int) -> None:
    training, generated = _normal(70, 3).round(1), _normal(50, 3, seed=1).round(1)  # rounded: ties
    whole = memorisation(training, generated)
    monkeypatch.setattr(
        import_module("ganguard.metrics.memorisation"), "BLOCK_ROWS", rows
    )  # the function has its name
    found = memorisation(training, generated)
    assert _shares(found) == _shares(whole)
    assert torch.allclose(found.distances, whole.distances, rtol=1e-12, atol=0)


@given(arrays(np.float64, (12, 2), elements=GRID), arrays(np.float64, (10, 2), elements=GRID))
def test_more_training_rows_never_make_more_distance(training: np.ndarray, generated: np.ndarray) -> None:
    fewer, more = memorisation(training[:6], generated), memorisation(training, generated)
    assert (more.distances <= fewer.distances + 1e-12).all()
    assert more.copies >= fewer.copies


@given(arrays(np.float64, (12, 2), elements=GRID), st.integers(1, 3))
def test_repeated_generated_rows_change_no_share(rows: np.ndarray, times: int) -> None:
    training, generated = rows[:6], rows[6:]
    once, repeated = (
        memorisation(training, generated),
        memorisation(training, generated.repeat(times, axis=0)),
    )
    assert _shares(repeated) == pytest.approx(_shares(once))


def test_tensors_and_arrays_are_read_alike_and_left_alone() -> None:
    training, generated = _normal(20), _normal(10, seed=1)
    before = training.copy(), generated.copy()
    found = memorisation(torch.from_numpy(training), torch.from_numpy(generated))
    assert _shares(found) == _shares(memorisation(training, generated))
    assert np.array_equal(training, before[0])
    assert np.array_equal(generated, before[1])


GOOD = _normal(9, 3)


@pytest.mark.parametrize(
    ("training", "generated", "held_out", "near", "said"),
    [
        (GOOD[:1], GOOD, None, 0.5, "training must hold at least 2 rows; got 1"),
        (GOOD, GOOD[:0], None, 0.5, "generated must hold at least 1 rows; got 0"),
        (GOOD, GOOD, GOOD[:0], 0.5, "held_out must hold at least 1 rows; got 0"),
        (GOOD, GOOD[:, :2], None, 0.5, "the same width; got 3 and 2"),
        (GOOD, GOOD, GOOD[:, :2], 0.5, "the same width; got 3 and 2"),
        (GOOD[:, 0], GOOD, None, 0.5, "training must be features"),
        (GOOD, np.where(GOOD > 1, np.nan, GOOD), None, 0.5, "generated holds NaN"),
        (GOOD, GOOD, None, -0.1, "near must be 0 or a positive number; got -0.1"),
        (GOOD, GOOD, None, float("nan"), "near must be 0 or a positive number; got nan"),
    ],
)
def test_what_cannot_be_measured_is_refused(
    training: np.ndarray, generated: np.ndarray, held_out: np.ndarray | None, near: float, said: str
) -> None:
    with pytest.raises(MetricError, match=said):
        memorisation(training, generated, held_out=held_out, near=near)
