"""Whatever happens to the database, an error is one line: what was wanted, what came, what to do."""

import resource
import socket
import sqlite3
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from postgres_server import PostgresServer

from ganguard.base.errors import BudgetError, GanguardError, StepError
from ganguard.queries import ledger_database
from ganguard.queries.ledger import Balance, Ledger

OPERATIONS: dict[str, Callable[[Ledger], object]] = {
    "open account 'them'": lambda ledger: ledger.open_account("them", 10),
    "open account 'us'": lambda ledger: ledger.ensure_account("us", 101),
    "reserve 5 images for account 'us'": lambda ledger: ledger.reserve("b", "us", 5, "x" * 10_000),
    "record a delivery": lambda ledger: ledger.commit("a"),
    "release a reservation": lambda ledger: ledger.release("a"),
    "read the balance of account 'us'": lambda ledger: ledger.balance("us"),
    "read the balances": lambda ledger: ledger.balances(),
    "read the whole ledger": lambda ledger: ledger.check({}),
}
WRITES = [wanted for wanted in OPERATIONS if "read" not in wanted]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A ledger's file that is open nowhere."""
    path = tmp_path / "ledger.db"
    _fill(str(path))
    return path


def _fill(place: str) -> None:
    with Ledger(place) as ledger:
        ledger.open_account("us", 100)
        ledger.reserve("a", "us", 30, "first")


@contextmanager
def refused(kind: type[GanguardError], *parts: str) -> Iterator[None]:
    """Expect exactly this error, in one line that contains the parts in their order."""
    with pytest.raises(GanguardError) as caught:
        yield
    assert type(caught.value) is kind
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    line, at = str(caught.value), 0
    assert "\n" not in line
    for part in parts:
        assert part in line[at:]
        at = line.index(part, at)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger_database, "BUSY_MS", 100)


@pytest.mark.parametrize("wanted", WRITES)
@pytest.mark.usefixtures("impatient")
def test_a_file_that_stays_locked(path: Path, wanted: str) -> None:
    with Ledger(path) as ledger, closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with refused(
            StepError, str(path), f"could not {wanted}", "locked", "End the process that holds it", "again"
        ):
            OPERATIONS[wanted](ledger)
        with refused(StepError, str(path), "could not open the ledger", "locked"):
            Ledger(path)
        other.execute("ROLLBACK")
        OPERATIONS[wanted](ledger)


def test_who_only_reads_does_not_wait_for_who_writes(path: Path) -> None:
    with Ledger(path) as ledger, closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        other.execute("UPDATE accounts SET budget = 1000")
        assert ledger.balances() == [ledger.balance("us")] == [Balance("us", 100, reserved=30, delivered=0)]
        other.execute("COMMIT")
        assert ledger.balance("us").budget == 1000


def test_a_new_file_that_another_is_making_is_waited_for(tmp_path: Path) -> None:
    """SQLite does not wait by itself when a write-ahead log is begun."""
    path = tmp_path / "ledger.db"
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other:
        other.execute("BEGIN IMMEDIATE")
        ends = threading.Timer(0.3, other.execute, ["ROLLBACK"])
        ends.start()
        with Ledger(path) as ledger:
            ledger.open_account("us", 1)
        ends.join()
        assert other.execute("PRAGMA journal_mode").fetchall() == [("wal",)]


@pytest.mark.usefixtures("impatient")
def test_a_new_file_that_stays_locked(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with refused(
            StepError, str(path), "could not open the ledger", "locked", "End the process that holds it"
        ):
            Ledger(path)


@pytest.mark.parametrize("wanted", [*OPERATIONS][:3])
@pytest.mark.usefixtures("impatient")
def test_an_account_that_stays_locked(postgres: PostgresServer, wanted: str) -> None:
    import psycopg

    place = postgres.database()
    _fill(place)
    with Ledger(place) as ledger, psycopg.connect(place) as other:
        other.execute("LOCK accounts IN EXCLUSIVE MODE")
        with refused(StepError, place, f"could not {wanted}", "kept it locked", "lock timeout", "again"):
            OPERATIONS[wanted](ledger)
        other.rollback()
        OPERATIONS[wanted](ledger)


@pytest.mark.parametrize("wanted", WRITES)
def test_a_file_that_may_not_grow(path: Path, wanted: str) -> None:
    """The system refuses the write, as a failing disk would; the ledger says the same before and after."""
    with Ledger(path) as ledger:
        before = ledger.balances()
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1, hard))
        try:
            with refused(
                StepError,
                str(path),
                f"could not {wanted}",
                "could not be read or written (disk I/O error)",
                "again",
            ):
                OPERATIONS[wanted](ledger)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert ledger.balances() == before
        OPERATIONS[wanted](ledger)


def test_a_full_disk(path: Path) -> None:
    """SQLite is told that there are no more pages."""
    with Ledger(path) as ledger:
        with ledger._database.transaction("set up") as connection:
            connection.exec_driver_sql("PRAGMA max_page_count = 8")
        with refused(
            StepError,
            str(path),
            "could not reserve 9 images for account 'us'",
            "the disk is full",
            "Free some space",
        ):
            ledger.reserve("c", "us", 9, "x" * 100_000)
        assert ledger.balance("us").reserved == 30


