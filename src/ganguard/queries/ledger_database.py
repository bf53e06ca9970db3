"""The database under the ledger: an SQLite file or PostgreSQL, its transactions, and its errors in plain
words.

Both keep a transaction whole and durable. SQLite lets one process write at a time; on PostgreSQL a
transaction locks the account's row before it writes.
"""

import errno
import random
import re
import shutil
import sqlite3
import time
import weakref
from collections.abc import Generator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import URL, Connection, Engine, Table, create_engine, event, make_url
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from ganguard.base.errors import BudgetError, GanguardError, StepError
from ganguard.queries.ledger_tables import has_conditions, prepare_tables

BUSY_MS = 60_000  # how long a transaction waits for others before it gives up
_CONNECT_SECONDS = 10  # for reaching PostgreSQL, at most
_PAUSE = 0.01  # seconds between attempts, if the database does not wait by itself
_READS = "ganguard_reads"  # the option of a connection that writes nothing
_IDLE_MS = 60_000  # how long PostgreSQL keeps the locks of a machine that vanished inside a transaction


class Damaged(Exception):
    """What was read is nothing that a ledger writes."""


class Database:
    """Transactions on the database of a ledger.

    Raises BudgetError if the place holds something else.

    Args:
        place: the path of an SQLite file, or the address of a PostgreSQL database; see `Ledger`.
        patience: seconds that a transaction waits for others, and about as long for each answer of
            PostgreSQL; a minute by default.

    Attributes:
        name: the path, or the address with *** for the password, as messages call it.
    """

    def __init__(self, place: Path | str, patience: float | None = None) -> None:
        busy_ms = BUSY_MS if patience is None else round(1000 * patience)
        if isinstance(place, str) and ("://" in place or place.startswith("postgresql")):
            url = _postgres_url(place)
            self.name = url.set(drivername="postgresql", query={}).render_as_string()
            passwords = [str(value) for key, value in url.query.items() if "password" in key]
            self._secrets = [*passwords, url.password or ""]
            self._engine = _postgres_engine(url, self.name, busy_ms)
        else:
            self.name, self._secrets = str(place), list[str]()
            self._engine = _sqlite_engine(Path(place), busy_ms)
        self._reads = self._engine.execution_options(**{_READS: True})
        weakref.finalize(self, self._engine.dispose)
        with self.transaction("open the ledger") as connection:
            prepare_tables(connection, self.name)
        self._has_conditions = False

    def has_conditions(self, connection: Connection) -> bool:
        """Return whether the ledger had the tables of conditions when a transaction on it began.

        They are there for good: once they were seen, nobody asks again.
        """
        self._has_conditions = self._has_conditions or has_conditions(connection)
        return self._has_conditions

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()

    @contextmanager
    def transaction(self, wanted: str) -> Generator[Connection]:
        """Do all of the block or nothing of it, durably. `wanted`: what an error says could not be done."""
        with self._told(wanted, self._engine) as connection:
            yield connection

    @contextmanager
    def reading(self, wanted: str) -> Generator[Connection]:
        """Do the same for a block that writes nothing; on SQLite it does not wait for a writer, nor a writer
        for it."""
        with self._told(wanted, self._reads) as connection:
            yield connection

    @contextmanager
    def _told(self, wanted: str, engine: Engine) -> Generator[Connection]:
        try:
            with engine.begin() as connection:
                yield connection
        except SQLAlchemyError as problem:
            raise _in_plain_words(f"{self.name}: could not {wanted}", problem, self._secrets) from None
        except UnicodeEncodeError:
            raise BudgetError(
                f"{self.name}: could not {wanted}: no database holds that text. Give another name."
            ) from None
        except (UnicodeDecodeError, Damaged) as problem:
            raise _in_plain_words(f"{self.name}: could not {wanted}", problem, self._secrets) from None


def copy_ledger(path: Path, directory: Path) -> Path:
    """Copy an SQLite ledger into a directory, and return the copy's path. Raises OSError if that fails."""
    copy = directory / path.name
    shutil.copyfile(path, copy)
    log = path.with_name(f"{path.name}-wal")
    if log.exists():  # what a process that was killed wrote last may lie there only
        shutil.copyfile(log, directory / log.name)
    return copy


