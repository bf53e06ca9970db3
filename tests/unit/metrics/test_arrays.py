"""The checks of all metrics: which arrays they take, and which they refuse."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from ganguard.base.errors import MetricError
from ganguard.metrics import (
    GaussianStatistics,
    frechet_distance,
    frechet_distance_infinity,
    kernel_distance_full,
    memorisation,
    ndb_jsd,
    precision_recall_density_coverage,
)

ROWS = np.random.default_rng(0).integers(-9, 9, size=(70, 3)).astype(np.float64)
METRICS: dict[str, Callable[[Any, Any], object]] = {
    "frechet_distance": frechet_distance,
    "statistics": lambda a, b: frechet_distance(GaussianStatistics.of(a), GaussianStatistics.of(b)),
    "frechet_distance_infinity": frechet_distance_infinity,
    "kernel_distance": kernel_distance_full,
    "precision": precision_recall_density_coverage,
    "memorisation": lambda a, b: memorisation(a, b).authentic,
    "ndb": lambda a, b: ndb_jsd(a, b, bins=5).jsd,
}


def _read_only(rows: np.ndarray) -> np.ndarray:
    """As an array is that a file is mapped to, or that another library lends."""
    copy = rows.copy()
    copy.setflags(write=False)
    return copy


KINDS: dict[str, Callable[[np.ndarray], Any]] = {
    "backwards": lambda rows: rows[::-1].copy()[::-1],
    "columns of a table": lambda rows: np.asfortranarray(np.repeat(rows, 2, axis=1))[:, ::2],
    "read-only": _read_only,
    "read-only float32": lambda rows: _read_only(rows.astype(np.float32)),
    "big-endian": lambda rows: rows.astype(">f8"),
    "long double": lambda rows: rows.astype(np.longdouble),
    "whole numbers": lambda rows: rows.astype(np.int8),
    "half": lambda rows: rows.astype(np.float16),
    "bfloat16": lambda rows: torch.from_numpy(rows).bfloat16(),
    "with a gradient": lambda rows: torch.from_numpy(rows).requires_grad_(),
    "strided tensor": lambda rows: torch.from_numpy(rows).repeat_interleave(2, 1)[:, ::2],
    "lists": lambda rows: rows.tolist(),
}


@pytest.mark.parametrize("kind", KINDS)
def test_arrays_of_any_kind_are_measured_alike(kind: str) -> None:
    """Small whole numbers, which all of them hold exactly."""
    other = ROWS + 1
    assert frechet_distance(KINDS[kind](ROWS), other) == pytest.approx(
        frechet_distance(ROWS, other), rel=1e-12
    )
    found, wanted = (precision_recall_density_coverage(rows, other) for rows in (KINDS[kind](ROWS), ROWS))
    assert found == wanted


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (ROWS.astype(complex), "real numbers; got complex128"),
        (torch.from_numpy(ROWS).to(torch.complex64), r"real numbers; got torch\.complex64"),
        (ROWS.astype(str), "real numbers; got <U"),
        (ROWS.astype(object), "real numbers; got object"),
        (None, "real numbers; got object"),
    ],
)
def test_what_are_no_real_numbers_is_refused(rows: Any, said: str) -> None:
    with pytest.raises(MetricError, match=f"b must be {said}"):
        frechet_distance(ROWS, rows)


@pytest.mark.parametrize("metric", METRICS)
def test_entries_whose_products_no_float_holds_are_refused(metric: str) -> None:
    """Infinity less infinity would pass for no distance at all."""
    for unit in (1e300, 1e60, 1e-62, 1e-310):
        with pytest.raises(
            MetricError, match=r"must be 0, or 1e-60 to 1e\+60 in absolute value; got 9e[+-]\d+, whose powers"
        ):
            METRICS[metric](ROWS * unit, ROWS)


@pytest.mark.parametrize("metric", [name for name in METRICS if name != "kernel_distance"])
@pytest.mark.parametrize("unit", [1e-30, 1e-6, 1e6, 1e30, 1e58])
def test_the_unit_of_the_features_does_not_matter(metric: str, unit: float) -> None:
    """Distances are in squares of it."""
    wanted, found = METRICS[metric](ROWS, 2 * ROWS + 1), METRICS[metric](ROWS * unit, (2 * ROWS + 1) * unit)
    squares = unit**2 if metric in ("frechet_distance", "statistics", "frechet_distance_infinity") else 1
    if isinstance(wanted, float) and isinstance(found, float):
        assert found == pytest.approx(wanted * squares, rel=1e-9)
    else:
        assert found == wanted
