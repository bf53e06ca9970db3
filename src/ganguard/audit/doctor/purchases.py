"""Checks of stores and ledger, against each other and against the results of an audit."""

from collections.abc import Mapping
from pathlib import Path

from ganguard.audit.doctor.outputs import results_in
from ganguard.audit.doctor.steps import inside
from ganguard.audit.outcome.accounts import accounts_of
from ganguard.audit.steps.purchase import auditor_account
from ganguard.base.findings import Findings
from ganguard.queries.ledger import LedgerCheck
from ganguard.queries.purchases_check import BRING_BACK, check_ledger, check_sold
from ganguard.queries.store import DESCRIPTION, Store
from ganguard.queries.store_check import check_store
from ganguard.results.records import AuditResults

LEDGER = "ledger.sqlite"


def stores_in(directory: Path) -> list[Path]:
    """Return the directories of the stores of an audit, an attack or a harvest."""
    begun = [path for path in inside(directory / "purchases") if path.is_dir()]
    return [path for path in (directory, directory / "purchase") if (path / DESCRIPTION).exists()] + begun


def check_purchases(directory: Path, found: Findings) -> None:
    """Check what an attack or a harvest bought. Its ledger may lie elsewhere."""
    stores = dict[Store, int]()
    for path in stores_in(directory):
        stores |= check_store(path, found)
    check_ledger(directory / LEDGER, stores, found, required=False)


def check_audit_purchases(directory: Path, found: Findings) -> None:
    """Check what an audit bought, and what its results say of it."""
    stores = dict[Store, int]()
    for path in stores_in(directory):
        stores |= check_store(path, found, _named_by_audit)
    ledger = check_ledger(directory / LEDGER, stores, found, required=True)
    results = results_in(directory)
    if ledger is not None and results is not None:
        _check_accounts(results, ledger, stores, directory, found)


def check_gateway(directory: Path, found: Findings) -> None:
    """Check the ledger of what a gateway sold."""
    check_sold(directory / LEDGER, found)


def _named_by_audit(store: Store) -> bool:
    """Return whether directory and account are named as an audit names them after the target."""
    prefix = auditor_account(store.target, 0).partition("-")[0]
    return store.directory.name == store.account and store.account.partition("-")[0] == prefix


def _check_accounts(
    results: AuditResults, ledger: LedgerCheck, stores: Mapping[Store, int], directory: Path, found: Findings
) -> None:
    """Check what the results say was bought against the ledger, and find purchases that they do not use."""
    used = set[str]()
    for record in results.accounts:
        accounts = accounts_of(record, results)
        used |= accounts
        counted = sum(ledger.reserved[account] for account in accounts)
        bought = f"the results say that {record.account!r} bought {record.bought} images"
        what = f"{bought}, and the ledger says {counted}"
        if counted < record.bought:
            found.add("wrong", what, directory / LEDGER, BRING_BACK)
        elif counted > record.bought:
            run = "If a run bought more since and did not end, run the same command again"
            found.add("note", what, directory / "results.json", f"{run}: the results are written again.")
    for store, images in stores.items():
        if store.account not in used:
            other = "bought from another target or under a seed that the results no longer use"
            advice = "It stays for a run that wants it; remove it if none will."
            found.add("note", f"{images} images, {other}", store.directory, advice)
