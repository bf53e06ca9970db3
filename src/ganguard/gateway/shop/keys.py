"""Keys: each belongs to an account and carries the scopes of what it may ask for.

A key is `gg_<id>_<secret>`: an id of 16 hex digits, by which it is looked up, and a secret of 64 (256 bits).
Only the SHA-256 of the secret is stored, and it is compared in constant time. So the full key is shown once,
when it is created.
"""

import asyncio
import hashlib
import hmac
import math
import re
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from anyio import CapacityLimiter, to_thread
from pydantic import ValidationError
from sqlalchemy import Connection, insert, select, update

from ganguard.base.errors import SpecError
from ganguard.gateway.refusals import AGAIN_AFTER, ProblemError
from ganguard.gateway.tables import KEYS, lock_keys, open_database
from ganguard.queries.ledger_database import Damaged, Database, add
from ganguard.queries.ledger_rows import read_balance
from ganguard.queries.ledger_tables import ACCOUNTS
from ganguard.targets.wire import Scopes

FRESH = 1.0  # seconds that a look-up is cached; a revoked key may still work for as long
_MOST_KNOWN = 10_000  # cached look-ups
KNOWN_AT_ONCE = 8  # simultaneous look-ups of keys that existed at their last look-up
STRANGERS_AT_ONCE = 2  # simultaneous look-ups of other keys
MOST_STRANGERS = 64  # other keys that may wait for a look-up
LONGEST_QUEUE = 5.0  # seconds that a look-up waits for others: if the database hangs, each takes as long
_KEY = re.compile(r"gg_([0-9a-f]{16})_([0-9a-f]{64})")
_ACCOUNT = re.compile(r"[!-~][ -~]{0,78}[!-~]|[!-~]")
_NOBODY = hashlib.sha256(b"nobody").hexdigest()  # compared with if no key has the id


@dataclass(frozen=True)
class Key:
    """A key without its secret.

    Attributes:
        id: the id by which it is looked up, 16 hex digits.
        account: the account that pays.
        class_: the class of the account.
        scopes: what it may ask for.
        created: seconds since 1970.
        revoked: whether it was revoked.
    """

    id: str
    account: str
    class_: str
    scopes: Scopes
    created: float
    revoked: bool


class Keys:
    """The keys in a ledger's database. Methods raise what the ledger raises."""

    def __init__(self, database: Database) -> None:
        self._database = open_database(database)
        # id -> (time of the look-up, the key or None, digest of its secret)
        self._known: dict[str, tuple[float, Key | None, str]] = {}

    def create(self, account: str, class_: str, scopes: Scopes, budget: int | None = None) -> tuple[str, Key]:
        """Create a key, and its account if there is none, and return the key's full text with it.

        The text cannot be had again. Nothing is created if anything is refused.

        Args:
            account: the account's name.
            class_: its class.
            scopes: what the key may do.
            budget: images that a new account may buy in all; None makes that 0.

        Raises SpecError if the account's name is not valid, if its other keys are of another class, or if it
        has another budget.
        """
        if not _ACCOUNT.fullmatch(account):
            raise SpecError(
                f"an account's name must be 1 to 80 printable ASCII characters; got {account[:80]!r}."
            )
        id_, secret = secrets.token_hex(8), secrets.token_hex(32)
        key = Key(id_, account, class_, scopes, time.time(), revoked=False)
        with self._database.transaction(f"make a key for account {account!r}") as connection:
            lock_keys(connection)
            others = connection.execute(
                select(KEYS.c["class"]).where(KEYS.c.account == account, ~KEYS.c.revoked)
            ).scalars()
            if (other := next(iter(others), class_)) != class_:
                raise SpecError(
                    f"account {account!r} is of class {other!r}, not {class_!r}. Name that class, or revoke "
                    "the account's keys first."
                )
            _open_account(connection, account, budget)
            values = {
                "id": id_,
                "account": account,
                "class": class_,
                "digest": _digest(secret),
                "created": key.created,
            }
            connection.execute(insert(KEYS).values(**values, scopes=scopes.model_dump_json(), revoked=False))
        return f"gg_{id_}_{secret}", key

    def revoke(self, id_: str) -> None:
        """Revoke the key with this id. Raises SpecError if there is none."""
        id_ = id_.removeprefix("gg_").partition("_")[0]
        with self._database.transaction(f"revoke key {id_!r}") as connection:
            if not connection.execute(update(KEYS).where(KEYS.c.id == id_).values(revoked=True)).rowcount:
                raise SpecError(f"no key {id_[:80]!r}. `ganguard keys list` shows them.")
        self._known.pop(id_, None)

    def listed(self) -> list[Key]:
        """Return every key, in order of creation."""
        with self._database.reading("list the keys") as connection:
            rows = connection.execute(select(KEYS).order_by(KEYS.c.created, KEYS.c.id)).mappings()
            return [_key(row) for row in rows]

    def check(self, text: str) -> Key | None:
        """Return the key with this full text; None if it is unknown, revoked or malformed.

        It takes as long for a wrong secret as for an unknown id.
        """
        found = _KEY.fullmatch(text)
        id_, secret = (found[1], found[2]) if found else ("", "")
        known, digest = self._looked_up(id_) if found else (None, _NOBODY)
        right = hmac.compare_digest(_digest(secret), digest)
        return known if right and known and not known.revoked else None

    def seen(self, text: str) -> tuple[bool, bool]:
        """Return what is cached of the key with this full text.

        Returns:
            Whether its id existed at the last look-up, and whether `check` can answer without a new one.
        """
        found = _KEY.fullmatch(text)
        if not found:
            return False, True
        held = self._known.get(found[1])
        return bool(held and held[1]), held is not None and time.monotonic() - held[0] < FRESH

    def _looked_up(self, id_: str) -> tuple[Key | None, str]:
        now = time.monotonic()
        if (held := self._known.get(id_)) and now - held[0] < FRESH:
            return held[1], held[2]
        with self._database.reading("look up a key") as connection:
            row = connection.execute(select(KEYS).where(KEYS.c.id == id_)).mappings().one_or_none()
            key, digest = (_key(row), str(row["digest"])) if row else (None, _NOBODY)
        self._remember(id_, (now, key, digest))
        return key, digest

    def _remember(self, id_: str, found: tuple[float, Key | None, str]) -> None:
        """Cache a look-up. Ids without a key are dropped first, so that made-up keys evict no real ones."""
        if len(self._known) >= _MOST_KNOWN:
            self._known = {known: held for known, held in list(self._known.items()) if held[1]}
        if len(self._known) >= _MOST_KNOWN:
            self._known = {}
        self._known[id_] = found


