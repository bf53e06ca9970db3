import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ganguard.base.errors import MetricError
from ganguard.metrics.inception_score import inception_score


def _softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)


LOGITS = arrays(np.float64, st.tuples(st.integers(4, 30), st.integers(1, 6)), elements=st.floats(-30, 30))


@pytest.mark.parametrize("classes", [1, 2, 7])
def test_sure_and_evenly_spread_scores_the_number_of_classes(classes: int) -> None:
    rows = np.tile(np.eye(classes), (30, 1))
    found = inception_score(rows, splits=10)
    assert found.mean == pytest.approx(classes, rel=1e-12)
    assert found.std == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("row", [[1.0, 0.0, 0.0], [0.2, 0.3, 0.5]])
def test_one_answer_for_all_images_scores_1(row: list[float]) -> None:
    found = inception_score(np.tile(row, (20, 1)))
    assert (found.mean, found.std) == (pytest.approx(1, rel=1e-12), pytest.approx(0, abs=1e-12))


def test_two_classes_at_a_known_certainty() -> None:
    """KL of (c, 1 - c) from (1/2, 1/2) is ln 2 - H(c)."""
    c = 0.9
    rows = np.array([[c, 1 - c], [1 - c, c]] * 8)
    entropy = -(c * np.log(c) + (1 - c) * np.log(1 - c))
    assert inception_score(rows, splits=4).mean == pytest.approx(np.exp(np.log(2) - entropy), rel=1e-12)


def test_parts_are_consecutive_and_their_spread_is_that_of_all_parts() -> None:
    """Seven rows in three parts: rows 0-1, 2-3 and 4-6, as i N // splits cuts them."""
    a, b, c = np.eye(3)
    found = inception_score(np.stack([a, b, a, a, a, b, c]), splits=3)
    assert found.mean == pytest.approx((2 + 1 + 3) / 3)
    assert found.std == pytest.approx(np.std([2, 1, 3]))


def test_rows_sorted_by_class_score_nothing() -> None:
    """Why the docstring asks for a shuffle."""
    sorted_rows = np.repeat(np.eye(10), 5, axis=0)
    assert inception_score(sorted_rows, splits=10).mean == pytest.approx(1)
    assert inception_score(sorted_rows, splits=1).mean == pytest.approx(10)


@given(LOGITS)
def test_it_agrees_with_the_definition_row_by_row(logits: np.ndarray) -> None:
    p = _softmax(logits)
    scores = []
    for part in range(3):
        rows = p[part * len(p) // 3 : (part + 1) * len(p) // 3]
        mean = rows.mean(0)
        scores.append(
            np.exp(
                np.mean([sum(x * np.log(x / m) for x, m in zip(row, mean, strict=True) if x) for row in rows])
            )
        )
    found = inception_score(p, splits=3)
    assert found.mean == pytest.approx(np.mean(scores), rel=1e-9)
    assert found.std == pytest.approx(np.std(scores), abs=1e-9)


@given(LOGITS)
def test_it_lies_between_1_and_the_number_of_classes(logits: np.ndarray) -> None:
    found = inception_score(_softmax(logits), splits=2)
    assert 1 - 1e-9 <= found.mean <= logits.shape[1] + 1e-9


@given(LOGITS, st.integers(0, 99))
def test_neither_the_order_within_a_part_nor_of_the_classes_matters(logits: np.ndarray, seed: int) -> None:
    generator, p = np.random.default_rng(seed), _softmax(logits)
    mixed = generator.permutation(generator.permutation(p, axis=0), axis=1)
    assert inception_score(mixed, splits=1).mean == pytest.approx(inception_score(p, splits=1).mean, rel=1e-9)


def test_tensors_and_float32_are_taken() -> None:
    p = torch.softmax(torch.randn(50, 1000, generator=torch.Generator().manual_seed(0)), 1)
    assert inception_score(p).mean == pytest.approx(inception_score(p.double().numpy()).mean, rel=1e-12)


GOOD = np.full((20, 4), 0.25)


@pytest.mark.parametrize(
    ("rows", "splits", "said"),
    [
        (GOOD, 0, "splits must be at least 1; got 0"),
        (GOOD, 21, "probabilities must hold at least 21 rows; got 20"),
        (GOOD[0], 1, r"probabilities must be features \(N, D\); got shape \(4,\)"),
        (GOOD * 2, 10, r"each row of probabilities must sum to 1 within 0\.0001; got 2\. Take the softmax"),
        (np.log(GOOD), 10, r"must not be negative; got -1\.38629"),
        (np.where(np.arange(4) == 1, np.nan, GOOD), 10, "probabilities holds NaN"),
    ],
)
def test_what_are_no_probabilities_is_refused(rows: np.ndarray, splits: int, said: str) -> None:
    with pytest.raises(MetricError, match=said):
        inception_score(rows, splits=splits)
