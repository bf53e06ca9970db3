"""Measure what the feature network sees: the auditor's draws under known damage."""

import json
from pathlib import Path

from ganguard.audit.plan.ground_work import EyesightInputs, EyesightSettings
from ganguard.audit.steps.call import Digests, Kind, StepCall
from ganguard.audit.steps.purchase import BUYS, buy_for_auditor
from ganguard.audit.steps.target_files import IDENTITY_TELLS, open_target
from ganguard.audit.steps.yardstick_files import Yardsticks
from ganguard.base.cache import content_key, write_json
from ganguard.comparison.embedding import load_embedding
from ganguard.comparison.eyesight import ladder
from ganguard.results.eyesight import DAMAGES, Rung

MOST_IMAGES = 1000  # that are damaged: each of them goes through the network once for each damage and level
_FILE = "eyesight.json"


def run_eyesight(call: StepCall[EyesightSettings, EyesightInputs[Path]]) -> Digests:
    """Measure the first images of the auditor's first draw under damage, against the second draw.

    The yardsticks have bought them, so that nothing is bought here.
    """
    first, second = Yardsticks.read(call.inputs.yardsticks).draws
    count = min(call.settings.samples, MOST_IMAGES)
    target = open_target(call.inputs.target, call.compute)
    images = buy_for_auditor(call, target, 0, call.settings.samples, call.settings.ask).images[:count]
    embed = load_embedding(call.inputs.features, call.compute)
    rungs: list[Rung] = []
    total = sum(len(damage.levels(min(images.shape[2:]))) for damage in DAMAGES.values())
    for rung in ladder(images, first.points[:count], second.points[:count], embed):
        rungs.append(rung)
        call.progress(len(rungs), total, rung.words)
    dumped = [rung.model_dump(mode="json") for rung in rungs]
    write_json(call.directory / _FILE, dumped)
    return {"result": content_key(rungs=dumped)}


def read_ladder(directory: Path) -> tuple[Rung, ...]:
    """Return the rungs that an eyesight step wrote."""
    return tuple(Rung.model_validate(row) for row in json.loads((directory / _FILE).read_text()))


EYESIGHT = Kind(
    run_eyesight,
    code=(
        *BUYS,
        "ganguard.comparison.compare",
        "ganguard.comparison.embedding",
        "ganguard.comparison.eyesight",
        "ganguard.comparison.values",
        "ganguard.metrics",
        "ganguard.results.measure",
        "ganguard.results.measures",
        "ganguard.results.measures_of_codes",
        "ganguard.results.eyesight",
        "ganguard.results.records",
        "ganguard.results.whose",
        "ganguard.audit.steps.drawn",
        "ganguard.audit.steps.yardstick_files",
        "ganguard.audit.steps.eyesight",
    ),
    not_followed=IDENTITY_TELLS,
)
