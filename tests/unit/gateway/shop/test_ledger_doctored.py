"""`ganguard doctor` on the directory of a gateway: its ledger against itself."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from ganguard.audit.doctor import examine
from ganguard.cli.main import app
from ganguard.queries.ledger import Ledger

Start = Callable[..., Any]


@pytest.fixture
def directory(conditional: Start, gateway: Start, tmp_path: Path) -> Path:
    """The directory of a gateway that has sold some images, and holds some that were not sent."""
    us = conditional()
    key = us.key()
    assert us.buy(key, count=3, condition="cat").status_code == 200
    assert us.buy(key, count=20).status_code == 200
    us.service.ledger.reserve("left by a crash", "us", 2, "sample drawn count=2")
    return tmp_path / "state"


def test_a_sound_ledger_is_said_to_be_so_and_left_as_it_is(directory: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in directory.iterdir()}
    said = CliRunner().invoke(app, ["doctor", str(directory)])
    ledger = directory / "ledger.sqlite"
    assert said.output == f"ok     {ledger}: accounts: 1; images bought: 25.\nNothing is wrong.\n"
    assert said.exit_code == 0
    assert {path: path.stat().st_mtime_ns for path in directory.iterdir()} == before


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("UPDATE ledger_conditions SET reserved = 99 WHERE condition = 'cat'", "count 99 as reserved"),
        ("UPDATE accounts SET delivered = 0", "counts 25 images reserved, 0 delivered"),
    ],
)
def test_sums_that_do_not_agree_are_found(directory: Path, statement: str, said: str) -> None:
    path = directory / "ledger.sqlite"
    with Ledger(path) as ledger, ledger._database.transaction("damage it") as connection:
        connection.exec_driver_sql(statement)
    wrong = [finding for finding in examine(directory) if finding.severity == "wrong"]
    assert [said in finding.what for finding in wrong] == [True]
    assert CliRunner().invoke(app, ["doctor", str(directory)]).exit_code == 1


def test_a_file_that_is_no_ledger_is_a_finding(tmp_path: Path) -> None:
    (tmp_path / "ledger.sqlite").write_bytes(b"no ledger" * 100)
    (finding,) = examine(tmp_path)
    assert (finding.severity, "not a ledger that can be read" in finding.what) == ("wrong", True)