@pytest.mark.parametrize("content", [b"my notes " * 1000, b"SQLite format 3\0" + b"\xff" * 5000])
def test_what_is_no_ledger_is_refused_and_kept(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "ledger.db"
    path.write_bytes(content)
    with refused(
        BudgetError,
        str(path),
        "could not open the ledger",
        "not a ledger that can be opened",
        "Give another place",
    ):
        Ledger(path)
    assert path.read_bytes() == content


@given(data=st.data())
def test_a_damaged_file_is_told_of_in_one_line_or_does_no_harm(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("damaged") / "ledger.db"
    _fill(str(path))
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content) - 1))
        harm = data.draw(st.binary(min_size=1, max_size=200))
        content[at : at + len(harm)] = harm
    path.write_bytes(content)
    for operation in OPERATIONS.values():
        try:
            with Ledger(path) as ledger:
                operation(ledger)
        except GanguardError as problem:
            assert "\n" not in str(problem)


def test_places_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with refused(BudgetError, str(tmp_path), "could not open the ledger", "Give a place that can be written"):
        Ledger(tmp_path)
    with refused(
        BudgetError, "file/ledger.db", "could not open the ledger", "Choose a path that can be written"
    ):
        Ledger(tmp_path / "file" / "ledger.db")


def test_a_ledger_that_is_gone(path: Path) -> None:
    with Ledger(path) as ledger:
        ledger.close()
        path.unlink()
        with refused(StepError, str(path), "could not read the balances", "no such table"):
            ledger.balances()


@pytest.mark.parametrize("account", ["\udcff", "nul\0"])
def test_text_that_no_database_holds(place: str, account: str) -> None:
    with Ledger(place) as ledger:
        if account == "\udcff" or "://" in place:
            with pytest.raises(GanguardError, match="could not open account"):
                ledger.open_account(account, 5)


# The server's own refusals, raised by a trigger under their code.
@pytest.mark.parametrize(
    ("state", "kind", "came"),
    [
        ("53100", StepError, "the disk is full"),
        ("58030", StepError, "could not be read or written"),
        ("XX001", BudgetError, "damaged"),
        ("42501", BudgetError, "may not be opened or written"),
        ("25006", BudgetError, "may not be opened or written"),
        ("40P01", StepError, "locked"),
        ("57P01", StepError, "does not answer"),
        ("22000", StepError, "the database refused"),
    ],
)
def test_a_server_that_fails(
    postgres: PostgresServer, state: str, kind: type[GanguardError], came: str
) -> None:
    place = postgres.database()
    _fill(place)
    with Ledger(place) as ledger:
        with ledger._database.transaction("set up") as connection:
            connection.exec_driver_sql(
                "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'so "
                f"it is' USING ERRCODE = '{state}', DETAIL = 'more lines'; END $$"
            )
            connection.exec_driver_sql(
                "CREATE TRIGGER fail BEFORE INSERT ON reservations EXECUTE FUNCTION fail()"
            )
        with refused(kind, place, "could not reserve 5 images for account 'us'", came, "(so it is)"):
            ledger.reserve("b", "us", 5, "second")
        assert ledger.balance("us").reserved == 30


def test_a_server_that_ended_the_connection_is_asked_again(postgres: PostgresServer) -> None:
    place = postgres.database()
    with Ledger(place) as ledger:
        ledger.open_account("us", 100)
        name = place.rpartition("/")[2]
        postgres.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")
        assert ledger.balance("us").budget == 100


def test_a_server_that_is_not_there_is_named_without_the_password() -> None:
    pytest.importorskip("psycopg")
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # nobody listens
        place = f"127.0.0.1:{closed.getsockname()[1]}/ledger"
        with refused(
            StepError,
            f"postgresql://us:***@{place}",
            "could not open the ledger",
            "does not answer",
            "Check that it runs",
        ):
            Ledger(f"postgresql://us:hush@{place}")


@pytest.mark.parametrize(
    "place",
    [
        "postgresql://us:hush@hour@host/ledger",
        "postgresql://us:hu?sh@rest@host/ledger",
        "postgresql://us:hush@host:hush/ledger",
        "postgresql:us:hush@host/ledger",
        "postgres://us:hush@host/ledger",
        "mysql://us:hush@host/ledger",
        "postgresql+psycopg2://us:hush@host/ledger",
        "postgresql://us@127.0.0.1:1/ledger?password=hush&nonsense=hush",
        "postgresql://us:hush@127.0.0.1:1/ledger?sslmode=hush",
    ],
)
def test_no_message_repeats_a_password(place: str) -> None:
    pytest.importorskip("psycopg")
    with pytest.raises(GanguardError) as caught:
        Ledger(place)
    assert "hush" not in str(caught.value)
    assert "postgresql://" in str(caught.value)


def test_a_missing_driver_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with refused(
        BudgetError,
        "postgresql://us:***@host/ledger",
        "psycopg, is absent",
        "pip install 'ganguard[postgres]'",
    ):
        Ledger("postgresql://us:hush@host/ledger")
