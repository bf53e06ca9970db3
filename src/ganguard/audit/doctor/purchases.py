"""What was bought: the shards of every store against the digests in their names, and the ledger against
itself and them."""

import re
import shutil
import sqlite3
import tempfile
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ganguard.audit.doctor.finding import Finding
from ganguard.audit.steps.purchase import adversary_account, auditor_account, queries_paid
from ganguard.base.errors import GanguardError
from ganguard.base.settings import one_line, read_json
from ganguard.data.parquet import read_shard
from ganguard.queries.ledger import Ledger, reservation_id
from ganguard.queries.store import DESCRIPTION, list_shards
from ganguard.results.records import AuditResults

_ASK_AGAIN = "Remove it and run the same command again: its images are asked for again, which counts once."
_BRING_BACK = (
    "Bring back a copy of the ledger and its -wal file; without it, what was bought cannot be counted."
)


@dataclass(frozen=True)
class Held:
    """A store: what store.json says of it, and how many images its shards hold."""

    directory: Path
    target: str
    account: str
    seed: int
    images: int


@dataclass(frozen=True)
class Reservation:
    """A row of the ledger."""

    id: str
    account: str
    images: int
    state: str
    request: str


@dataclass(frozen=True)
class Books:
    """What a ledger says: budgets by account, every reservation, and the sums of them that it keeps:
    reserved, delivered."""

    budgets: dict[str, int] = field(default_factory=dict[str, int])
    reservations: tuple[Reservation, ...] = ()
    sums: dict[str, tuple[int, int]] = field(default_factory=dict[str, tuple[int, int]])

    def reserved(self, account: str) -> int:
        """Images that an account has spent."""
        return sum(r.images for r in self.reservations if r.account == account)

    def delivered(self, account: str) -> int:
        """Images that reached an account."""
        return sum(r.images for r in self.reservations if r.account == account and r.state == "delivered")


def stores_in(directory: Path) -> list[Path]:
    """The stores of an audit, an attack or a harvest."""
    purchases = directory / "purchases"
    found = [directory, directory / "purchase", *(sorted(purchases.iterdir()) if purchases.is_dir() else [])]
    return [
        path
        for path in found
        if (path / DESCRIPTION).exists() or (path.parent == purchases and path.is_dir())
    ]


def check_store(directory: Path, *, audited: bool) -> tuple[list[Finding], Held | None]:
    """A store's description and shards, and what it holds; None where the description cannot be relied on.

    audited: whether an audit made it, which names directory and account after the target.
    """
    path, shards = directory / DESCRIPTION, list_shards(directory)
    if not path.exists():
        what = (
            "nothing says whose images these are" if shards else "a purchase that was begun, without an image"
        )
        return [
            Finding(
                "note", what, directory, "The next run that wants images from here writes store.json anew."
            )
        ], None
    found, seeds = _check_ranges(directory, shards), set[int]()
    for start, stop, file in shards:
        problems, seen = _check_shard(start, stop, file)
        found += problems
        seeds |= seen
    held = _describe(path, sum(stop - start for start, stop, _ in shards))
    if held is None or not seeds <= {held.seed} or (audited and not _named_by_audit(held)):
        advice = "Remove it: the next run that wants images from here writes it anew."
        return [
            *found,
            Finding("wrong", "damaged, or of another purchase: it says whose images these are", path, advice),
        ], None
    if not any(finding.severity == "wrong" for finding in found):
        found.append(Finding("ok", f"{held.images:,} images, bought by {held.account}", directory))
    return found, held


def _describe(path: Path, images: int) -> Held | None:
    """What store.json says, if it can be read."""
    try:
        said: Any = read_json(path)
        held = Held(path.parent, str(said["target"]), str(said["account"]), int(said["seed"]), images)
        return held if said["codes"] in ("provider", "client") else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _named_by_audit(held: Held) -> bool:
    return held.account == held.directory.name and held.account[:8] == auditor_account(held.target, 0)[:8]


