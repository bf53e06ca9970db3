"""Budgets of classes of images: in the spec by class of account, and of an account's own."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from typer.testing import CliRunner

from ganguard.base.errors import BudgetError, SpecError
from ganguard.base.settings import parse, read_yaml
from ganguard.cli.main import app
from ganguard.gateway.spec import AccountClass
from ganguard.queries.ledger_conditions import ConditionBalance, said_of_conditions
from ganguard.targets.ask import UNIFORM
from ganguard.targets.conditions import Conditions

Start = Callable[..., Any]
BUDGETS = {"default": {"budgets": {"cat": 5, "dog": 0}}, "partners": {}}


def of(us: Any, account: str = "us") -> dict[str, tuple[int, int]]:
    return {b.condition: (b.reserved, b.delivered) for b in us.service.ledger.conditions(account)}


def test_an_account_buys_no_more_of_a_class_than_its_budget(conditional: Start) -> None:
    us = conditional(classes=BUDGETS)
    key = us.key()
    assert us.buy(key, count=3, condition="cat").status_code == 200
    refused = us.buy(key, "k", count=3, condition=["cat", "cat", "cat"])
    assert refused.status_code == 402
    assert refused.headers["content-type"] == "application/problem+json"
    problem = refused.json()
    assert problem["type"] == "urn:ganguard:problem:condition-budget-exhausted"
    assert problem["detail"] == (
        "the account may buy 2 more of its budget of 5 images of 'cat'; asked for 3."
    )
    assert (problem["budget"], problem["spent"], problem["left"]) == (5, 3, 2)
    assert us.counts() == (3, 3)
    assert us.buy(key, "k", count=3, condition=["cat", 'great "owl"', "cat"]).status_code == 200
    assert us.buy(key, count=1, condition="dog").status_code == 402
    assert us.buy(key, count=64).status_code == 402  # uniformly, which asks for dogs
    assert of(us) == {"cat": (5, 5), 'great "owl"': (1, 1)}
    assert us.counts() == (6, 6)


def test_another_class_of_accounts_has_other_budgets(conditional: Start) -> None:
    us = conditional(classes=BUDGETS)
    assert us.buy(us.key("them", class_="partners"), count=9, condition="dog").status_code == 200
    assert of(us, "them") == {"dog": (9, 9)}


def test_the_whole_budget_is_told_first(conditional: Start) -> None:
    us = conditional(classes=BUDGETS)
    refused = us.buy(us.key(budget=2), count=9, condition="cat").json()
    assert refused["type"] == "urn:ganguard:problem:budget-exhausted"
    assert refused["budget"] == 2


def test_images_that_nobody_asked_a_class_for_count_as_those_that_they_are_of(conditional: Start) -> None:
    us = conditional()
    assert us.buy(us.key(), count=60, seed=1).status_code == 200
    found = of(us)
    assert sum(reserved for reserved, _ in found.values()) == 60
    assert len(found) == 3


def test_images_that_cannot_be_made_are_given_back_by_class_too(
    conditional: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    us = conditional(classes=BUDGETS)
    key, inner = us.key(), us.service.batching.inner

    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("no memory")

    with monkeypatch.context() as patch:
        patch.setattr(inner, "generate", fail)
        assert us.buy(key, "k", count=5, condition="cat").status_code == 503
    assert us.counts() == (0, 0)
    assert of(us) == {"cat": (0, 0)}
    assert us.buy(key, "k", count=5, condition="cat").status_code == 200
    assert us.buy(key, "k", count=5, condition="cat").status_code == 200  # redeemed
    assert of(us) == {"cat": (5, 5)}
    assert us.service.ledger.check({}).problems == ()


@pytest.mark.parametrize(
    ("kind", "budgets", "said"),
    [
        ("conditional", {"catt": 1}, "spec.classes.gold.budgets: unknown class 'catt'; did you mean 'cat'"),
        ("gateway", {"cat": 1}, "spec.classes.gold.budgets: names conditions, and the target has no classes"),
    ],
)
def test_a_budget_of_what_there_is_not_stops_the_start(
    request: pytest.FixtureRequest, kind: str, budgets: dict[str, int], said: str
) -> None:
    with pytest.raises(SpecError, match=said) as refused:
        request.getfixturevalue(kind)(classes={"gold": {"budgets": budgets}})
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "budgets", [{"cat": -1}, {"cat": 1.5}, {"cat": "many"}, ["cat"], {"": 1}, {"cat": 2**63}]
)
def test_a_budget_is_a_number_of_images(budgets: Any) -> None:
    with pytest.raises(SpecError, match="budgets"):
        parse(AccountClass, {"budgets": budgets}, "spec")


def test_names_that_yaml_reads_as_numbers_are_names() -> None:
    found = parse(AccountClass, yaml.safe_load("budgets: {3: 100}"), "spec")
    assert found.budgets == {"3": 100}
    lost: Any = read_yaml("budgets: {03: 100}", "spec")
    with pytest.raises(SpecError, match="YAML reads '03' here as 3"):
        parse(AccountClass, lost, "spec")


def test_the_owner_gives_an_account_a_budget_of_its_own(
    conditional: Start, conditional_generator: Path, tmp_path: Path
) -> None:
    us = conditional(classes=BUDGETS)
    key = us.key()
    spec = tmp_path / "gateway.yaml"
    said = {"target": {"checkpoint": str(conditional_generator)}, "directory": str(tmp_path / "state")}
    spec.write_text(yaml.safe_dump({**said, "classes": BUDGETS}))

    def run(*words: str) -> Any:
        return CliRunner().invoke(app, ["keys", *words])

    assert us.buy(key, count=6, condition="cat").status_code == 402
    given = run("set-budget", str(spec), "--account", "us", "--condition", "cat", "--budget", "7")
    assert given.output == "Account 'us' has bought 0 of 7 images of 'cat'.\n"
    assert us.buy(key, count=6, condition="cat").status_code == 200
    assert us.buy(key, count=2, condition="cat").status_code == 402
    low = run("set-budget", str(spec), "--account", "us", "--condition", "cat", "--budget", "5")
    assert isinstance(low.exception, BudgetError)
    nobody = run("set-budget", str(spec), "--account", "them", "--condition", "cat", "--budget", "5")
    assert isinstance(nobody.exception, BudgetError)
    (account,) = json.loads(run("list", str(spec)).output)["accounts"]
    assert account["conditions"] == {"cat": {"budget": 7, "reserved": 6, "delivered": 6}}
    assert account["reserved"] == 6


def test_the_owner_takes_such_a_budget_away(
    conditional: Start, conditional_generator: Path, tmp_path: Path
) -> None:
    us = conditional()
    key = us.key()
    spec = tmp_path / "gateway.yaml"
    said = {"target": {"checkpoint": str(conditional_generator)}, "directory": str(tmp_path / "state")}
    spec.write_text(yaml.safe_dump(said))

    def run(*words: str) -> Any:
        return CliRunner().invoke(app, ["keys", "set-budget", str(spec), "--account", "us", *words])

    of_cats = ("--condition", "cat")
    assert run(*of_cats, "--no-budget").output.endswith("images of 'cat', and has no budget of its own.\n")
    assert us.service.ledger.conditions() == []
    assert run(*of_cats, "--budget", "2").exit_code == 0
    assert us.buy(key, count=3, condition="cat").status_code == 402
    assert us.buy(key, count=2, condition="cat").status_code == 200
    taken = run(*of_cats, "--no-budget")
    assert taken.output == "Account 'us' has bought 2 images of 'cat', and has no budget of its own.\n"
    assert us.buy(key, count=3, condition="cat").status_code == 200
    assert of(us) == {"cat": (5, 5)}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--condition", "", "--budget", "5"], "--condition must be the name of a class or prompt"),
        (["--condition", "cat"], "takes one of --budget and --no-budget"),
        ([], "takes one of --budget and --no-budget"),
        (["--condition", "cat", "--budget", "5", "--no-budget"], "takes one of --budget and --no-budget"),
        (["--no-budget"], "--no-budget goes with --condition"),
    ],
)
def test_what_is_no_budget_is_refused(words: list[str], said: str) -> None:
    refused = CliRunner().invoke(app, ["keys", "set-budget", "gateway.yaml", "--account", "us", *words])
    assert isinstance(refused.exception, SpecError)
    assert said in str(refused.exception)


def test_a_harvest_says_what_it_bought_of_each_class(conditional_generator: Path, tmp_path: Path) -> None:
    said = CliRunner().invoke(
        app, ["harvest", str(conditional_generator), "--count", "30", "--out", str(tmp_path / "bought")]
    )
    assert said.exit_code == 0, said.output
    line = next(line for line in said.output.splitlines() if line.startswith("By condition: "))
    asked = UNIFORM.draw(Conditions(names=("cat", "dog", 'great "owl"')), range(30), seed=0)
    cats, dogs, owls = torch.bincount(asked, minlength=3).tolist()
    assert sorted(line.removeprefix("By condition: ")[:-1].split(", ")) == [
        f"cat {cats}",
        f"dog {dogs}",
        f'great "owl" {owls}',
    ]


def test_many_classes_are_said_in_a_line() -> None:
    bought = [ConditionBalance("us", f"c{n}\n", None, n, 0) for n in range(40)]
    line = said_of_conditions(bought)
    assert line.startswith("By condition: c39  39, c38  38, ")
    assert line.endswith(f", 27 others {27 * 28 // 2}.")
    assert "\n" not in line
    assert said_of_conditions(bought[:1]) == ""
