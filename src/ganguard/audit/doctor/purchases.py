"""What was bought: the shards of every store against the digests in their names, and the ledger against
itself, the stores and the results."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

from ganguard.audit.doctor.finding import Finding, note, ok, wrong
from ganguard.audit.plan.plan import AUDITOR_DRAWS
from ganguard.audit.spec.adversaries import Averaging, adversary_labels, parse_adversaries
from ganguard.audit.steps.purchase import adversary_account, auditor_account
from ganguard.base.errors import DataError, GanguardError
from ganguard.base.settings import one_line
from ganguard.queries.ledger import Ledger, LedgerCheck
from ganguard.queries.ledger_database import copy_ledger
from ganguard.queries.store import DESCRIPTION, Store, list_shards
from ganguard.queries.store_check import check_shards
from ganguard.results.records import AccountRecord, AuditResults

_BRING_BACK = (
    "Bring back a copy of the ledger and its -wal file; without it, what was bought cannot be counted."
)
_COUNTS_ONCE = "asked for again when they are wanted, which counts once."


@dataclass(frozen=True)
class Stored:
    """A store and how many images its shards hold."""

    store: Store
    images: int

    @property
    def queries(self) -> int:
        """What these images cost."""
        return self.images * self.store.queries_an_image


def stores_in(directory: Path) -> list[Path]:
    """Return the directories of the stores of an audit, an attack or a harvest."""
    purchases = directory / "purchases"
    begun = [path for path in sorted(purchases.iterdir()) if path.is_dir()] if purchases.is_dir() else []
    return [path for path in (directory, directory / "purchase") if (path / DESCRIPTION).exists()] + begun


def check_store(directory: Path, *, audited: bool) -> tuple[list[Finding], Stored | None]:
    """Check a store's description and shards.

    Args:
        directory: where the store lies.
        audited: whether an audit made it, which names directory and account after the target.

    Returns:
        The findings, and what the store holds: None if its description cannot be relied on.
    """
    path = directory / DESCRIPTION
    if not path.exists():
        begun = "a purchase that was begun, without an image"
        what = "nothing says whose images these are" if list_shards(directory) else begun
        return [
            note(what, directory, "The next run that wants images from here writes store.json again.")
        ], None
    shards = check_shards(directory)
    found = [
        note(f"images {gap.start} to {gap.stop - 1} are absent", directory, f"They are {_COUNTS_ONCE}")
        for gap in shards.gaps
    ]
    found += [wrong(problem.what, problem.file, problem.remedy) for problem in shards.problems]
    try:
        store = Store.open(directory)
    except DataError:
        store = None
    if store is None or not shards.seeds <= {store.seed} or (audited and not _named_by_audit(store)):
        what = "damaged, or of another purchase: it says whose images these are"
        advice = "Remove it: the next run that wants images from here writes it again."
        return [*found, wrong(what, path, advice)], None
    if not shards.problems:
        found.append(ok(f"{shards.images:,} images, bought by {store.account}", directory))
    return found, Stored(store, shards.images)


def _named_by_audit(store: Store) -> bool:
    """Return whether directory and account are named as an audit names them after the target."""
    prefix = auditor_account(store.target, 0).partition("-")[0]
    return store.directory.name == store.account and store.account.partition("-")[0] == prefix


def check_ledger(
    path: Path, stores: list[Stored], *, audited: bool
) -> tuple[list[Finding], LedgerCheck | None]:
    """Check the ledger against itself and against the stores.

    Args:
        path: the ledger's file.
        stores: what lies beside it.
        audited: whether it must lie there if anything was bought.

    Returns:
        The findings, and what the ledger records: None if it cannot be read.
    """
    if not path.exists():
        missing = wrong("absent: what was bought is not counted", path, _BRING_BACK)
        elsewhere = "no ledger lies here: what was bought is counted elsewhere, or not at all"
        return [missing if audited else note(elsewhere, path.parent)] if stores else [], None
    with tempfile.TemporaryDirectory() as folder:  # opening a ledger in its place writes beside it
        try:
            ledger = _check_copy(copy_ledger(path, Path(folder)), stores)
        except (GanguardError, OSError) as problem:
            reason = one_line(str(problem).replace(f"{Path(folder) / path.name}: ", ""), 300).rstrip(".")
            return [wrong(f"not a ledger that can be read ({reason})", path, _BRING_BACK)], None
    problems = [*ledger.problems, *_more_than_delivered(ledger, stores)]
    found = [wrong(problem, path, _BRING_BACK) for problem in problems]
    found += _not_stored(ledger, stores, path)
    if not problems:
        bought = sum(ledger.reserved[account] for account in ledger.budgets)
        found.append(ok(f"accounts: {len(ledger.budgets)}; images bought: {bought:,}", path))
    return found, ledger


def _check_copy(copy: Path, stores: list[Stored]) -> LedgerCheck:
    targets = dict[str, set[str]]()
    for stored in stores:
        targets.setdefault(stored.store.account, set()).add(stored.store.target)
    with Ledger(copy) as ledger:
        return ledger.check(targets)


def _more_than_delivered(ledger: LedgerCheck, stores: list[Stored]) -> list[str]:
    """Return what the stores hold and the ledger does not know."""
    found: list[str] = []
    for stored in stores:
        store, delivered = stored.store, ledger.delivered[stored.store.account]
        if stored.queries > delivered:
            price = f" of {store.queries_an_image} queries each" if store.queries_an_image > 1 else ""
            holds = f"{store.directory} holds {stored.images} images{price}"
            found.append(f"{holds}, and {delivered} were delivered to {store.account!r}")
    return found


def _not_stored(ledger: LedgerCheck, stores: list[Stored], path: Path) -> list[Finding]:
    """Return what was paid for and does not lie in a store."""
    found: list[Finding] = []
    for account in ledger.budgets:
        paid = ledger.reserved[account]
        here = sum(stored.queries for stored in stores if stored.store.account == account)
        if paid > here:
            what = f"account {account!r} has bought {paid} images, of which {here} are stored here"
            found.append(note(what, path, f"The others are {_COUNTS_ONCE}"))
    return found


def check_accounts(
    results: AuditResults, ledger: LedgerCheck, stores: list[Stored], directory: Path
) -> list[Finding]:
    """Check what the results say was bought against the ledger, and find purchases that they do not use."""
    found, used = list[Finding](), set[str]()
    for record in results.accounts:
        accounts = _accounts_of(record, results)
        used |= accounts
        counted = sum(ledger.reserved[account] for account in accounts)
        said = f"the results say that {record.account!r} bought {record.bought} images"
        what = f"{said}, and the ledger says {counted}"
        if counted > record.bought:
            advice = (
                "If a run bought more since and did not end, run the same command again: the results are "
                "written again."
            )
            found.append(note(what, directory / "results.json", advice))
        elif counted < record.bought:
            found.append(wrong(what, directory / "ledger.sqlite", _BRING_BACK))
    for stored in stores:
        if stored.store.account not in used:
            other = "bought from another target or under a seed that the results no longer use"
            advice = "It stays for a run that wants it; remove it if none will."
            found.append(note(f"{stored.images} images, {other}", stored.store.directory, advice))
    return found


def _accounts_of(record: AccountRecord, results: AuditResults) -> set[str]:
    """Return the ledger's accounts that a line of the results sums up."""
    behind = {defence.label: defence.identity for defence in results.defences}
    identity = results.target.identity
    if record.defence is not None:
        identity = behind.get(record.defence, identity)
    if record.role == "adversary":
        averaging = None if record.adversary is None else _averaging(record.adversary, results)
        return {adversary_account(identity, record.seed or 0, results.target.codes, averaging)}
    if record.defence is None:
        identity = results.target.reference or identity
    return {auditor_account(identity, draw) for draw in range(AUDITOR_DRAWS)}


def _averaging(label: str, results: AuditResults) -> Averaging | None:
    """Return the adversary of that label in the spec of the results, if it averages."""
    adversaries = parse_adversaries(results.spec["adversaries"])
    labelled = dict(zip(adversary_labels(adversaries), adversaries, strict=True))
    found = labelled.get(label)
    return found if isinstance(found, Averaging) else None
