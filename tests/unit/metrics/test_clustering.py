"""K-means in blocks: the centres are scikit-learn's, however the rows are cut, and whatever their type."""

import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.cluster import KMeans
from torch import Tensor

from ganguard.metrics import clustering
from ganguard.metrics.clustering import Rows, k_means, moments


def _photos(count: int, side: int, seed: int = 0) -> Tensor:
    """Flattened images whose neighbouring pixels are alike."""
    coarse = torch.rand(count, 1, 4, 4, generator=torch.Generator().manual_seed(seed))
    fine = torch.nn.functional.interpolate(coarse, (side, side), mode="bicubic")
    return fine.mul(255).clamp(0, 255).to(torch.uint8).flatten(1)


def _centred(rows: Tensor) -> Rows:
    return Rows(rows, None, rows.double().mean(0))


def _theirs(rows: Tensor, count: int) -> np.ndarray:
    return KMeans(count, n_init=1, max_iter=100, random_state=7).fit(rows.double().numpy()).cluster_centers_


@pytest.mark.parametrize(("count", "side"), [(400, 6), (120, 20)])  # the second is wider than long
def test_centres_are_those_of_scikit_learn(count: int, side: int) -> None:
    rows = _photos(count, side)
    ours = k_means(_centred(rows), 12, seed=7) + rows.double().mean(0)
    assert np.allclose(ours, _theirs(rows, 12), atol=1e-9)


def test_how_rows_are_cut_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = _photos(150, 20)
    whole = k_means(_centred(rows), 9, seed=7)
    monkeypatch.setattr(clustering, "NUMBERS_HELD", 0)
    for numbers, gram in ((1, 0), (7 * 400, 0), (7 * 150, 3072)):
        monkeypatch.setattr(clustering, "NUMBERS_AT_ONCE", numbers)
        monkeypatch.setattr(clustering, "GRAM_ROWS", gram)
        assert torch.allclose(k_means(_centred(rows), 9, seed=7), whole, atol=1e-9)


def test_some_columns_and_a_scale_are_as_rows_made_beforehand(monkeypatch: pytest.MonkeyPatch) -> None:
    rows, columns = _photos(100, 12), torch.arange(0, 144, 2)
    offset, scale = torch.rand(72).double() * 200, torch.rand(72).double() + 0.5
    made = (rows[:, columns].double() - offset) / scale
    for held in (clustering.NUMBERS_HELD, 0):
        monkeypatch.setattr(clustering, "NUMBERS_HELD", held)
        lazy = Rows(rows, columns, offset, scale)
        assert torch.equal(torch.cat([block.clone() for _, block in lazy.blocks()]), made)
        mean, variance = moments(lazy)
        assert torch.allclose(mean, made.mean(0))
        assert torch.allclose(variance, made.var(0, correction=0))
        plain = k_means(Rows(made, None, torch.zeros(72).double()), 6, seed=7)
        assert torch.allclose(k_means(lazy, 6, seed=7), plain, atol=1e-9)


def test_every_centre_has_a_row_even_if_few_rows_are_different() -> None:
    """scikit-learn gives up with a warning, which is an error here."""
    rows = torch.tensor([[0.0], [1.0], [1.0 + 1e-9]]).double().repeat(50, 1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        centres = k_means(_centred(rows), 3, seed=7)
    assert centres.isfinite().all()
    assert centres.shape == (3, 1)


def test_the_rows_are_left_alone() -> None:
    rows = _photos(60, 6).double()
    before = rows.clone()
    k_means(Rows(rows, None, torch.zeros(36).double()), 5, seed=7)
    assert torch.equal(rows, before)


def test_the_module_imports_no_library_that_copies_all_rows() -> None:
    assert "sklearn" not in Path(clustering.__file__).read_text()
