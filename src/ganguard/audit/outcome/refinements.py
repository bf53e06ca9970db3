"""Read back which images white-box attacks kept of their purchases."""

from pathlib import Path
from typing import Annotated, cast

import torch
from pydantic import BeforeValidator
from torch import Tensor

from ganguard.attacks.subsampling.refinement_files import KEPT, REFINEMENT
from ganguard.audit.engine.cache import Done
from ganguard.audit.plan.parts import Plan, SubstitutePlan
from ganguard.audit.steps.replay import read_classes
from ganguard.base.codecs import read_tensors
from ganguard.base.errors import CheckpointError, DataError
from ganguard.base.settings import one_line, read_record
from ganguard.results.refinements import ClassCounts, PlainRecord, RatioRecord, RefinementRecord, Trial


def _split_trial(said: object) -> object:
    """Return what refinement.json says of Algorithm 1, with its outcome split from its ratio.

    The outcome, "tried", is None if the chains were stuck.
    """
    if not isinstance(said, dict):
        return said
    values = cast(dict[str, object], said)
    ratio = {key: value for key, value in values.items() if key in RatioRecord.model_fields}
    tried = {key: value for key, value in values.items() if key not in ratio}
    return {**ratio, "tried": None if tried == {"stuck": True} else tried}


class _Written(Trial):
    """The content of refinement.json."""

    plain: Annotated[PlainRecord, BeforeValidator(_split_trial)]


def refinement_records(plan: Plan, done: dict[str, Done]) -> list[RefinementRecord]:
    """Return a record of every substitute that refined its purchase.

    Raises InputError if its files are damaged.
    """
    trained = [substitute for substitute in plan.substitutes if substitute.train.name in done]
    return [
        _record(substitute, done)
        for substitute in trained
        if (done[substitute.train.name].directory / REFINEMENT).is_file()
    ]


def _record(substitute: SubstitutePlan, done: dict[str, Done]) -> RefinementRecord:
    directory, copy = done[substitute.train.name].directory, substitute.copy
    said = read_record(directory / REFINEMENT, _Written, DataError)
    bought = substitute.bought
    replay = done.get(bought.replay.name) if bought else None
    images = copy.settings.needs().purchase // copy.scenario.price
    classes = read_classes(replay.directory, images) if replay else None
    return RefinementRecord.model_validate(
        {**copy.whose().model_dump(), **dict(said), "classes": _count(classes, _read(directory))}
    )


def _count(classes: tuple[Tensor, int] | None, refined: dict[str, Tensor]) -> ClassCounts | None:
    """Return how many images of each class the purchase, the refined set and Algorithm 1's set hold.

    Args:
        classes: class of each bought image (N,), and the number of classes; None if the feature network
            knows no classes.
        refined: indices as `_read` returns them.
    """
    if classes is None:
        return None
    of_images, count = classes

    def counted(rows: Tensor) -> tuple[int, ...]:
        return tuple(torch.bincount(of_images[rows], minlength=count).tolist())

    plain = counted(refined["plain"]) if "plain" in refined else ()
    before = counted(torch.arange(len(of_images)))
    return ClassCounts(before=before, after=counted(refined["kept"]), plain=plain)


def _read(directory: Path) -> dict[str, Tensor]:
    """Return indices into the bought images: kept (N,), and plain (N,) unless Algorithm 1's chains stuck."""
    try:
        return read_tensors(directory / KEPT)[0]
    except ValueError as problem:
        why = f"not a refined set ({one_line(problem, 160)})"
        raise CheckpointError(
            f"{directory / KEPT}: {why}. Remove {directory}: it is then done again."
        ) from None
