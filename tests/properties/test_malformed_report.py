"""`ganguard report DIR` on results that somebody edited: one line and exit code 2, or a page; never a
traceback."""

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from malformed_results import GRID, measured, results, whole

from ganguard.cli.main import main

Run = Callable[[Path], tuple[int, str, str]]


@pytest.fixture
def report(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """`ganguard report DIR`: (exit code, standard output, standard error)."""

    def run(directory: Path) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["ganguard", "report", str(directory)])
        monkeypatch.setattr("ganguard.cli.main._hear_interrupts", lambda handler: None)
        with pytest.raises(SystemExit) as ended:
            main()
        return int(ended.value.code or 0), *capsys.readouterr()

    return run


def _laid_out(directory: Path, said: dict[str, Any] | str) -> Path:
    files = whole() | {"results.json": (said if isinstance(said, str) else json.dumps(said)).encode()}
    for name, content in files.items():
        (directory / name).parent.mkdir(exist_ok=True)
        (directory / name).write_bytes(content)
    return directory


def _number(**values: Any) -> dict[str, Any]:
    return results() | {"measurements": [measured(**values)]}


def _picture(file: str) -> dict[str, Any]:
    return results() | {"pictures": [results()["pictures"][0] | {"file": file}]}


NESTED = json.loads("[" * 40 + "]" * 40)
ROW, VALUE, IMAGES = "measurements.0: ", "measurements.0.value: ", "measurements.0.images: "
WRONG: dict[str, tuple[dict[str, Any] | str, str]] = {
    "no JSON": ("{", "results.json: not JSON"),
    "a list": ("[]", "results.json: input should be a valid dictionary"),
    "deep": ("[" * 100_000, "results.json: not JSON"),
    "NaN": (_number(value=float("nan")), "results.json: not JSON (NaN is not a number in JSON)"),
    "1e999": (
        json.dumps(_number()).replace("2.5", "1e999"),
        f"{VALUE}input should be a finite number; got inf",
    ),
    "too large": (_number(value=1e200), f"{ROW}value must be 0, or 1e-100 to 1e+100 in size; got 1e+200"),
    "too small": (_number(value=1e-200), f"{ROW}value must be 0, or 1e-100 to 1e+100 in size; got 1e-200"),
    "below 0": (_number(value=-1.0), f"{ROW}value of 'frechet_distance' must not be negative; got -1.0"),
    "no images": (_number(images=0), f"{IMAGES}input should be greater than 0; got 0"),
    "a text": (_number(images="many"), f"{IMAGES}must be a whole number; got 'many'"),
    "a huge number": (_number(images=10**30), f"{IMAGES}input should be less than"),
    "a key absent": (
        {k: v for k, v in results().items() if k != "steps"},
        "results.json.steps: this key is required and missing",
    ),
    "an unknown key": (results() | {"surprise": 1}, "results.json.surprise: unknown key"),
    "a deep spec": (results() | {"spec": {"a": NESTED}}, "results.json.spec: must nest at most 32 deep"),
    "a share above 1": (
        results() | {"features": results()["features"] | {"held_out_accuracy": 1.5}},
        "held_out_accuracy",
    ),
    "a picture elsewhere": (
        _picture("../x.png"),
        "must be the path of a file below the directory of the results; got '../x.png'",
    ),
    "a picture at the root": (
        _picture("/x.png"),
        "must be the path of a file below the directory of the results; got '/x.png'",
    ),
    "a picture that is absent": (_picture("grids/x.png"), "x.png: no such file"),
    "a picture that is a folder": (_picture("grids"), "grids: no such file"),
}


@pytest.mark.parametrize("name", WRONG)
def test_damaged_results_are_refused_in_one_line(tmp_path: Path, report: Run, name: str) -> None:
    content, said = WRONG[name]
    code, out, err = report(_laid_out(tmp_path, content))
    assert (code, out) == (2, "")
    assert re.fullmatch(r"error: [^\n]{10,600}\n", err)
    assert said in err
    assert not (tmp_path / "report.html").exists()


@pytest.mark.parametrize(
    "content", [b"", b"\x89PNG\r\n\x1a\n", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(8), b"GIF89a"]
)
def test_a_grid_that_is_no_picture_is_named(tmp_path: Path, report: Run, content: bytes) -> None:
    _laid_out(tmp_path, results())
    (tmp_path / GRID).write_bytes(content)
    code, _, err = report(tmp_path)
    assert code == 2
    assert "target.png: " in err


@pytest.mark.parametrize("values", [(1e-100, 1e100), (0.0, 1e100), (1e-100, 1e-100)])
def test_the_most_extreme_numbers_that_are_taken_give_a_page(
    tmp_path: Path, report: Run, values: tuple[float, float]
) -> None:
    rows = [
        measured(value=value, seed=seed, query_budget=budget)
        for seed, value in enumerate(values)
        for budget in (1, 2**62)
    ]
    code, out, err = report(_laid_out(tmp_path, results() | {"measurements": rows}))
    assert (code, err) == (0, "")
    assert out.startswith("Report: ")