def _check_shard(start: int, stop: int, file: Path) -> tuple[list[Finding], set[int]]:
    """What is the matter with a shard, and the seeds that its rows name."""
    try:
        source, whole = read_shard(file)
        if whole is False:
            return [
                Finding("wrong", "damaged: its bytes are not those that were stored", file, _ASK_AGAIN)
            ], set()
        with pq.ParquetFile(source, page_checksum_verification=True) as opened:
            seeds = _seeds(opened, start, stop)
    except (OSError, pa.ArrowException, KeyError) as problem:
        return [
            Finding("wrong", f"not a shard that can be read ({one_line(problem, 120)})", file, _ASK_AGAIN)
        ], set()
    if seeds is None:
        return [Finding("wrong", f"its rows are not images {start} to {stop - 1}", file, _ASK_AGAIN)], set()
    unnamed = Finding("note", "its name carries no checksum, so that not all of it can be checked", file)
    return [unnamed] if whole is None else [], seeds


def _seeds(opened: pq.ParquetFile, start: int, stop: int) -> set[int] | None:
    """The seeds that the rows of a shard name; None where they are not those of images start ... stop - 1."""
    if opened.metadata.num_rows != stop - start:
        return None
    seeds, held = set[int](), start
    for batch in opened.iter_batches(columns=["index", "seed"]):
        if batch["index"].to_pylist() != list(range(held, held + len(batch))):
            return None
        seeds.update(batch["seed"].to_pylist())
        held += len(batch)
    return seeds


def _check_ranges(directory: Path, shards: list[tuple[int, int, Path]]) -> list[Finding]:
    """Gaps and overlaps."""
    found: list[Finding] = []
    for (_, held, file), (start, _, other) in pairwise([(0, 0, directory), *shards]):
        if start > held:
            advice = "They are asked for again when they are wanted, which counts once."
            found.append(Finding("note", f"images {held} to {start - 1} are absent", directory, advice))
        elif start < held:
            advice = f"Keep the one that belongs here, {file.name} or this, and remove the other."
            found.append(Finding("wrong", f"image {start} lies in two shards", other, advice))
    return found


def read_books(path: Path) -> Books:
    """What the ledger at `path` says. It is copied before it is opened: opening one in its place writes
    beside it.

    Raises GanguardError or sqlite3.Error where it is damaged or no ledger, OSError where it cannot be copied.
    """
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / path.name
        for end in ("", "-wal"):
            if (part := path.with_name(path.name + end)).exists():
                shutil.copyfile(part, copy.with_name(copy.name + end))
        Ledger(copy).close()  # sees to its schema
        connection = sqlite3.connect(copy)
        try:
            sane = connection.execute("PRAGMA integrity_check").fetchall()
            if sane != [("ok",)]:
                raise sqlite3.DatabaseError(str(sane[0][0]))
            accounts = connection.execute("SELECT name, budget, reserved, delivered FROM accounts").fetchall()
            rows = connection.execute(
                "SELECT id, account, images, state, request FROM reservations"
            ).fetchall()
        finally:
            connection.close()
    return Books(
        {str(name): int(budget) for name, budget, *_ in accounts},
        tuple(Reservation(str(i), str(a), int(n), str(s), str(r)) for i, a, n, s, r in rows),
        {str(name): (int(reserved), int(delivered)) for name, _, reserved, delivered in accounts},
    )


def check_ledger(path: Path, stores: list[Held], *, audited: bool) -> tuple[list[Finding], Books | None]:
    """The ledger against itself and against the stores; None where it cannot be read. audited: whether it
    must lie there."""
    if not path.exists():
        missing = Finding("wrong", "absent: what was bought is not counted", path, _BRING_BACK)
        elsewhere = Finding(
            "note", "no ledger lies here: what was bought is counted elsewhere, or not at all", path.parent
        )
        return [missing if audited else elsewhere] if stores else [], None
    try:
        books = read_books(path)
    except (GanguardError, sqlite3.Error, OSError, ValueError, TypeError) as problem:
        reason = re.sub(r"\S*" + re.escape(path.name) + ": ", "", str(problem))
        return [
            Finding(
                "wrong",
                f"not a ledger that can be read ({one_line(reason, 300).rstrip('.')})",
                path,
                _BRING_BACK,
            )
        ], None
    found = [
        Finding("wrong", what, path, _BRING_BACK)
        for what in (*_inner_problems(books), *_store_problems(books, stores))
    ]
    found += _not_stored(books, stores, path)
    if not any(finding.severity == "wrong" for finding in found):
        bought = sum(books.reserved(account) for account in books.budgets)
        found.append(Finding("ok", f"accounts: {len(books.budgets)}; images bought: {bought:,}", path))
    return found, books


