"""The example of docs/add-a-metric.md works: a function, a record, and everything reads the new number."""

import json
import math
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest
import torch
from report_samples import minimal
from torch import Tensor

from ganguard.comparison.compare import NEIGHBOURS, compare
from ganguard.comparison.values import function_of
from ganguard.metrics import Balls
from ganguard.report.tables import measure_table
from ganguard.results import measures
from ganguard.results.measures import MEASURES, Measure

Cli = Callable[..., tuple[int, str, str]]
PAGE = Path(__file__).parents[2] / "docs" / "add-a-metric.md"


@pytest.fixture
def added(monkeypatch: pytest.MonkeyPatch) -> Iterator[Measure]:
    """The page's function as a module of ours, and its record in the table."""
    function, record = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    module = ModuleType("ganguard.metrics.energy")
    exec(function, module.__dict__)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    measure: Measure = eval(record, vars(measures))
    monkeypatch.setitem(MEASURES, measure.name, measure)
    yield measure


def rows(seed: int, shift: float, dimensions: int = 3) -> Tensor:
    """Return 400 rows of N(shift, I)."""
    return torch.randn(400, dimensions, generator=torch.Generator().manual_seed(seed)) + shift


def energy_of_normals(shift: float) -> float:
    """Return the energy distance of N(0, 1) and N(shift, 1): X - Y is N(shift, 2), and |X - Y| is folded."""
    between = 2 / math.sqrt(math.pi) * math.exp(-(shift**2) / 4) + shift * math.erf(shift / 2)
    return 2 * between - 4 / math.sqrt(math.pi)


@pytest.mark.parametrize(("shift", "within"), [(0.0, 0.005), (1.0, 0.1), (3.0, 0.2)])
def test_it_is_the_energy_distance(added: Measure, shift: float, within: float) -> None:
    """The tolerances are about twice the standard error at 400 rows."""
    found = function_of(added.function)(rows(0, 0.0, 1), rows(1, shift, 1))
    assert found == pytest.approx(energy_of_normals(shift), abs=within)


def test_audits_and_the_report_have_it(added: Measure) -> None:
    whose = {"attack": "fidelity sngan", "query_budget": 200, "seed": 0}
    balls = (Balls.around(rows(seed, shift), k=NEIGHBOURS) for seed, shift in ((0, 0.0), (1, 1.0)))
    found = [m.model_copy(update=whose) for m in compare("substitute", *balls, "target")]
    (energy,) = [m for m in found if m.metric == added.name]
    assert energy.value > 0.5
    assert energy.spread is not None
    assert 0 < energy.spread < 0.5
    columns = measure_table(minimal(measurements=tuple(found)), "target").columns
    assert any(column.startswith(added.title) for column in columns)


def test_measure_prints_it(added: Measure, cli: Cli) -> None:
    sets = ("{kind: digits, classes: [0]}", "digits")
    code, out, err = cli("measure", *sets, "--metrics", added.name, "--samples", "60")
    assert code == 0, err
    assert json.loads(out)[added.name] > 0