def add(connection: Connection, table: Table, values: dict[str, Any]) -> bool:
    """Insert a row; return False if there is one of the same key already."""
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    statement = dialect.insert(table).values(values).on_conflict_do_nothing()
    # psycopg does not count the rows of an insertion.
    return connection.execute(statement.returning(*table.primary_key.columns)).first() is not None


def _sqlite_engine(path: Path, busy_ms: int) -> Engine:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        kinds = PermissionError | FileExistsError | FileNotFoundError | NotADirectoryError
        lasting = isinstance(problem, kinds) or problem.errno == errno.EROFS
        raise (BudgetError if lasting else StepError)(
            f"{path}: could not open the ledger: {problem.filename}: {problem.strerror}. Choose a path that "
            "can be written."
        ) from None
    engine = create_engine(URL.create("sqlite", database=str(path.absolute())), pool_timeout=busy_ms / 1000)
    event.listen(engine, "connect", partial(_configure_sqlite, busy_ms))
    event.listen(engine, "begin", _begin)
    return engine


def _configure_sqlite(busy_ms: int, connection: Any, _record: object) -> None:
    connection.isolation_level = None  # SQLAlchemy's BEGIN, not sqlite3's
    try:
        connection.execute(f"PRAGMA busy_timeout={busy_ms}").close()
        _keep_a_log(connection, busy_ms)
        connection.execute("PRAGMA synchronous=FULL").close()
    except BaseException:
        connection.close()
        raise


def _keep_a_log(connection: sqlite3.Connection, busy_ms: int) -> None:
    """Switch the file to a write-ahead log if it has none yet.

    The switch turns a read lock into a write lock. If another connection holds a write lock already, SQLite
    refuses that at once instead of waiting as `busy_timeout` says, since two connections that wait like this
    would wait for each other. So the waiting is done here.
    """
    until = time.monotonic() + busy_ms / 1000
    while connection.execute("PRAGMA journal_mode").fetchall() != [("wal",)]:
        try:
            connection.execute("PRAGMA journal_mode=WAL").close()
            return
        except sqlite3.OperationalError as problem:
            if problem.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() >= until:
                raise
            time.sleep(_PAUSE * random.SystemRandom().uniform(0.5, 1.5))


def _begin(connection: Connection) -> None:
    """Begin a transaction: one that may write takes the write lock before it reads what is left of a budget;
    one that only reads sees the file as it is now."""
    reads = connection.get_execution_options().get(_READS, False)
    connection.exec_driver_sql("BEGIN DEFERRED" if reads else "BEGIN IMMEDIATE")


def _postgres_url(place: str) -> URL:
    """Return the address with its driver. Raises BudgetError if it is no address of PostgreSQL.

    No message repeats what was given: it may hold a password.
    """
    try:
        url = make_url(place)
    except (ArgumentError, ValueError):
        url = None
    if url is None or place.count("@") > 1:
        raise BudgetError(
            "a ledger's address must read postgresql://user:password@host:port/database, and this one does "
            "not. Write : / ? @ % within the user or the password as %3A %2F %3F %40 %25."
        )
    if url.drivername not in ("postgresql", "postgresql+psycopg"):
        raise BudgetError(
            f"a ledger must be the path of an SQLite file or postgresql://...; got {url.drivername}://... . "
            "Give one of these."
        )
    return url.set(drivername="postgresql+psycopg")


def _postgres_engine(url: URL, name: str, busy_ms: int) -> Engine:
    """Return the engine for an address. Raises BudgetError if PostgreSQL's driver is absent.

    What is left of a budget is read after the account is locked. Only under READ COMMITTED is that what is
    left at that moment.
    """
    try:
        engine = create_engine(
            url, isolation_level="READ COMMITTED", pool_pre_ping=True, pool_timeout=busy_ms / 1000
        )
    except ImportError:
        raise BudgetError(
            f"{name}: could not open the ledger: PostgreSQL's driver, psycopg, is absent or incomplete. "
            "Run pip install 'ganguard[postgres]'."
        ) from None
    event.listen(engine, "do_connect", partial(_connect_postgres, busy_ms))
    event.listen(engine, "connect", partial(_configure_postgres, busy_ms))
    return engine


