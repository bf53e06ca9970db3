"""The ledger's tables and the version of their schema: made where there are none, adopted, or refused."""

from typing import NamedTuple

from sqlalchemy import BigInteger, Column, Connection, Integer, MetaData, String, Table, func, insert, inspect, select

from ganguard.base.errors import BudgetError

SCHEMA_VERSION = 1
LARGEST = 2**63 - 1  # images: what both databases can hold

_METADATA = MetaData()
_IMAGES = BigInteger().with_variant(Integer, "sqlite")
ACCOUNTS = Table(
    "accounts",
    _METADATA,
    Column("name", String, primary_key=True),
    Column("budget", _IMAGES, nullable=False),
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
_VERSION = Table("ledger_version", _METADATA, Column("version", Integer, primary_key=True, autoincrement=False))
_TABLES = (ACCOUNTS, RESERVATIONS, _VERSION)
_CREATION = 0x6C6564676572  # the advisory lock under which PostgreSQL's tables are made


class _Columns(NamedTuple):
    names: set[str]
    key: set[str]


def prepare_tables(connection: Connection, name: str) -> None:
    """Make the tables in an empty database, and adopt those of the time before there were versions; else see that they fit."""
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(_CREATION)))
    wanted = {table.name: _Columns(set(table.columns.keys()), set(table.primary_key.columns.keys())) for table in _TABLES}
    found = _tables_of(connection)
    if not found:
        _refuse_other_tables(connection, name)
        _METADATA.create_all(connection, checkfirst=False)
        connection.execute(insert(_VERSION).values(version=SCHEMA_VERSION))
    elif _VERSION.name not in found:
        _refuse_other_columns(wanted, {_VERSION.name: wanted[_VERSION.name], **found}, name)
        _VERSION.create(connection, checkfirst=False)
        connection.execute(insert(_VERSION).values(version=SCHEMA_VERSION))
    else:
        _refuse_other_version(connection, name)
        _refuse_other_columns(wanted, found, name)


def _tables_of(connection: Connection) -> dict[str, _Columns]:
    """The ledger's tables that are there, with the columns they have."""
    inspector = inspect(connection)
    return {
        table.name: _Columns(
            {column["name"] for column in inspector.get_columns(table.name)},
            set(inspector.get_pk_constraint(table.name)["constrained_columns"]),
        )
        for table in _TABLES
        if inspector.has_table(table.name)
    }


def _refuse_other_tables(connection: Connection, name: str) -> None:
    """An SQLite file of someone else's stays as it is; in PostgreSQL other tables are neighbours."""
    if connection.dialect.name == "sqlite" and (others := inspect(connection).get_table_names()):
        raise BudgetError(f"{name}: not a ledger, but a database of other tables ({', '.join(others)}). Give another path.")


def _refuse_other_version(connection: Connection, name: str) -> None:
    versions = connection.exec_driver_sql(f"SELECT * FROM {_VERSION.name}").scalars().all()
    if versions != [SCHEMA_VERSION]:
        found = versions[0] if len(versions) == 1 else "several" if versions else "none"
        newer = isinstance(found, int) and found > SCHEMA_VERSION
        raise BudgetError(
            f"{name}: a ledger whose schema has version {found}; this ganguard reads version {SCHEMA_VERSION}. "
            + ("Use the newer ganguard that wrote it" if newer else "Use the ganguard that wrote it")
            + ", or give another place for a new ledger."
        )


def _refuse_other_columns(wanted: dict[str, _Columns], found: dict[str, _Columns], name: str) -> None:
    for table, columns in wanted.items():
        if table not in found or found[table] != columns:
            came = f"columns {', '.join(sorted(found[table].names))}" if table in found else "none"
            raise BudgetError(
                f"{name}: not a ledger of schema version {SCHEMA_VERSION}: it wants a table {table!r} with columns "
                f"{', '.join(sorted(columns.names))} (key: {', '.join(columns.key)}), and found {came}. It was left as it is: "
                "use the ganguard that wrote it, or give another place for a new ledger."
            )
