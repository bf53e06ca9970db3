"""The secret from which a gateway's noise and seeds are derived: a file, and its digest in the database.

Another secret would give other images under the same idempotency keys, and noise that no longer repeats. So
once images have been bought, a lost or changed file is not silently replaced.
"""

import hashlib
import os
import secrets
from contextlib import suppress
from pathlib import Path

from sqlalchemy import Connection, delete, insert, select

from ganguard.base.errors import SpecError
from ganguard.base.text_files import without_mark
from ganguard.defences.defended_target import LONGEST_SECRET
from ganguard.gateway.private_files import SECRET
from ganguard.gateway.tables import SECRETS, open_database
from ganguard.queries.ledger_database import Database
from ganguard.queries.ledger_tables import RESERVATIONS

SHORTEST_SECRET = 16  # bytes; shorter ones can be found offline from what clients see, by trying all


def kept_secret(directory: Path, database: Database, *, renewed: bool) -> bytes:
    """Return the secret in a directory, creating it if there never was one, and record its digest.

    Args:
        directory: the gateway's directory.
        database: the ledger's database.
        renewed: whether to accept another secret than the one that images were bought under.

    Raises SpecError if the secret is too short or too long, or, unless `renewed`, if images were
    bought under another one or under one that is not recorded.
    """
    path = directory / SECRET
    open_database(database)
    with database.reading("read which secret is in force") as connection:
        if not renewed and _in_force(connection, database.name) and not path.exists():
            raise SpecError(f"{path}: the secret is missing, and images were bought under it. {_REMEDY}")
    held = secret_of(directory)
    digest = hashlib.sha256(b"ganguard gateway secret\x1f" + held).hexdigest()
    with database.transaction("record which secret is in force") as connection:
        if not renewed and _in_force(connection, database.name) not in (None, digest):
            raise SpecError(f"{path}: not the secret that images were bought under. {_REMEDY}")
        connection.execute(delete(SECRETS))
        connection.execute(insert(SECRETS).values(digest=digest))
    return held


_REMEDY = (
    "Restore the file. If it is lost for good, start with `--new-secret`: old idempotency keys then "
    "stand for images that cannot be made again, and an image that was bought before gets different noise."
)


def _in_force(connection: Connection, name: str) -> str | None:
    """Return the digest of the secret that images were bought under; None if no image was bought.

    A gateway records it before it sells, so a ledger with purchases and no digest is not a gateway's. Raises
    SpecError if that is so.

    Args:
        connection: a transaction.
        name: what messages call the ledger.
    """
    if connection.execute(select(RESERVATIONS.c.id).limit(1)).first() is None:
        return None
    digest = connection.execute(select(SECRETS.c.digest)).scalar()
    if digest is None:
        raise SpecError(
            f"{name}: images were bought in this ledger, and it does not say under which secret: no gateway "
            "sold them, or the ledger is damaged. Give a ledger of the gateway's own, or start with "
            "`--new-secret`."
        )
    return digest


def secret_of(directory: Path) -> bytes:
    """Return the secret in a directory; if there is none, create it with access for its owner only.

    Raises SpecError if it is too short or too long.
    """
    path = directory / SECRET
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    with suppress(FileExistsError):
        _make(path)
    held = without_mark(path.read_bytes()).strip()
    if not SHORTEST_SECRET <= len(held) <= LONGEST_SECRET:
        raise SpecError(
            f"{path}: the secret must be of {SHORTEST_SECRET} to {LONGEST_SECRET} bytes; got {len(held)}. "
            "Restore the file, or remove it and start with `--new-secret`: old idempotency keys are then "
            "refused, and an image that was bought before gets different noise."
        )
    return held


def _make(path: Path) -> None:
    """Create the secret's file, whole and durably, also if the power fails.

    Raises FileExistsError if there is one.
    """
    fresh = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(secrets.token_hex(24).encode())
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(fresh, path)  # unlike a rename, this never replaces a file
    finally:
        fresh.unlink()
    handle = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
