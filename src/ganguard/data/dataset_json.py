"""The dataset.json that StyleGAN2-ADA's dataset_tool writes beside its images. It says which class each image
has, or that no image has one."""

from collections.abc import Mapping
from dataclasses import dataclass

from ganguard.base.errors import DataError
from ganguard.base.settings import json_of, one_line

LABELS = "dataset.json"


@dataclass(frozen=True)
class SaidClasses:
    """The class of each image by its name, as a file says it; nothing had to be decided."""

    labels: Mapping[str, int | None]
    decided: str = ""


def said_labels(content: bytes, where: str, names: set[str]) -> Mapping[str, int | None]:
    """Return the class of each of the images `names` from the content of a dataset.json: {"labels": [[name,
    number], …]}.

    If labels is null or missing, no image has a class: the folders of such a set are shards. Raises
    DataError, with `where` in its message, if the content is something else or an image has no label.
    """
    try:
        value = json_of(content)
    except ValueError as problem:
        raise DataError(f"{where}: not JSON ({one_line(problem, 120)}).") from None
    rows = value.get("labels") if isinstance(value, dict) else value
    if rows is None:
        return dict.fromkeys(names)
    labels = dict[str, int]()
    for row in rows if isinstance(rows, list) else [rows]:
        match row:
            case [str(name), int(label)] if not isinstance(label, bool) and label >= 0:
                labels[name] = label
            case _:
                raise DataError(
                    f"{where}: labels must be a list of [name, whole number]; got {one_line(repr(row), 80)}."
                )
    if absent := sorted(names - labels.keys()):
        raise DataError(
            f"{where}: has no label for {one_line(absent[0], 120)}. Label all images, or set labels to null."
        )
    return labels
