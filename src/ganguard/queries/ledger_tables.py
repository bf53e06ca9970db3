"""The ledger's tables and the version of their schema: made where there are none, brought up to date, or
refused."""

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
    update,
)

from ganguard.base.errors import BudgetError

SCHEMA_VERSION = 2
LARGEST = 2**63 - 1  # images: what both databases can hold

_METADATA = MetaData()
_IMAGES = BigInteger().with_variant(Integer, "sqlite")
ACCOUNTS = Table(
    "accounts",
    _METADATA,
    Column("name", String, primary_key=True),
    Column("budget", _IMAGES, nullable=False),
    Column(
        "reserved", _IMAGES, nullable=False, server_default="0"
    ),  # sums of its reservations, kept up with each of them
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
_TABLES = (ACCOUNTS, RESERVATIONS, _VERSION)
_SUMS = ("reserved", "delivered")  # columns of accounts that schema version 1 had not
_CREATION = 0x6C6564676572  # the advisory lock under which PostgreSQL's tables are made


class _Columns(NamedTuple):
    names: set[str]
    key: set[str]


def prepare_tables(connection: Connection, name: str) -> None:
    """Make the tables in an empty database, and adopt those of the time before there were versions; else see
    that they fit."""
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(_CREATION)))
    wanted = {
        table.name: _Columns(set(table.columns.keys()), set(table.primary_key.columns.keys()))
        for table in _TABLES
    }
    found = _tables_of(connection)
    if not found:
        _refuse_other_tables(connection, name)
        _METADATA.create_all(connection, checkfirst=False)
        connection.execute(insert(_VERSION).values(version=SCHEMA_VERSION))
        return
    if unversioned := _VERSION.name not in found:
        found[_VERSION.name] = wanted[_VERSION.name]
    version = 1 if unversioned else _version(connection, name)
    _refuse_other_columns(_of_version(version, wanted), found, version, name)
    if unversioned:
        _VERSION.create(connection, checkfirst=False)
        connection.execute(insert(_VERSION).values(version=version))
    if version == 1:
        _keep_sums(connection)
        connection.execute(update(_VERSION).values(version=SCHEMA_VERSION))


def _of_version(version: int, wanted: dict[str, _Columns]) -> dict[str, _Columns]:
    """The columns that a ledger of a version has."""
    accounts = wanted[ACCOUNTS.name]
    names = accounts.names - set(_SUMS) if version == 1 else accounts.names
    return {**wanted, ACCOUNTS.name: accounts._replace(names=names)}


def _keep_sums(connection: Connection) -> None:
    """From version 1 to 2: what was summed over an account's reservations at each purchase is kept with the
    account."""
    images = ACCOUNTS.c.budget.type.compile(connection.dialect)
    for column in _SUMS:
        connection.exec_driver_sql(f"ALTER TABLE accounts ADD COLUMN {column} {images} DEFAULT 0 NOT NULL")
    mine = select(func.coalesce(func.sum(RESERVATIONS.c.images), 0)).where(
        RESERVATIONS.c.account == ACCOUNTS.c.name
    )
    delivered = mine.where(RESERVATIONS.c.state == "delivered")
    sums = {"reserved": mine.scalar_subquery(), "delivered": delivered.scalar_subquery()}
    connection.execute(update(ACCOUNTS).values(sums))


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
        raise BudgetError(
            f"{name}: not a ledger, but a database of other tables ({', '.join(others)}). Give another path."
        )


def _version(connection: Connection, name: str) -> int:
    """The version of a ledger's schema. Raises BudgetError for one that is not read."""
    versions = connection.exec_driver_sql(f"SELECT * FROM {_VERSION.name}").scalars().all()
    if versions not in ([1], [SCHEMA_VERSION]):
        found = versions[0] if len(versions) == 1 else "several" if versions else "none"
        newer = isinstance(found, int) and found > SCHEMA_VERSION
        raise BudgetError(
            f"{name}: a ledger whose schema has version {found}; this ganguard reads versions 1 to "
            f"{SCHEMA_VERSION}. "
            + ("Use the newer ganguard that wrote it" if newer else "Use the ganguard that wrote it")
            + ", or give another place for a new ledger."
        )
    return versions[0]


def _refuse_other_columns(
    wanted: dict[str, _Columns], found: dict[str, _Columns], version: int, name: str
) -> None:
    for table, columns in wanted.items():
        if table not in found or found[table] != columns:
            came = f"columns {', '.join(sorted(found[table].names))}" if table in found else "none"
            raise BudgetError(
                f"{name}: not a ledger of schema version {version}: it wants a table {table!r} with columns "
                f"{', '.join(sorted(columns.names))} (key: {', '.join(columns.key)}), and found {came}. It "
                "was left as it is: use the ganguard that wrote it, or give another place for a new ledger."
            )
