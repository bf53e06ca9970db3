"""What was left out of a data set, or changed in it: from the step that read it to the results."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Annotated

from pydantic import Field

from ganguard.base.cache import write_json
from ganguard.base.errors import DataError
from ganguard.base.settings import NonNegative, Settings, read_record

_FILE = "skipped.json"


class BadImage(Settings):
    """An image that could not be read, and why."""

    name: Annotated[str, Field(max_length=300)]
    reason: Annotated[str, Field(max_length=400)]


class SkippedRecord(Settings):
    """Images and files that were left out of a data set, and images whose channels were changed.

    Attributes:
        step: which step read the data set.
        count: how many images could not be read and were left out (`on_bad_image: skip`).
        listed: the first of them.
        stray: how many hidden files, and files of operating systems, were left out.
        made_rgb: how many images are grey in their files and were made RGB, since others have colour.
        decided: what was decided about files and folders that can be taken in several ways.
    """

    step: str = ""
    count: NonNegative
    listed: tuple[BadImage, ...]
    stray: NonNegative = 0
    made_rgb: NonNegative = 0
    decided: tuple[Annotated[str, Field(max_length=800)], ...] = ()


def write_skipped(
    directory: Path,
    count: int,
    listed: Iterable[tuple[str, str]],
    *,
    stray: int = 0,
    made_rgb: int = 0,
    decided: Sequence[str] = (),
) -> None:
    """Write what a `SkippedRecord` holds into a step's directory; nothing if nothing was left out or changed.

    listed: names and reasons of the first images that could not be read.
    """
    if count or stray or made_rgb or decided:
        rows = [{"name": name, "reason": reason} for name, reason in listed]
        said = {"count": count, "listed": rows, "stray": stray, "made_rgb": made_rgb, "decided": decided}
        write_json(directory / _FILE, said)


def read_skipped(steps: Iterable[tuple[str, Path]]) -> list[SkippedRecord]:
    """Return what steps, given by name and directory, left out."""
    found = [(name, directory / _FILE) for name, directory in steps if (directory / _FILE).is_file()]
    return [
        read_record(file, SkippedRecord, DataError).model_copy(update={"step": name}) for name, file in found
    ]


def said_of(record: SkippedRecord) -> str:
    """Return a record as a sentence, without its full stop."""
    return "; ".join(_said(record))


def _said(record: SkippedRecord) -> Iterator[str]:
    if record.count:
        names = "; ".join(f"{image.name} ({image.reason})" for image in record.listed)
        more = (
            f"; and {record.count - len(record.listed):,} more" if record.count > len(record.listed) else ""
        )
        yield f"{_counted(record.count, 'image')} of {record.step} could not be read: {names}{more}"
    if record.stray:
        yield f"{_counted(record.stray, 'hidden file')} of {record.step}, or of an operating system"


def made_rgb(record: SkippedRecord) -> str:
    """Return what a record says of channels as a sentence, without its full stop; empty if nothing."""
    grey = _counted(record.made_rgb, "grey image")
    return f"{grey} of {record.step} made RGB, as the others are" if record.made_rgb else ""


def decided(record: SkippedRecord) -> str:
    """Return what a record says was decided, as a sentence, without its full stop; empty if nothing."""
    return f"{record.step}: {'; '.join(record.decided)}" if record.decided else ""


def _counted(count: int, what: str) -> str:
    return f"1 {what}" if count == 1 else f"{count:,} {what}s"
