"""The table of measures is read by everything that says what a number is."""

import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pandas
import pytest

from ganguard.results.documented import BEGIN, END, measures_table, write_measures
from ganguard.results.measure import INPUTS, SPREADS
from ganguard.results.measures import MEASURES, Measure
from ganguard.results.records import AuditResults, Measurement, write_results

DOCS = Path(__file__).parents[3] / "docs" / "numerical-precision.md"
NEW = Measure(
    name="new_number",
    title="new number",
    function="ganguard.metrics.frechet:frechet_distance",
    of="features",
    spread="bootstrap",
    better="none",
    help="Says something new.",
    signed=True,
)


def test_every_record_names_a_function_that_exists() -> None:
    for name, measure in MEASURES.items():
        module, _, function = measure.function.partition(":")
        assert measure.name == name and callable(getattr(import_module(module), function))
        assert measure.of in INPUTS and measure.spread in SPREADS and measure.help.endswith(".")


def test_the_documentation_has_the_table() -> None:
    said = DOCS.read_text().partition(BEGIN)[2].partition(END)[0]
    assert said == measures_table(), "run: ganguard.results.documented.write_measures(Path(...))"


def test_the_table_is_written_between_its_marks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(MEASURES, NEW.name, NEW)
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}old\n{END}after\n")
    write_measures(page)
    assert page.read_text() == f"before\n{BEGIN}{measures_table()}{END}after\n"
    assert (
        "| `new_number` | new number. Says something new. | neither | features of both sets |"
        in page.read_text()
    )


def test_a_new_number_has_its_direction_in_parquet_and_may_be_negative_if_it_says_so(
    tmp_path: Path, tiny_results: AuditResults, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = {**tiny_results.measurements[0].model_dump(), "metric": NEW.name, "value": -1.0}
    with pytest.raises(ValueError, match="value of 'new_number' must not be negative"):
        Measurement.model_validate(said)
    monkeypatch.setitem(MEASURES, NEW.name, NEW)
    changed = tiny_results.model_copy(update={"measurements": (Measurement.model_validate(said),)})
    write_results(changed, tmp_path)
    assert list(pandas.read_parquet(tmp_path / "results.parquet")["better"]) == ["none"]


def test_a_new_number_is_in_the_help_of_measure() -> None:
    code = f"""
import sys
from ganguard.results.measures import MEASURES, Measure
MEASURES[{NEW.name!r}] = {NEW!r}
sys.argv = ["ganguard", "measure", "--help"]
from ganguard.cli.main import main
main()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    said = re.sub(r"[\s│]+", " ", done.stdout)
    names = (
        "frechet_distance, frechet_distance_infinity, kernel_distance, frechet_distance_unscaled, kid, cmmd"
    )
    assert f"Lower is better: {names}, ndb, jsd" in said
    assert "Higher is better: vendi_score, precision, recall, density, coverage, inception_score" in said
    assert "Neither is: new_number." in said


@pytest.mark.parametrize(
    ("name", "sizes", "lacks"),
    [
        ("ndb", {"images": 499}, "ndb needs at least 500 images in each set; got 499. Measure more images."),
        ("ndb", {"images": 500}, ""),
        (
            "frechet_distance_infinity",
            {"images": 79, "dimensions": 4},
            "80 images in each set for features of 4",
        ),
        ("frechet_distance_infinity", {"images": 59, "dimensions": 2}, "at least 60 images"),
        ("piqe", {"images": 1, "side": 15}, "piqe needs images of at least 16×16 pixels; got a side of 15."),
        ("piqe", {"images": 1, "side": 16}, ""),
        ("coverage", {"images": 5}, "at least 6 images"),
    ],
)
def test_what_sets_lack_for_a_number_is_said(name: str, sizes: dict[str, int], lacks: str) -> None:
    found = MEASURES[name].shortage(**sizes)
    assert lacks in found and bool(lacks) == bool(found)
