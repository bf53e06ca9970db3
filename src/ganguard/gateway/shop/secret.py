"""The secret that a gateway's noise and seeds follow from: a file, whose digest the ledger's database keeps.

Another secret means other images under the same idempotency keys, and noise that no longer repeats. So a file
that was lost, or came back as another one, is not quietly replaced where images were bought already.
"""

import hashlib
import os
import secrets
from contextlib import suppress
from pathlib import Path

from sqlalchemy import Connection, delete, insert, select

from ganguard.base.errors import SpecError
from ganguard.defences.defended_target import LONGEST_SECRET
from ganguard.gateway.tables import SECRETS, open_database
from ganguard.queries.ledger_database import Database
from ganguard.queries.ledger_tables import RESERVATIONS

SECRET = "secret"
SHORTEST_SECRET = 8  # bytes


def kept_secret(directory: Path, database: Database, *, renewed: bool) -> bytes:
    """The secret in a directory, made where there never was one. Raises SpecError where it is none, and,
    unless it is to be `renewed`, where images were bought under another."""
    path = directory / SECRET
    open_database(database)
    with database.reading("read which secret is in force") as connection:
        if not renewed and not path.exists() and _in_force(connection):
            raise SpecError(f"{path}: absent, and images were bought under it. {_REMEDY}")
    held = secret_of(directory)
    digest = hashlib.sha256(b"ganguard gateway secret\x1f" + held).hexdigest()
    with database.transaction("record which secret is in force") as connection:
        if not renewed and _in_force(connection) not in (None, digest):
            raise SpecError(f"{path}: another secret than the one that images were bought under. {_REMEDY}")
        connection.execute(delete(SECRETS))
        connection.execute(insert(SECRETS).values(digest=digest))
    return held


_REMEDY = (
    "Bring back the file. Where it is lost for good, `--new-secret` goes on with another: keys of old "
    "requests then buy anew, and who bought an image before gets other noise on it."
)


def _in_force(connection: Connection) -> str | None:
    """The digest of the secret that images were bought under; None where none were, or it was not recorded
    yet."""
    if connection.execute(select(RESERVATIONS.c.id).limit(1)).first() is None:
        return None
    return connection.execute(select(SECRETS.c.digest)).scalar()


def secret_of(directory: Path) -> bytes:
    """The secret in a directory, made where there is none, for its owner's eyes only. Raises SpecError where
    it is none."""
    path = directory / SECRET
    directory.mkdir(parents=True, exist_ok=True)
    with suppress(FileExistsError):
        _make(path)
    held = path.read_bytes().strip()
    if not SHORTEST_SECRET <= len(held) <= LONGEST_SECRET:
        raise SpecError(
            f"{path}: the secret must be of {SHORTEST_SECRET} to {LONGEST_SECRET} bytes; got {len(held)}. "
            "Bring back the file."
        )
    return held


def _make(path: Path) -> None:
    """Durably: neither half a file nor, after a power cut, none. Raises FileExistsError where there is
    one."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(secrets.token_hex(24).encode())
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(fresh, path)  # only where there is none
    finally:
        fresh.unlink()
    handle = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
