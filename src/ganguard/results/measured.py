"""What `ganguard measure` prints, as a frozen record, and the JSON schema of it."""

import json
from functools import cache
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, create_model
from pydantic.json_schema import SkipJsonSchema

from ganguard.base.cache import write_bytes
from ganguard.base.settings import NonNegative, Plain, Positive, Settings
from ganguard.results.measures import of_two_sets


class SetRecord(Settings):
    """One of the two sets, as it was measured.

    Attributes:
        kind: what it is: a kind of data set, "harvest", a kind of target such as "checkpoint", "npz", or
            "statistics", of which there are no images.
        images: how many images were measured.
        held: how many images the set holds; those that were measured are some of them.
        channels: 1 or 3, as the images were measured.
        size: side in pixels that the images were resized to, if they were made squares.
        crop: the part of each image that was taken, of files.
        orient: "exif" if images were turned as their EXIF data say, "none" if they were taken as stored, of
            files.
        stray: how many hidden files, and files of operating systems, were left out.
        unreadable: how many images could not be read and were left out.
        made_rgb: how many images are grey in their files and were made RGB, since others have colour.
        converted: "grey" or "RGB" if all images were made so, to be compared with the other set.
    """

    kind: str
    images: NonNegative
    held: NonNegative
    width: Positive | SkipJsonSchema[None] = None
    height: Positive | SkipJsonSchema[None] = None
    channels: Literal[1, 3] | SkipJsonSchema[None] = None
    size: Positive | SkipJsonSchema[None] = None
    crop: str | SkipJsonSchema[None] = None
    orient: str | SkipJsonSchema[None] = None
    stray: NonNegative = 0
    unreadable: NonNegative = 0
    made_rgb: NonNegative = 0
    converted: Literal["grey", "RGB"] | SkipJsonSchema[None] = None


class TwoSetRecords(Settings):
    """Both sets."""

    A: SetRecord
    B: SetRecord


class PairsRecord(Settings):
    """The pairs of images that numbers of pairs are of.

    Attributes:
        count: how many there are.
        by: what the two images of a pair have in common: their "name"; their "name without its ending"; the
            "place" in their file; the "index" in their harvest; or the "code" that they were made from.
    """

    count: Positive
    by: Literal["name", "name without its ending", "place", "index", "code"]


class NetworkRecord(Settings):
    """The feature network, if features were taken.

    Attributes:
        settings: the network, as a spec names it.
        dimensions: of its features.
        scaled_by: the set whose features have variance 1 in each dimension, "A" or "B"; "audit" if the scale
            is that of the audit whose features were given; "nothing" if the features are as they came.
    """

    settings: Plain
    dimensions: Positive
    scaled_by: Literal["A", "B", "audit", "nothing"]


class ComputeRecord(Settings):
    """Where the numbers were computed."""

    device: str
    threads: Positive


class VersionsRecord(Settings):
    """The versions of what computed the numbers."""

    ganguard: str
    python: str
    torch: str
    numpy: str
    pillow: str


class ClassNumber(Settings):
    """A number of the images of one class.

    Attributes:
        value: the number.
        spread: its standard error, if it has one.
        images: how many images of A are of the class.
    """

    value: float
    spread: float | SkipJsonSchema[None] = None
    images: Positive


class MeasuredBase(Settings):
    """What is said of every measurement of images A against images B; beside it stands each number that was
    measured, under its own name.

    Attributes:
        A: what was measured, as it was named.
        B: what it was measured against, as it was named.
        features: the feature network, as it was named.
        images: how many images of A and of B were measured; 0 for statistics.
        spread: by name of the number, its standard error, if it has one.
        images_judged: by name, how many images or pairs the number is of, if not of all.
        by_class: by name of the number and of the class, the number of the images of that class; absent if
            none was measured.
        not_measured: by name, why a number could not be measured.
        notes: what to know when these numbers are read.
        pairs: the pairs, if numbers of pairs were measured.
        sets: both sets.
        network: the feature network, if features were taken.
        compute: device and threads.
        versions: of the libraries.
    """

    A: str
    B: str
    features: str
    images: tuple[NonNegative, NonNegative]
    spread: dict[str, float]
    images_judged: dict[str, Positive]
    by_class: dict[str, dict[str, ClassNumber]] | SkipJsonSchema[None] = None
    not_measured: dict[str, str]
    notes: tuple[str, ...]
    pairs: PairsRecord | SkipJsonSchema[None] = None
    sets: TwoSetRecords
    network: NetworkRecord | SkipJsonSchema[None] = None
    compute: ComputeRecord
    versions: VersionsRecord


def measured_record() -> type[MeasuredBase]:
    """Return the type of the record: MeasuredBase with a number for each measure of two sets."""
    return _record(tuple(of_two_sets()))


@cache
def _record(measures: tuple[Any, ...]) -> type[MeasuredBase]:
    numbers: dict[str, Any] = {
        measure.name: (
            float | SkipJsonSchema[None],
            Field(None, title=measure.title, description=measure.help),
        )
        for measure in measures
    }
    return create_model("MeasuredRecord", __base__=MeasuredBase, __doc__=MeasuredBase.__doc__, **numbers)


def as_json(record: MeasuredBase) -> str:
    """Return the record as it is printed. What was not measured is absent."""
    said = record.model_dump(mode="json", exclude_none=True)
    numbers = {name: said.pop(name) for name in list(said) if name not in MeasuredBase.model_fields}
    first = {name: said.pop(name) for name in ("A", "B", "features", "images")}
    return json.dumps(first | numbers | said, indent=2)


def measured_schema() -> dict[str, Any]:
    """Return the JSON schema of what is printed."""
    return _without_null(measured_record().model_json_schema())


def write_measured_schema(path: Path) -> None:
    """Write the JSON schema of what is printed."""
    write_bytes(path, (json.dumps(measured_schema(), indent=2) + "\n").encode())


def _without_null(value: Any) -> Any:
    """Return a schema without defaults of null: a key that has no value is absent."""
    if isinstance(value, dict):
        return {
            key: _without_null(part) for key, part in value.items() if not (key == "default" and part is None)
        }
    return [_without_null(part) for part in value] if isinstance(value, list) else value
