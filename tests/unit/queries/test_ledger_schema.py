"""A ledger of an older or newer schema is adopted, or refused with the way out and left as it is."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from ganguard.base.errors import BudgetError
from ganguard.queries.ledger import Balance, Ledger

# What ganguard wrote before ledgers had a version.
UNVERSIONED = [
    "CREATE TABLE accounts (name VARCHAR NOT NULL, budget INTEGER NOT NULL, PRIMARY KEY (name))",
    "CREATE TABLE reservations (id VARCHAR NOT NULL, account VARCHAR NOT NULL, images INTEGER NOT NULL, "
    "state VARCHAR NOT NULL, request VARCHAR NOT NULL, PRIMARY KEY (id))",
    "CREATE INDEX ix_reservations_account ON reservations (account)",
    "INSERT INTO accounts VALUES ('us', 100)",
    "INSERT INTO reservations VALUES ('a', 'us', 30, 'delivered', ''), ('b', 'us', 20, 'reserved', '')",
]
Run = Callable[..., list[Any]]


@pytest.fixture
def run(place: str) -> Run:
    """Run statements by hand on the database where the ledger is; the rows of the last one."""

    def run(*statements: str) -> list[Any]:
        with closing(_connect(place)) as connection:
            for statement in statements:
                cursor = connection.execute(statement)
            rows = cursor.fetchall() if cursor.description else []
            connection.commit()
        return rows

    return run


def _connect(place: str) -> Any:
    if "://" in place:
        import psycopg

        return psycopg.connect(place)
    Path(place).parent.mkdir(exist_ok=True)
    return sqlite3.connect(place)


def test_a_new_ledger_says_its_version(place: str, run: Run) -> None:
    Ledger(place).close()
    assert run("SELECT version FROM ledger_version") == [(2,)]


def test_a_ledger_from_before_there_were_versions_is_adopted(place: str, run: Run) -> None:
    run(*UNVERSIONED)
    for _ in range(2):
        with Ledger(place) as ledger:
            assert ledger.balances() == [Balance("us", 100, reserved=50, delivered=30)]
            ledger.reserve("b", "us", 20, "again")
            ledger.commit("a")  # again
    assert run("SELECT version FROM ledger_version") == [(2,)]


def test_a_ledger_of_version_1_gets_its_sums(place: str, run: Run) -> None:
    run(
        *UNVERSIONED,
        "CREATE TABLE ledger_version (version INTEGER PRIMARY KEY)",
        "INSERT INTO ledger_version VALUES (1)",
    )
    run(
        "INSERT INTO accounts VALUES ('them', 7)",
        "INSERT INTO reservations VALUES ('c', 'gone', 5, 'reserved', '')",
    )
    with Ledger(place) as ledger:
        assert ledger.balances() == [Balance("them", 7, 0, 0), Balance("us", 100, reserved=50, delivered=30)]
        ledger.commit("b")
        ledger.reserve("d", "us", 50, "the rest")
        with pytest.raises(BudgetError, match="may buy 0 more"):
            ledger.reserve("e", "us", 1, "more")
        assert ledger.balance("us") == Balance("us", 100, reserved=100, delivered=50)
    assert run("SELECT version FROM ledger_version") == [(2,)]
    assert run("SELECT name, reserved, delivered FROM accounts ORDER BY name") == [
        ("them", 0, 0),
        ("us", 100, 50),
    ]


@pytest.mark.parametrize(
    ("statement", "came"),
    [
        (
            "UPDATE ledger_version SET version = 3",
            r"has version 3; this ganguard reads versions 1 to 2\. Use the newer",
        ),
        (
            "UPDATE ledger_version SET version = 0",
            r"has version 0; this ganguard reads versions 1 to 2\. Use the ganguard",
        ),
        ("INSERT INTO ledger_version VALUES (7)", r"has version several; this"),
        ("DELETE FROM ledger_version", r"has version none; this"),
        (
            "ALTER TABLE accounts ADD COLUMN owner VARCHAR",
            r"'accounts' with columns budget, delivered, name, reserved .*found columns budget, delivered, name, ow",
        ),
        ("DROP TABLE reservations", r"wants a table 'reservations' with columns .*found none"),
    ],
)
def test_another_schema_is_refused_with_the_way_out(place: str, run: Run, statement: str, came: str) -> None:
    Ledger(place).close()
    run(statement)
    with pytest.raises(BudgetError, match=rf"(?s)^(?!.*\n){came_from(place)}: .*{came}.*another place"):
        Ledger(place)


def came_from(place: str) -> str:
    return r"postgresql://postgres@127\.0\.0\.1:\d+/ledger_\d+" if "://" in place else place


@pytest.mark.parametrize(
    "half", [UNVERSIONED[:1], [UNVERSIONED[0], UNVERSIONED[1].replace(", PRIMARY KEY (id)", "")]]
)
def test_half_a_ledger_is_not_adopted_and_is_left_as_it_is(place: str, run: Run, half: list[str]) -> None:
    run(*half)
    with pytest.raises(
        BudgetError, match="not a ledger of schema version 1: it wants a table 'reservations'"
    ):
        Ledger(place)
    run(UNVERSIONED[3])
    with pytest.raises(Exception, match="ledger_version"):
        run("SELECT * FROM ledger_version")


def test_other_tables_are_neighbours_in_a_server_and_strangers_in_a_file(place: str, run: Run) -> None:
    run("CREATE TABLE recipes (dish VARCHAR)")
    if "://" in place:
        with Ledger(place) as ledger:
            ledger.open_account("us", 1)
    else:
        with pytest.raises(
            BudgetError, match=r"not a ledger, but a database of other tables \(recipes\)\. Give another path"
        ):
            Ledger(place)
        assert run("SELECT name FROM sqlite_master") == [("recipes",)]