def _connect_postgres(
    busy_ms: int, _dialect: object, _record: object, words: list[Any], settings: dict[str, Any]
) -> Any:
    """Connect; what the address itself sets is kept.

    A server that does not run is told by our own bound alone. A network that is cut is told sooner by TCP.
    """
    from ganguard.queries.postgres_connection import BoundedConnection

    seconds = busy_ms / 1000
    reaching = {
        "connect_timeout": max(2, min(_CONNECT_SECONDS, round(seconds / 2))),
        "tcp_user_timeout": busy_ms,  # milliseconds
        "keepalives_idle": 30,
        "keepalives_interval": 5,
        "keepalives_count": 3,
    }
    connection = BoundedConnection.connect(*words, **{**reaching, **settings})
    connection.longest_wait = 1.2 * seconds
    return connection


def _configure_postgres(busy_ms: int, connection: Any, _record: object) -> None:
    connection.execute(f"SET lock_timeout = {busy_ms}")
    connection.execute(f"SET statement_timeout = {round(1.1 * busy_ms)}")
    connection.execute(f"SET idle_in_transaction_session_timeout = {_IDLE_MS}")
    connection.commit()


class _Cause(NamedTuple):
    error: type[GanguardError]
    came: str
    remedy: str


_AGAIN = "then run the same command again: what was reserved counts once."
_LOCKED = _Cause(
    StepError, "another process kept it locked for too long", f"End the process that holds it, {_AGAIN}"
)
_FULL = _Cause(StepError, "the disk is full", f"Free some space, {_AGAIN}")
_DEVICE = _Cause(
    StepError, "the disk could not be read or written", f"Check whether it is full or failing, {_AGAIN}"
)
_DAMAGED = _Cause(
    BudgetError,
    "not a ledger that can be opened, or a damaged one",
    "Give another place, or bring back a copy.",
)
_CLOSED = _Cause(BudgetError, "it may not be opened or written", "Give a place that can be written.")
_ABSENT = _Cause(
    StepError, "the database does not answer", f"Check that it runs and that the address is right, {_AGAIN}"
)
_OTHER = _Cause(StepError, "the database refused", f"Mend what it names, {_AGAIN}")
_SQLITE = {  # by primary result code
    sqlite3.SQLITE_BUSY: _LOCKED,
    sqlite3.SQLITE_LOCKED: _LOCKED,
    sqlite3.SQLITE_PROTOCOL: _LOCKED,
    sqlite3.SQLITE_FULL: _FULL,
    sqlite3.SQLITE_IOERR: _DEVICE,
    sqlite3.SQLITE_CORRUPT: _DAMAGED,
    sqlite3.SQLITE_NOTADB: _DAMAGED,
    sqlite3.SQLITE_CANTOPEN: _CLOSED,
    sqlite3.SQLITE_READONLY: _CLOSED,
    sqlite3.SQLITE_PERM: _CLOSED,
}
_POSTGRES = [  # SQLSTATE; the first that matches
    (r"55P03|40P01|40001", _LOCKED),
    (r"53100", _FULL),
    (r"58...", _DEVICE),
    (r"XX001|XX002", _DAMAGED),
    (r"42501|25006", _CLOSED),
    (r"08...|25P03|28...|3D000|53...|57014|57P..", _ABSENT),
]


def _in_plain_words(doing: str, problem: Exception, secrets: list[str]) -> GanguardError:
    """Return an error of one line: what was wanted, what came, what to do.

    Args:
        doing: the database's name and what could not be done.
        problem: what was raised.
        secrets: passwords, which are not repeated.
    """
    origin = problem.orig if isinstance(problem, DBAPIError) and problem.orig else problem
    said = (str(origin).strip() or type(origin).__name__).splitlines()[0].rstrip(".")
    for secret in filter(None, secrets):
        said = said.replace(secret, "***")
    cause = _cause(origin)
    return cause.error(f"{doing}: {cause.came} ({said}). {cause.remedy}")


def _cause(origin: BaseException) -> _Cause:
    if isinstance(origin, PoolTimeoutError):
        return _LOCKED
    if isinstance(origin, UnicodeDecodeError | Damaged):
        return _DAMAGED
    if isinstance(origin, sqlite3.Error):
        # There is no code if the file holds bytes that are no text.
        code = getattr(origin, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT)
        return _SQLITE.get(code & 0xFF, _OTHER)
    state = getattr(origin, "sqlstate", None)
    if state is None:  # said by the driver, not by the server
        kinds = {kind.__name__ for kind in type(origin).__mro__}
        return _ABSENT if "OperationalError" in kinds else _OTHER
    return next((cause for pattern, cause in _POSTGRES if re.fullmatch(pattern, state)), _OTHER)
