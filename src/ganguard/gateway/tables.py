"""The gateway's tables, in the ledger's database.

They hold keys, the secret's digest, a row that shows whether the database can be written, and what the
operator watches: purchases by hour, signs of copying and what they are read from, and the risk thresholds
that accounts have reached.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Float,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    func,
    select,
)

from ganguard.queries.ledger_database import Database

_METADATA = MetaData()
_IMAGES = BigInteger().with_variant(Integer, "sqlite")
_NUMBER = BigInteger().with_variant(Integer, "sqlite")
KEYS = Table(
    "gateway_keys",
    _METADATA,
    Column("id", String, primary_key=True),
    Column("account", String, nullable=False, index=True),
    Column("class", String, nullable=False),
    Column("digest", String, nullable=False),  # SHA-256 of the secret, in hex
    Column("scopes", String, nullable=False),  # JSON
    Column("created", Float, nullable=False),  # seconds since 1970
    Column("revoked", Boolean, nullable=False),
)
# Requests one by one, as earlier gateways recorded them. The journal counts them by hour and removes them.
REQUESTS = Table(
    "gateway_requests",
    _METADATA,
    Column("number", _NUMBER, primary_key=True, autoincrement=True),
    Column("account", String, nullable=False, index=True),
    Column("at", Float, nullable=False),  # seconds since 1970
    Column("images", _IMAGES, nullable=False),
    Column("codes", _IMAGES, nullable=False),  # codes that the client sent
    Column("squares", Float, nullable=False),  # sum of the squares of the codes' entries
    Column("entries", _IMAGES, nullable=False),  # number of entries of the codes
    Column("near", _IMAGES, nullable=False),  # codes near another code
    Column("repeated", _IMAGES, nullable=False),  # entries equal to another entry of the same request
)
# Images that accounts asked for, for as many hours as the operator's page shows.
HOURS = Table(
    "gateway_hours",
    _METADATA,
    Column("account", String, primary_key=True),
    Column("hour", _NUMBER, primary_key=True, index=True, autoincrement=False),  # hours since 1970
    Column("images", _IMAGES, nullable=False),
)
# What is remembered of accounts' codes: see `Kept`.
WATCHED = Table(
    "gateway_watched",
    _METADATA,
    Column("account", String, primary_key=True),
    Column("at", Float(53), nullable=False),  # when it last sent codes, in seconds since 1970
    Column("codes", _IMAGES, nullable=False),
    Column("place", Integer, nullable=False),
    Column("windows", LargeBinary, nullable=False),
)
CHUNKS = Table(
    "gateway_chunks",
    _METADATA,
    Column("account", String, primary_key=True),
    Column("place", Integer, primary_key=True, autoincrement=False),
    Column("cells", LargeBinary, nullable=False),
)
# Signs of copying that were ever raised.
SIGNS = Table(
    "gateway_signs",
    _METADATA,
    Column("account", String, primary_key=True),
    Column("sign", String, primary_key=True),
    Column("at", Float(53), nullable=False),  # when it was last raised, in seconds since 1970
    Column("value", Float(53), nullable=False),  # as it was then, as are its limit and its window
    Column("limit", Float(53), nullable=False),
    Column("codes", _IMAGES, nullable=False),  # in the window; 0 for the rate
    Column("times", Integer, nullable=False),  # how often it was raised
    Column("seen", Float(53), nullable=False),  # when it was last beyond its limit
    Column("counted", _IMAGES, nullable=False),  # codes that the account had sent by then
    Column("raised", Boolean, nullable=False),  # whether it still is
)
# One row: the seed of the grids that cells of codes are those of.
GRIDS = Table("gateway_grids", _METADATA, Column("seed", _NUMBER, primary_key=True, autoincrement=False))
# One row: the digest of the secret in force.
SECRETS = Table("gateway_secret", _METADATA, Column("digest", String, primary_key=True))
CROSSINGS = Table(
    "gateway_crossings",
    _METADATA,
    Column("account", String, primary_key=True),
    Column("threshold", Float(53), primary_key=True),
    Column("images", _IMAGES, nullable=False),  # images that the account had bought by then
    Column("at", Float(53), nullable=False),  # seconds since 1970
)
# One row, which is written to see whether sales could be.
PROBES = Table(
    "gateway_probe",
    _METADATA,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("at", Float(53), nullable=False),  # seconds since 1970
)
_CREATION = 0x67617465776179  # PostgreSQL's advisory lock for creating tables and keys


def lock_keys(connection: Connection) -> None:
    """Keep other processes from creating a key before this transaction ends.

    SQLite needs nothing here: its transaction holds the only write lock.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(_CREATION)))


def open_database(database: Database) -> Database:
    """Create the gateway's tables if they are absent, and return the database."""
    with database.transaction("open the gateway's tables") as connection:
        _prepare(connection)
    return database


def _prepare(connection: Connection) -> None:
    lock_keys(connection)
    _METADATA.create_all(connection)
