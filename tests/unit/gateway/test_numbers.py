"""Numbers that no computer counts with: one clear line, wherever the gateway reads one."""

import copy
import json
from collections.abc import Callable, Iterator
from functools import reduce
from operator import getitem
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from ganguard.base.errors import DataError, SpecError
from ganguard.gateway.spec import read_gateway_spec
from ganguard.gateway.watch.risk import Audited, estimate
from ganguard.results.measures import DISTANCE
from ganguard.targets.wire import AccountAnswer

HUGE = (
    "1" + "0" * 400,
    "-1" + "0" * 400,
    "9" * 5000,
    "1e400",
    "-1e400",
    "NaN",
    "Infinity",
    "1e308",
    "1e-400",
    "true",
)
YAML = (*HUGE, "0x" + "f" * 4000, "1_0" * 900, "59" + ":59" * 1000, ".inf", "-.inf", ".nan", "1.0e+400")
SPEC = {
    "target": {"checkpoint": "x"},
    "port": 1,
    "most_images": 5,
    "most_mib": 9,
    "classes": {
        "a": {
            "images_a_minute": 5,
            "defences": [
                {"kind": "gaussian_noise", "std": 0.2},
                {"kind": "jpeg", "quality": 30},
                {"kind": "gaussian_filter", "sigma": 1.0},
                {"kind": "median_filter", "size": 3},
                {"kind": "adversarial_noise", "budget": 4, "steps": 3},
            ],
        }
    },
    "batching": {"most_images": 3, "longest_wait": 0.1, "most_waiting": 100},
    "risk": {"results": "r", "thresholds": [0.5]},
    "compute": {"threads": 1},
}
COPY = {
    "subject": "substitute",
    "metric": DISTANCE,
    "against": "target",
    "value": 1.5,
    "spread": 0.1,
    "attack": "a",
    "query_budget": 100,
    "seed": 0,
}
RESULTS = {"format": 1, "name": "x", "measurements": [COPY, {**COPY, "query_budget": 1000, "value": 1.0}]}
ACCOUNT = {
    "account": "a",
    "budget": 1,
    "spent": 1,
    "left": 0,
    "scopes": {"most_images": 4},
    "target": {"identity": "x", "image_shape": [1, 8, 8], "latent_dim": 5},
}


def with_each(found: Any, numbers: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """The JSON of a value, with one of its numbers replaced by one of others; and which was."""
    for path in places(found):
        marked = copy.deepcopy(found)
        reduce(getitem, path[:-1], marked)[path[-1]] = "@"
        for number in numbers:
            yield f"{path} {number[:12]}", json.dumps(marked).replace('"@"', number)


def places(found: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to each number in a value."""
    if isinstance(found, dict | list):
        for key, part in found.items() if isinstance(found, dict) else enumerate(found):
            yield from places(part, (*path, key))
    elif isinstance(found, int | float):
        yield path


def is_one_line(problem: Exception) -> bool:
    return "\n" not in str(problem) and len(str(problem)) < 700


def test_the_spec(tmp_path: Path) -> None:
    path, wrong, refused = tmp_path / "gateway.yaml", list[str](), 0
    for name, text in with_each(SPEC, YAML):
        path.write_text(text)
        try:
            read_gateway_spec(str(path), [])
        except SpecError as problem:
            refused += 1
            wrong += [] if is_one_line(problem) else [name]
    assert wrong == []
    assert refused > 200


def test_an_audits_results(tmp_path: Path) -> None:
    path, wrong, refused = tmp_path / "results.json", list[str](), 0
    for name, text in with_each(RESULTS, HUGE):
        path.write_text(text)
        try:
            curve = Audited(path).curves("none").adaptive
        except DataError as problem:
            refused += 1
            wrong += [] if is_one_line(problem) else [name]
        else:
            assert all(str(estimate(curve, images)) for images in (1, 100, 500, 1000, 2**63 - 1))
    assert wrong == []
    assert refused > 50


@pytest.mark.parametrize("budget", ["1" + "0" * 400, "9" * 5000, str(2**62 + 1), "1e400", "-" + "9" * 400])
def test_a_query_budget_of_any_size(tmp_path: Path, budget: str) -> None:
    path = tmp_path / "results.json"
    path.write_text(json.dumps(RESULTS).replace('"query_budget": 1000', f'"query_budget": {budget}'))
    with pytest.raises(DataError) as refused:
        Audited(path)
    assert is_one_line(refused.value)


def test_what_another_gateway_says_of_an_account() -> None:
    AccountAnswer.model_validate_json(json.dumps(ACCOUNT))
    for name, text in with_each(ACCOUNT, ("1" + "0" * 400, "9" * 5000, "1e400", "-1", "NaN")):
        with pytest.raises(ValidationError):
            raise AssertionError(f"{name}: {AccountAnswer.model_validate_json(text)}")


@pytest.mark.parametrize("verb", ["create", "set-budget"])
@pytest.mark.parametrize("budget", ["1" + "0" * 400, "9" * 5000, "1e400", "nan", "-1", str(2**62 + 1)])
def test_a_budget_on_the_command_line(
    cli: Callable[..., tuple[int, str, str]], tmp_path: Path, verb: str, budget: str
) -> None:
    path = tmp_path / "gateway.yaml"
    path.write_text(f"target: {{checkpoint: x}}\ndirectory: {tmp_path / 'state'}\n")
    code, out, err = cli("keys", verb, str(path), "--account", "us", f"--budget={budget}")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "--budget" in err
