"""The spreads of numbers, against repetition. benchmarks/spreads.py prints the whole table."""

import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest

BENCHMARK = Path(__file__).parents[3] / "benchmarks" / "spreads.py"


@pytest.fixture(scope="module")
def spreads() -> Any:
    spec = importlib.util.spec_from_file_location("benchmark_spreads", BENCHMARK)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
@pytest.mark.parametrize("apart", [0.0, 0.5], ids=["equal", "apart"])
@pytest.mark.parametrize(("width", "rows"), [(8, 100), (64, 100)])
def test_intervals_hold_the_expectation(spreads: Any, width: int, rows: int, apart: float) -> None:
    """In 90 to 98 % of 200 repetitions; shares near 0 or 1, of few images, are wider."""
    cautious = {"copies", "near_copies"}
    table = spreads.calibration(spreads.Cell(width, rows, apart))
    assert {"frechet_distance", "kernel_distance", "precision", "coverage", "authenticity"} <= set(table)
    for name, (_, _, _, covered) in table.items():
        assert covered >= 0.88 and (covered <= 0.99 or name in cautious), (name, covered)


@pytest.mark.parametrize("apart", [0.0, 0.5], ids=["equal", "apart"])
def test_the_spread_is_of_the_size_of_what_repetition_shows(spreads: Any, apart: float) -> None:
    """It was half of that for neighbours, and twice for the Fréchet distance of equal distributions."""
    table = spreads.calibration(spreads.Cell(16, 100, apart), 40)
    for name in set(table) - {"copies", "near_copies"}:
        assert 0.7 < table[name][2] < 1.45, (name, table[name])
