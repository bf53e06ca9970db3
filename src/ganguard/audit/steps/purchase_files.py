"""What a purchase step leaves: the name of its store, which is read here and bought into nowhere."""

from pathlib import Path

from ganguard.base.cache import write_json
from ganguard.base.errors import DataError
from ganguard.base.settings import Positive, Settings, read_record
from ganguard.queries.store import Store

_FILE = "purchase.json"


class PurchaseFile(Settings):
    """What purchase.json says: the account that bought, which names the store, and how many images."""

    account: str
    images: Positive


def write_purchase(directory: Path, account: str, images: int) -> None:
    """Write purchase.json."""
    write_json(directory / _FILE, PurchaseFile(account=account, images=images).model_dump())


def store_directory(audit: Path, account: str) -> Path:
    """Return where the images of an account are kept."""
    return audit / "purchases" / account


def open_purchase(directory: Path, audit: Path) -> Store:
    """Return the store that a purchase step filled. Raises DataError if it is not there, or damaged."""
    said = read_record(directory / _FILE, PurchaseFile, DataError)
    return Store.open(store_directory(audit, said.account))


def is_bought(directory: Path, audit: Path) -> bool:
    """Return whether the store still holds all images of a finished purchase, by the names of its shards."""
    said = read_record(directory / _FILE, PurchaseFile, DataError)
    held = 0
    for start, stop, _ in open_purchase(directory, audit).shards():
        if start == held:
            held = stop
    return held >= said.images
