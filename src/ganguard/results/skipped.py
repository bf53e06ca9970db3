"""Images of a data set that could not be read: from the step that read it to the results."""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

from pydantic import Field

from ganguard.base.cache import write_json
from ganguard.base.errors import DataError
from ganguard.base.settings import Positive, Settings, read_record

_FILE = "skipped.json"


class BadImage(Settings):
    """An image that could not be read, and why."""

    name: Annotated[str, Field(max_length=300)]
    reason: Annotated[str, Field(max_length=400)]


class SkippedRecord(Settings):
    """Images that were left out of a data set (`on_bad_image: skip`).

    Attributes:
        step: which step read the data set.
        count: how many images were left out.
        listed: the first of them.
    """

    step: str = ""
    count: Positive
    listed: tuple[BadImage, ...]


def write_skipped(directory: Path, count: int, listed: Iterable[tuple[str, str]]) -> None:
    """Write how many images were left out, and names and reasons of the first, into a step's directory."""
    rows = [{"name": name, "reason": reason} for name, reason in listed]
    write_json(directory / _FILE, {"count": count, "listed": rows})


def read_skipped(steps: Iterable[tuple[str, Path]]) -> list[SkippedRecord]:
    """Return what steps, given by name and directory, left out."""
    found = [(name, directory / _FILE) for name, directory in steps if (directory / _FILE).is_file()]
    return [
        read_record(file, SkippedRecord, DataError).model_copy(update={"step": name}) for name, file in found
    ]


def said_of(record: SkippedRecord) -> str:
    """Return a record as a sentence."""
    count = "1 image" if record.count == 1 else f"{record.count:,} images"
    names = "; ".join(f"{image.name} ({image.reason})" for image in record.listed)
    more = f"; and {record.count - len(record.listed):,} more" if record.count > len(record.listed) else ""
    return f"{count} of {record.step} could not be read: {names}{more}"