def _inner_problems(books: Books) -> list[str]:
    """What no ledger that only ganguard wrote would say."""
    found = [
        f"account {account!r} has bought {books.reserved(account)} images of a budget of {budget}"
        for account, budget in books.budgets.items()
        if books.reserved(account) > budget
    ]
    for account, (reserved, delivered) in books.sums.items():
        summed = books.reserved(account), books.delivered(account)
        if (reserved, delivered) != summed:
            was = f"its reservations sum to {summed[0]} and {summed[1]}"
            found.append(
                f"account {account!r} counts {reserved} images reserved, {delivered} delivered; {was}"
            )
    for r in books.reservations:
        asked = re.fullmatch(r"sample seed=\d+ indices=(\d+):(\d+)", r.request)
        if r.account not in books.budgets:
            found.append(f"a reservation is of the account {r.account!r}, which does not exist")
        if r.images < 0 or (asked and int(asked[2]) - int(asked[1]) != r.images):
            found.append(f"the reservation {r.request!r} of account {r.account!r} counts {r.images} images")
        if r.state not in ("reserved", "delivered"):
            found.append(
                f"the reservation {r.request!r} of account {r.account!r} is in the state {r.state!r}"
            )
    return found


def _store_problems(books: Books, stores: list[Held]) -> list[str]:
    """Where the stores hold what the ledger does not know, or reservations are not what their ids were made
    from."""
    found: list[str] = []
    for store in stores:
        if store.images > (delivered := books.delivered(store.account)):
            found.append(
                f"{store.directory} holds {store.images} images, and {delivered} were delivered to "
                f"{store.account!r}"
            )
        for r in books.reservations:
            if r.account == store.account and r.id != reservation_id(store.target, r.account, r.request):
                found.append(
                    f"the reservation {r.request!r} of account {r.account!r} was made for another target or "
                    "request"
                )
    return found


def _not_stored(books: Books, stores: list[Held], path: Path) -> list[Finding]:
    """What was paid for and does not lie in a store."""
    found: list[Finding] = []
    for account in books.budgets:
        paid, here = (
            books.reserved(account),
            sum(queries_paid(account, s.images) for s in stores if s.account == account),
        )
        if paid > here:
            what = f"account {account!r} has bought {paid} images, of which {here} are stored here"
            found.append(
                Finding(
                    "note",
                    what,
                    path,
                    "The others are asked for again when they are wanted, which counts once.",
                )
            )
    return found


def check_accounts(results: AuditResults, books: Books, stores: list[Held], directory: Path) -> list[Finding]:
    """What the results say was bought against the ledger, and purchases that the results no longer use."""
    found: list[Finding] = []
    behind, expected = {defence.label: defence.identity for defence in results.defences}, set[str]()
    for record in results.accounts:
        identity = (
            behind.get(record.defence, results.target.identity) if record.defence else results.target.identity
        )
        if record.role == "auditor":
            identity = results.target.reference or identity if record.defence is None else identity
            accounts = {
                account for account in books.budgets if account.startswith(auditor_account(identity, 0)[:-1])
            }
        else:
            accounts = {adversary_account(identity, record.seed or 0, results.target.codes, record.adversary)}
        expected |= accounts
        counted = sum(books.reserved(account) for account in accounts)
        if counted == record.bought:
            continue
        what = f"the results say that {record.account!r} bought {record.bought} images, and the ledger says {counted}"
        if counted > record.bought:
            advice = "If a run bought more since and did not end, run the same command again: the results are written anew."
            found.append(Finding("note", what, directory / "results.json", advice))
        else:
            found.append(Finding("wrong", what, directory / "ledger.sqlite", _BRING_BACK))
    for store in stores:
        if store.account not in expected:
            what = f"{store.images} images, bought from another target or under a seed that the results no longer use"
            found.append(
                Finding(
                    "note", what, store.directory, "It stays for a run that wants it; remove it if none will."
                )
            )
    return found
