"""Draw the images of a copy that was found, which are all that is known of it."""

from pathlib import Path

import torch

from ganguard.audit.plan.adversary_work import FoundInputs, FoundSettings
from ganguard.audit.steps.call import Digests, Kind, StepCall
from ganguard.audit.steps.drawn import Drawn, drawn
from ganguard.audit.steps.substitute_files import write_queries
from ganguard.audit.steps.target_files import IDENTITY_TELLS, OPENS, open_target
from ganguard.base.labels import labelled_digest
from ganguard.base.seeds import derived_seed, torch_generator
from ganguard.queries.store import Store
from ganguard.targets.ask import Ask
from ganguard.targets.conditions import conditions_of
from ganguard.targets.images import BoughtImages
from ganguard.targets.protocol import BlackBoxTarget

_AT_ONCE = 512  # images in a shard
_SEED = 0  # a found copy is one copy, whatever the seeds of the audit


def run_found(call: StepCall[FoundSettings, FoundInputs[Path]]) -> Digests:
    """Draw a found copy's images into a store beside this step's files."""
    copy, count = open_target(call.inputs.found, call.compute), call.settings.count
    ask = call.settings.ask if conditions_of(copy) else None
    store = Store(call.directory, copy.identity, "found", _SEED, ask=ask)
    store.create()
    asked: list[str] = []
    for start in range(0, count, _AT_ONCE):
        indices = range(start, min(start + _AT_ONCE, count))
        found = _drawn(copy, indices, call.settings.ask)
        said = found.labels.said() if found.labels else None
        store.write(start, found.images, None, said)
        asked += said or []
        call.progress(indices.stop, count, "drawing")
    write_queries(call.directory, 0)
    return {"result": labelled_digest({"images": store.read(count)}, asked=asked)}


def _drawn(copy: BlackBoxTarget, indices: range, ask: Ask) -> Drawn:
    """Return images of a copy. Those of a set of images come in a random order, each once: a folder may be
    sorted, and the draws that are measured must be alike."""
    if not isinstance(copy, BoughtImages):
        return drawn(copy, indices, ask, seed=derived_seed(_SEED, "found"))
    order = torch.randperm(copy.count, generator=torch_generator(_SEED, "found"))
    found = [copy.sample(range(i, i + 1), seed=_SEED) for i in order[indices].tolist()]
    return Drawn(torch.cat(found), None)


FOUND = Kind(
    run_found,
    code=(
        *OPENS,
        "ganguard.data.parquet",
        "ganguard.queries.store",
        "ganguard.audit.steps.drawn",
        "ganguard.audit.steps.found",
        "ganguard.audit.steps.substitute_files",
    ),
    not_followed=IDENTITY_TELLS,
)
