"""What was bought, checked: the file of a ledger against itself and against the stores beside it."""

import tempfile
from collections.abc import Mapping
from pathlib import Path

from ganguard.base.errors import GanguardError
from ganguard.base.findings import LONGEST_REASON, Findings
from ganguard.base.settings import one_line
from ganguard.queries.ledger import Ledger, LedgerCheck
from ganguard.queries.ledger_database import copy_ledger
from ganguard.queries.store import Store
from ganguard.queries.store_check import COUNTS_ONCE

BRING_BACK = (
    "Bring back a copy of the ledger and its -wal file; without it, what was bought cannot be counted."
)


def check_ledger(
    path: Path, stores: Mapping[Store, int], found: Findings, *, required: bool
) -> LedgerCheck | None:
    """Check a ledger's file, which stays as it is.

    Args:
        path: the file.
        stores: what lies beside it, and how many images each holds.
        found: gets what is found.
        required: the ledger must lie there if there is a store.

    Returns:
        What the ledger records; None if it is absent, or cannot be read.
    """
    if not path.exists():
        elsewhere = "no ledger lies here: what was bought is counted elsewhere, or not at all"
        if stores and required:
            found.add("wrong", "absent: what was bought is not counted", path, BRING_BACK)
        elif stores:
            found.add("note", elsewhere, path.parent)
        return None
    targets = {
        store.account: {each.target for each in stores if each.account == store.account} for store in stores
    }
    if (ledger := _read(path, targets, found)) is not None:
        _compare(ledger, stores, path, found)
    return ledger


def check_sold(path: Path, found: Findings) -> None:
    """Check the file of a gateway's ledger, which stays as it is, against itself: what was sold lies nowhere.

    path: the file.
    """
    if (ledger := _read(path, {}, found)) is not None:
        _compare(ledger, {}, path, found, sold=True)


def _read(path: Path, targets: Mapping[str, set[str]], found: Findings) -> LedgerCheck | None:
    """Return what a ledger records; None if it cannot be read, which is a finding."""
    with tempfile.TemporaryDirectory() as folder:  # opening a ledger in its place writes beside it
        try:
            with Ledger(copy_ledger(path, Path(folder))) as opened:
                return opened.check(targets)
        except (GanguardError, OSError) as problem:
            reason = str(problem).replace(f"{Path(folder) / path.name}: ", "")
            what = f"not a ledger that can be read ({one_line(reason, LONGEST_REASON).rstrip('.')})"
            found.add("wrong", what, path, BRING_BACK)
            return None


def _compare(
    ledger: LedgerCheck, stores: Mapping[Store, int], path: Path, found: Findings, *, sold: bool = False
) -> None:
    """Find what is wrong in a ledger, what is paid and not stored, and what is stored and not paid.

    sold: whether the images went to others, who alone may store them.
    """
    for account in ledger.budgets:
        again = ledger.again[account]
        paid = ledger.reserved[account] - again
        stored = {store: images for store, images in stores.items() if store.account == account}
        here = sum(images * store.queries_an_image for store, images in stored.items())
        if again:
            what = f"account {account!r} sent {again} requests again, since no answer had come"
            found.add("note", what, path, "The API may have charged each, so each is counted.")
        if paid > here and not sold:
            what = f"account {account!r} has bought {paid} images, of which {here} are stored here"
            found.add("note", what, path, f"The others are {COUNTS_ONCE}")
    bought = sum(ledger.reserved[account] for account in ledger.budgets)
    with found.whole(f"accounts: {len(ledger.budgets)}; images bought: {bought:,}", path):
        for problem in ledger.problems:
            found.add("wrong", problem, path, BRING_BACK)
        for store, images in stores.items():
            delivered, price = ledger.delivered[store.account], store.queries_an_image
            if images * price > delivered:
                each = f" of {price} queries each" if price > 1 else ""
                holds = f"{store.directory} holds {images} images{each}"
                what = f"{holds}, and {delivered} were delivered to {store.account!r}"
                found.add("wrong", what, path, BRING_BACK)