class AsyncKeys:
    """Checks keys from the event loop, without blocking it.

    Cached look-ups are answered at once. Others run in threads: keys that existed at their last look-up have
    threads of their own, so that floods of unknown keys do not delay them.
    """

    def __init__(self, keys: Keys) -> None:
        self._keys = keys
        self._known, self._strangers = CapacityLimiter(KNOWN_AT_ONCE), CapacityLimiter(STRANGERS_AT_ONCE)
        self._threads = CapacityLimiter(math.inf)  # the other two bound them

    async def check(self, shown: str) -> Key | None:
        """Return the key with this full text; None if it is not valid.

        Raises ProblemError (503) if too many unknown keys wait for a look-up, or if the look-ups before this
        one take too long.
        """
        seen, fresh = self._keys.seen(shown)
        if fresh:
            return self._keys.check(shown)
        if not seen and self._strangers.statistics().tasks_waiting >= MOST_STRANGERS:
            raise ProblemError(
                503,
                "too many unknown keys are being looked up; nothing more was spent.",
                retry_after=AGAIN_AFTER,
            )
        turns = self._known if seen else self._strangers
        try:
            async with asyncio.timeout(LONGEST_QUEUE):
                await turns.acquire()
        except TimeoutError:
            raise ProblemError(
                503, "keys cannot be looked up now; nothing more was spent.", retry_after=AGAIN_AFTER
            ) from None
        try:
            return await to_thread.run_sync(self._keys.check, shown, limiter=self._threads)
        finally:
            turns.release()


def _open_account(connection: Connection, account: str, budget: int | None) -> None:
    """Open an account if there is none. Raises SpecError if there is one of another budget."""
    add(connection, ACCOUNTS, {"name": account, "budget": budget or 0})
    held = read_balance(connection, account, locked=True).budget
    if budget not in (None, held):
        raise SpecError(
            f"account {account!r} has a budget of {held:,} images, not {budget:,}; no key was made. Leave "
            "the budget out, or change it with `ganguard keys set-budget`."
        )


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _key(said: Mapping[Any, Any]) -> Key:
    try:
        scopes = Scopes.model_validate_json(said["scopes"])
    except ValidationError:
        raise Damaged(f"the scopes of key {said['id']!r}") from None
    return Key(said["id"], said["account"], said["class"], scopes, said["created"], bool(said["revoked"]))
