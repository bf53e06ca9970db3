"""A ledger of another schema is refused in one line with the way out, and left as it is."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from ganguard.base.errors import BudgetError
from ganguard.queries.ledger import Ledger

# A ledger without a version, whose accounts keep no sums.
OLD = [
    "CREATE TABLE accounts (name VARCHAR NOT NULL, budget INTEGER NOT NULL, PRIMARY KEY (name))",
    "CREATE TABLE reservations (id VARCHAR NOT NULL, account VARCHAR NOT NULL, images INTEGER NOT NULL, "
    "state VARCHAR NOT NULL, request VARCHAR NOT NULL, PRIMARY KEY (id))",
    "CREATE INDEX ix_reservations_account ON reservations (account)",
    "INSERT INTO accounts VALUES ('us', 100)",
    "INSERT INTO reservations VALUES ('a', 'us', 30, 'delivered', ''), ('b', 'us', 20, 'reserved', '')",
]
VERSION_1 = [
    "CREATE TABLE ledger_version (version INTEGER PRIMARY KEY)",
    "INSERT INTO ledger_version VALUES (1)",
]
Run = Callable[..., list[Any]]


@pytest.fixture
def run(place: str) -> Run:
    """Return a function that runs statements on the ledger's database and returns the rows of the last."""

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


@pytest.mark.parametrize(
    ("statement", "came"),
    [
        (
            "UPDATE ledger_version SET version = 3",
            r"has version 3; this ganguard reads version 2\. Use the newer",
        ),
        (
            "UPDATE ledger_version SET version = 0",
            r"has version 0; this ganguard reads version 2\. Use the ganguard",
        ),
        ("INSERT INTO ledger_version VALUES (7)", r"has version several; this"),
        ("DELETE FROM ledger_version", r"has version none; this"),
        (
            "ALTER TABLE accounts ADD COLUMN owner VARCHAR",
            r"'accounts' with columns budget, delivered, name, reserved .*"
            r"found columns budget, delivered, name, ow",
        ),
        ("DROP TABLE reservations", r"needs a table 'reservations' with columns .*found none"),
        (
            "DROP TABLE reservations; CREATE TABLE reservations (id VARCHAR, account VARCHAR, "
            "images INTEGER, state VARCHAR, request VARCHAR)",
            r"needs a table 'reservations' with .* \(key: id\); found columns account, id, images, req",
        ),
        ("DROP TABLE ledger_version", r"needs a table 'ledger_version' with columns version .*found none"),
    ],
)
def test_another_schema_is_refused_with_the_way_out(place: str, run: Run, statement: str, came: str) -> None:
    Ledger(place).close()
    run(*statement.split(";"))
    with pytest.raises(BudgetError, match=rf"(?s)^(?!.*\n){came_from(place)}: .*{came}.*another place"):
        Ledger(place)


def came_from(place: str) -> str:
    return r"postgresql://postgres@127\.0\.0\.1:\d+/ledger_\d+" if "://" in place else place


@pytest.mark.parametrize(
    ("statements", "came"),
    [
        (OLD, r"needs a table 'accounts' with columns budget, delivered, .*found columns budget, name\."),
        (OLD[:1], r"needs a table 'accounts' with columns budget, delivered, .*found columns budget, name\."),
        (
            [*OLD, *VERSION_1],
            r"has version 1; this ganguard reads version 2\. Use the ganguard that wrote it",
        ),
    ],
    ids=["no version", "half of one", "version 1"],
)
def test_an_older_ledger_is_refused_and_left_as_it_is(
    place: str, run: Run, statements: list[str], came: str
) -> None:
    run(*statements)
    with pytest.raises(BudgetError, match=rf"(?s)^(?!.*\n){came_from(place)}: .*{came}.*another place"):
        Ledger(place)
    run("INSERT INTO accounts VALUES ('them', 100)")  # still without sums
    if "ledger_version" not in "".join(statements):
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
