"""Keys: who may ask, on whose account, and for what.

A key is `gg_<id>_<secret>`: 16 hex digits by which it is found, and 64 that only its holder knows (256 bits). What is kept is
the SHA-256 of the secret, which is compared in constant time; so the key is shown once, when it is made.
"""

import hashlib
import hmac
import re
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError
from sqlalchemy import insert, select, update

from ganguard.base.errors import SpecError
from ganguard.gateway.tables import KEYS, open_database
from ganguard.queries.ledger_database import Damaged, Database
from ganguard.targets.wire import Scopes

FRESH = 1.0  # seconds that a key which was looked up is known: so long after its end a key may still serve
_MOST_KNOWN = 10_000
_KEY = re.compile(r"gg_([0-9a-f]{16})_([0-9a-f]{64})")
_ACCOUNT = re.compile(r"[!-~][ -~]{0,78}[!-~]|[!-~]")
_NOBODY = hashlib.sha256(b"nobody").hexdigest()


@dataclass(frozen=True)
class Key:
    """A key without its secret. class_: of its account. created: seconds since 1970."""

    id: str
    account: str
    class_: str
    scopes: Scopes
    created: float
    revoked: bool


class Keys:
    """The keys in a ledger's database. What it raises is what the ledger raises; `now` is for tests."""

    def __init__(self, database: Database) -> None:
        self._database = open_database(database)
        self._known: dict[str, tuple[float, Key, str]] = {}

    def create(self, account: str, class_: str, scopes: Scopes) -> tuple[str, Key]:
        """A new key, in full, this once. Raises SpecError for a name that is none, or an account of another class."""
        if not _ACCOUNT.fullmatch(account):
            raise SpecError(f"an account's name must be 1 to 80 printable ASCII characters; got {account[:80]!r}.")
        id_, secret = secrets.token_hex(8), secrets.token_hex(32)
        key = Key(id_, account, class_, scopes, time.time(), revoked=False)
        with self._database.transaction(f"make a key for account {account!r}") as connection:
            others = connection.execute(select(KEYS.c["class"]).where(KEYS.c.account == account, ~KEYS.c.revoked)).scalars()
            if (other := next(iter(others), class_)) != class_:
                raise SpecError(
                    f"account {account!r} is of class {other!r}, not {class_!r}. Revoke its keys first, or name that."
                )
            values = {"id": id_, "account": account, "class": class_, "digest": _digest(secret), "created": key.created}
            connection.execute(insert(KEYS).values(**values, scopes=scopes.model_dump_json(), revoked=False))
        return f"gg_{id_}_{secret}", key

    def revoke(self, id_: str) -> None:
        """End a key. Raises SpecError where there is none of that id."""
        id_ = id_.removeprefix("gg_").partition("_")[0]
        with self._database.transaction(f"revoke key {id_!r}") as connection:
            if not connection.execute(update(KEYS).where(KEYS.c.id == id_).values(revoked=True)).rowcount:
                raise SpecError(f"no key {id_[:80]!r}. `ganguard keys list` shows them.")
        self._known.pop(id_, None)

    def listed(self) -> list[Key]:
        """Every key, in the order they were made."""
        with self._database.reading("list the keys") as connection:
            rows = connection.execute(select(KEYS).order_by(KEYS.c.created, KEYS.c.id)).mappings()
            return [_key(row) for row in rows]

    def check(self, text: str) -> Key | None:
        """The key that a client shows, if it is one that holds. Takes as long for a wrong secret as for an unknown id."""
        found = _KEY.fullmatch(text)
        id_, secret = (found[1], found[2]) if found else ("", "")
        known, digest = self._looked_up(id_) if found else (None, _NOBODY)
        right = hmac.compare_digest(_digest(secret), digest)
        return known if right and known and not known.revoked else None

    def _looked_up(self, id_: str) -> tuple[Key | None, str]:
        now = time.monotonic()
        if (held := self._known.get(id_)) and now - held[0] < FRESH:
            return held[1], held[2]
        with self._database.reading("look up a key") as connection:
            row = connection.execute(select(KEYS).where(KEYS.c.id == id_)).mappings().one_or_none()
        if row is None:
            return None, _NOBODY
        if len(self._known) >= _MOST_KNOWN:
            self._known.clear()
        self._known[id_] = (now, _key(row), str(row["digest"]))
        return self._known[id_][1:]


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _key(said: Mapping[Any, Any]) -> Key:
    try:
        scopes = Scopes.model_validate_json(said["scopes"])
    except ValidationError:
        raise Damaged(f"the scopes of key {said['id']!r}") from None
    return Key(said["id"], said["account"], said["class"], scopes, said["created"], bool(said["revoked"]))
