"""Write and read what an adversary made of its purchase: a store of images that nothing is bought into."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

from pydantic import Field

from ganguard.base.cache import copy_directory, write_json
from ganguard.base.errors import DataError
from ganguard.base.settings import Positive, Settings, read_record
from ganguard.queries.store import Store

_FILE, _STORE = "rework.json", "store"


class ReworkFile(Settings):
    """The content of rework.json.

    Attributes:
        images: how many images were made.
        distinct: of how many bought ones.
        effective: how many equally weighted images tell as much as a resampled purchase; None if it was not
            resampled.
        error: mean squared error of the denoiser on held-out noisy images, on the scale of [-1, 1]; None
            without a denoiser.
    """

    images: Positive
    distinct: Positive
    effective: Annotated[float, Field(gt=0)] | None = None
    error: Annotated[float, Field(ge=0)] | None = None


def reworked_store(directory: Path, bought: Store) -> Store:
    """Return the store of the images that are made of a purchase, in the directory of the step that does."""
    return replace(
        bought, directory=directory / _STORE, account=f"{bought.account}-reworked", codes="provider"
    )


def write_rework(directory: Path, said: ReworkFile) -> None:
    """Write rework.json."""
    write_json(directory / _FILE, said.model_dump(mode="json"))


def read_rework(directory: Path) -> ReworkFile:
    """Return what a rework step found. Raises DataError if its file is damaged."""
    return read_record(directory / _FILE, ReworkFile, DataError)


def open_reworked(directory: Path) -> Store:
    """Return the store that a rework step wrote. Raises DataError if it is damaged."""
    return Store.open(directory / _STORE)


def copy_reworked(directory: Path, place: Path) -> Store:
    """Return a copy of the store that a rework step wrote, which an attack may lock as one that it buys into.

    place: where the copy lies, or will lie.
    """
    if not place.is_dir():
        copy_directory(directory / _STORE, place)
    return Store.open(place)
