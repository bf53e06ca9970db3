"""Write and read the file of a purchase step, which names its store. Nothing is bought here."""

from pathlib import Path

from ganguard.base.cache import write_json
from ganguard.base.errors import DataError
from ganguard.base.settings import Positive, Settings, read_record
from ganguard.queries.store import Store

_FILE = "purchase.json"


class PurchaseFile(Settings):
    """The content of purchase.json.

    Attributes:
        account: the account that bought; its store has the same name.
        images: how many images it holds.
    """

    account: str
    images: Positive


def write_purchase(directory: Path, account: str, images: int) -> None:
    """Write purchase.json."""
    write_json(directory / _FILE, PurchaseFile(account=account, images=images).model_dump())


def store_directory(audit: Path, account: str) -> Path:
    """Return where the images of an account are kept."""
    return audit / "purchases" / account


def open_purchase(directory: Path, audit: Path) -> Store:
    """Return the store that a purchase step filled. Raises DataError if it is absent or damaged."""
    said = read_record(directory / _FILE, PurchaseFile, DataError)
    return Store.open(store_directory(audit, said.account))


def is_bought(directory: Path, audit: Path) -> bool:
    """Return whether the store of a finished purchase still holds all its images.

    Only the names of its shards are read.
    """
    said = read_record(directory / _FILE, PurchaseFile, DataError)
    held = 0
    for start, stop, _ in open_purchase(directory, audit).shards():
        if start == held:
            held = stop
    return held >= said.images
