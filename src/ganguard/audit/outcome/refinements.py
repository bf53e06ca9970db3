"""From the files of finished steps to the records of what white-box attacks kept of their purchases."""

from pathlib import Path
from typing import Annotated, Any

import torch
from pydantic import BeforeValidator
from torch import Tensor

from ganguard.attacks.subsampling.refinement_files import KEPT, REFINEMENT
from ganguard.audit.engine.cache import Done
from ganguard.audit.plan.plan import Plan, SubstitutePlan
from ganguard.audit.plan.planned import images_of, replay_name
from ganguard.audit.steps.replay import read_classes
from ganguard.base.codecs import read_tensors
from ganguard.base.errors import CheckpointError, DataError
from ganguard.base.settings import one_line, read_record
from ganguard.results.refinements import ClassCounts, PlainRecord, RatioRecord, RefinementRecord, Trial


def _apart(said: Any) -> Any:
    """What refinement.json says of Algorithm 1: its ratio, and beside it what came of that, or that it was
    stuck."""
    if not isinstance(said, dict):
        return said
    ratio = {key: value for key, value in said.items() if key in RatioRecord.model_fields}
    tried = {key: value for key, value in said.items() if key not in ratio}
    return {**ratio, "tried": None if tried == {"stuck": True} else tried}


class _Written(Trial):
    """What refinement.json says."""

    plain: Annotated[PlainRecord, BeforeValidator(_apart)]


def refinement_records(plan: Plan, done: dict[str, Done]) -> list[RefinementRecord]:
    """A record of every substitute that refined what it bought. Raises InputError where its files are
    damaged."""
    refined = (
        s for s in plan.substitutes if s.step in done and (done[s.step].directory / REFINEMENT).is_file()
    )
    return [_record(s, done) for s in refined]


def _record(substitute: SubstitutePlan, done: dict[str, Done]) -> RefinementRecord:
    directory, budget = (
        done[substitute.step].directory,
        images_of(substitute.settings.query_budget, substitute.situation),
    )
    said = read_record(directory / REFINEMENT, _Written, DataError)
    replay = done.get(replay_name(substitute.seed, substitute.situation))
    return RefinementRecord(
        **substitute.whose(),
        classes=None if replay is None else _count(read_classes(replay.directory, budget), _read(directory)),
        **dict(said),
    )


def _count(classes: tuple[Tensor, int] | None, refined: dict[str, Tensor]) -> ClassCounts | None:
    """classes: of each bought image (N,), and how many there are."""
    if classes is None:
        return None
    of_images, count = classes

    def counted(rows: Tensor) -> tuple[int, ...]:
        return tuple(torch.bincount(of_images[rows], minlength=count).tolist())

    plain = counted(refined["plain"]) if "plain" in refined else ()
    return ClassCounts(
        before=counted(torch.arange(len(of_images))), after=counted(refined["kept"]), plain=plain
    )


def _read(directory: Path) -> dict[str, Tensor]:
    """Indices into the bought images: kept (N,), and plain (N,) where Algorithm 1 was not stuck."""
    try:
        return read_tensors(directory / KEPT)[0]
    except ValueError as problem:
        why = f"not a refined set ({one_line(problem, 160)})"
        raise CheckpointError(
            f"{directory / KEPT}: {why}. Remove {directory}: it is then done again."
        ) from None
