"""The ledger's tables and the version of their schema: created in an empty database, else checked."""

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Integer,
    MetaData,
    String,
    Table,
    func,
    insert,
    inspect,
    select,
)

from ganguard.base.errors import BudgetError

SCHEMA_VERSION = 2
LARGEST = 2**63 - 1  # images: the largest number that both databases hold

_METADATA = MetaData()
_IMAGES = BigInteger().with_variant(Integer, "sqlite")
ACCOUNTS = Table(
    "accounts",
    _METADATA,
    Column("name", String, primary_key=True),
    Column("budget", _IMAGES, nullable=False),
    # The sums of an account's reservations, changed in the transaction that changes a reservation.
    Column("reserved", _IMAGES, nullable=False, server_default="0"),
    Column("delivered", _IMAGES, nullable=False, server_default="0"),
)
RESERVATIONS = Table(
    "reservations",
    _METADATA,
    Column("id", String, primary_key=True),
    Column("account", String, nullable=False, index=True),
    Column("images", _IMAGES, nullable=False),
    Column("state", String, nullable=False),  # "reserved", then "delivered"
    Column("request", String, nullable=False),  # what was asked for, for a person to read
)
_VERSION = Table(
    "ledger_version", _METADATA, Column("version", Integer, primary_key=True, autoincrement=False)
)
# What accounts bought of each condition, if they bought of a conditional target.
_CONDITIONS_METADATA = MetaData()
CONDITIONS = Table(
    "ledger_conditions",
    _CONDITIONS_METADATA,
    Column("account", String, primary_key=True),
    Column("condition", String, primary_key=True),  # as `ledger_name` gives it
    Column("budget", _IMAGES, nullable=True),  # of its own; NULL: the account's whole budget alone bounds it
    # The sums over the account's reservations.
    Column("reserved", _IMAGES, nullable=False, server_default="0"),
    Column("delivered", _IMAGES, nullable=False, server_default="0"),
    # Delivered requests of which an image that was drawn at random was asked for this condition; a gateway
    # counts them.
    Column("requests", _IMAGES, nullable=False, server_default="0"),
)
RESERVED_CONDITIONS = Table(
    "ledger_reserved_conditions",
    _CONDITIONS_METADATA,
    Column("reservation", String, primary_key=True),
    # JSON: images by condition; of a gateway's, a list of these and of the condition that is its request's.
    Column("images", String, nullable=False),
)
_FOUND = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?"
_BESIDE = (CONDITIONS, RESERVED_CONDITIONS)
_TABLES = (ACCOUNTS, RESERVATIONS, _VERSION)
_CREATION = 0x6C6564676572  # the advisory lock under which the tables are created in PostgreSQL


class _Columns(NamedTuple):
    names: set[str]
    key: set[str]


def prepare_tables(connection: Connection, name: str) -> None:
    """Create the tables in an empty database, or check that those there are a ledger's.

    Raises BudgetError if the database holds another program's tables or a ledger of another schema; it is
    then left as it was.

    Args:
        connection: a transaction that may write.
        name: what messages call the database.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(_CREATION)))
    if found := _tables_of(connection, _TABLES):
        if _VERSION.name in found:
            _require_version(connection, name)
        _require_columns(found, _TABLES, name)
        if beside := _tables_of(connection, _BESIDE):
            _require_columns(beside, _BESIDE, name)
    else:
        _refuse_other_tables(connection, name)
        _METADATA.create_all(connection, checkfirst=False)
        connection.execute(insert(_VERSION).values(version=SCHEMA_VERSION))


def prepare_conditions(connection: Connection) -> None:
    """Create the tables of conditions if they are absent. Do so before a row is locked: others may be doing
    it."""
    if not has_conditions(connection):
        if connection.dialect.name == "postgresql":
            connection.execute(select(func.pg_advisory_xact_lock(_CREATION)))
        _CONDITIONS_METADATA.create_all(connection)


def has_conditions(connection: Connection) -> bool:
    """Return whether the ledger has the tables of conditions."""
    if connection.dialect.name == "sqlite":  # deliveries ask: SQLAlchemy takes several times as long
        return connection.exec_driver_sql(_FOUND, (RESERVED_CONDITIONS.name,)).first() is not None
    return connection.dialect.has_table(connection, RESERVED_CONDITIONS.name)


def _tables_of(connection: Connection, tables: Sequence[Table]) -> dict[str, _Columns]:
    """Return the columns of each of these tables that is there."""
    inspector = inspect(connection)
    return {
        table.name: _Columns(
            {column["name"] for column in inspector.get_columns(table.name)},
            set(inspector.get_pk_constraint(table.name)["constrained_columns"]),
        )
        for table in tables
        if inspector.has_table(table.name)
    }


def _refuse_other_tables(connection: Connection, name: str) -> None:
    """Raise BudgetError if an SQLite file holds other tables; in PostgreSQL they may be neighbours."""
    if connection.dialect.name == "sqlite" and (others := inspect(connection).get_table_names()):
        raise BudgetError(
            f"{name}: not a ledger, but a database of other tables ({', '.join(others)}). Give another path."
        )


def _require_version(connection: Connection, name: str) -> None:
    """Raise BudgetError if the ledger says another version than SCHEMA_VERSION, several or none."""
    versions = connection.exec_driver_sql(f"SELECT * FROM {_VERSION.name}").scalars().all()
    if versions != [SCHEMA_VERSION]:
        found = versions[0] if len(versions) == 1 else "several" if versions else "none"
        newer = isinstance(found, int) and found > SCHEMA_VERSION
        raise BudgetError(
            f"{name}: a ledger whose schema has version {found}; this ganguard reads version "
            f"{SCHEMA_VERSION}. Use the {'newer ' if newer else ''}ganguard that wrote it, or give another "
            "place for a new ledger."
        )


def _require_columns(found: dict[str, _Columns], tables: Sequence[Table], name: str) -> None:
    """Raise BudgetError if a table is absent, or has other columns or another key."""
    for table in tables:
        wanted = _Columns(set(table.columns.keys()), set(table.primary_key.columns.keys()))
        if found.get(table.name) != wanted:
            came = f"columns {', '.join(sorted(found[table.name].names))}" if table.name in found else "none"
            raise BudgetError(
                f"{name}: not a ledger of schema version {SCHEMA_VERSION}: it needs a table {table.name!r} "
                f"with columns {', '.join(sorted(wanted.names))} (key: {', '.join(wanted.key)}); found "
                f"{came}. It was left as it was: use the ganguard that wrote it, or give another place for a "
                "new ledger."
            )
