"""PostgreSQL whose processes are stopped: an error within the time that was given, and no restart."""

import threading
import time
from collections.abc import Callable, Iterator

import pytest
from postgres_server import PostgresServer

from ganguard.base.errors import StepError
from ganguard.queries.ledger import Ledger

PATIENCE = 0.5  # seconds
BOUND = 2 + 4 * PATIENCE  # an idle connection is tried first, and then a new one, which takes two seconds
OPERATIONS: dict[str, Callable[[Ledger], object]] = {
    "reserve": lambda ledger: ledger.reserve("b", "us", 5, "second"),
    "record a delivery": lambda ledger: ledger.commit("a"),
    "read the balance": lambda ledger: ledger.balance("us"),
    "open account": lambda ledger: ledger.ensure_account("them", 1),
}


@pytest.fixture
def ledger(postgres: PostgresServer) -> Iterator[Ledger]:
    with Ledger(postgres.database(), PATIENCE) as ledger:
        ledger.open_account("us", 100)
        ledger.reserve("a", "us", 30, "first")
        yield ledger


@pytest.mark.slow
@pytest.mark.parametrize("wanted", OPERATIONS)
def test_what_hangs_is_said_in_time_and_works_again(
    postgres: PostgresServer, ledger: Ledger, wanted: str
) -> None:
    with postgres.hung():
        for _ in range(2):  # through a connection that is there, and through one that is not
            begun = time.monotonic()
            with pytest.raises(StepError, match=f"could not {wanted}.*the database does not answer") as told:
                OPERATIONS[wanted](ledger)
            assert time.monotonic() - begun < BOUND
            assert "\n" not in str(told.value)
            assert "again" in str(told.value)
        with pytest.raises(StepError, match="could not open the ledger: the database does not answer"):
            Ledger(postgres.address(), PATIENCE)
    OPERATIONS[wanted](ledger)
    assert ledger.balance("us").budget == 100


def test_a_server_that_hangs_within_a_transaction(postgres: PostgresServer, ledger: Ledger) -> None:
    """What was not committed is not done; the server drops its locks once it sees that nobody is there."""
    with (
        pytest.raises(StepError, match="the database does not answer"),
        ledger._database.transaction("do") as connection,
    ):
        connection.exec_driver_sql("UPDATE accounts SET budget = 1 WHERE name = 'us'")
        with postgres.hung():
            connection.exec_driver_sql("SELECT 1")
    ledger.ensure_account("us", 101)
    assert ledger.balance("us").budget == 101


def test_many_that_wait_are_told_together(postgres: PostgresServer, ledger: Ledger) -> None:
    """More than there are connections: none waits longer than for a connection and an answer."""
    told: list[float] = []

    def ask() -> None:
        begun = time.monotonic()
        with pytest.raises(StepError):
            ledger.balance("us")
        told.append(time.monotonic() - begun)

    with postgres.hung():
        threads = [threading.Thread(target=ask) for _ in range(30)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
    assert len(told) == 30
    assert max(told) < 2 * BOUND
    assert ledger.balance("us").reserved == 30


def test_a_statement_that_takes_too_long_is_ended_by_the_server(
    postgres: PostgresServer, ledger: Ledger
) -> None:
    begun = time.monotonic()
    with (
        pytest.raises(StepError, match=r"the database does not answer \(canceling statement due to"),
        ledger._database.reading("sleep") as connection,
    ):
        connection.exec_driver_sql("SELECT pg_sleep(30)")
    assert time.monotonic() - begun < BOUND


def test_what_an_address_sets_is_kept(postgres: PostgresServer) -> None:
    """Such as a longer time to connect, and options."""
    place = f"{postgres.database()}?connect_timeout=7&options=-csearch_path%3Dpublic"
    with Ledger(place, PATIENCE) as ledger, ledger._database.reading("look") as connection:
        raw = connection.connection.dbapi_connection
        assert raw is not None
        assert raw.info.get_parameters()["connect_timeout"] == "7"
        assert connection.exec_driver_sql("SHOW search_path").scalar() == "public"
