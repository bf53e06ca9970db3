"""Choose the real images X_r that an adversary holds, and make the network of its judge.

The judge compares by a network of its own (see `judge`), unless the spec gives it the audit's.
"""

from pathlib import Path

import torch

from ganguard.audit.plan.adversary_work import KnownInputs, KnownSettings
from ganguard.audit.steps.call import Digests, Kind, StepCall
from ganguard.audit.steps.judge import write_judge
from ganguard.audit.steps.known_files import write_known
from ganguard.audit.steps.measurements import MEASURES, write_measurements
from ganguard.audit.steps.real import load_real
from ganguard.audit.steps.yardstick_files import Yardsticks
from ganguard.base.cache import content_key
from ganguard.comparison.compare import NEIGHBOURS, around, compare
from ganguard.comparison.embedding import load_embedding
from ganguard.data.splits import adversary_split
from ganguard.results.records import Measurement


def run_known(call: StepCall[KnownSettings, KnownInputs[Path]]) -> Digests:
    """Choose X_r for a seed, and measure it against the reference split.

    The measurements are those of an adversary that just keeps X_r.
    """
    real, fraction, seed = load_real(call.inputs.real), call.settings.real_fraction, call.settings.seed
    own, judged = adversary_split(real.train, fraction, seed=seed, groups=real.groups)
    labels = real.labels_of(own)
    digest = write_known(call.directory, real.images[own], real.images[judged], labels)
    measurements: list[Measurement] = []
    everything = real.images[torch.cat([own, judged])]
    by: dict[str, str] = {}
    if call.settings.judge != "audit":
        network = None if call.settings.judge == "own" else call.settings.judge
        by["judge"] = write_judge(
            network, call.directory, real.images[own], everything, labels, call.compute, seed=seed
        )
    if len(everything) > NEIGHBOURS:
        balls = around(load_embedding(call.inputs.features, call.compute)(everything))
        reference = Yardsticks.read(call.inputs.yardsticks).reference
        found = compare("known", balls, reference, "reference")
        measurements = [m.model_copy(update={"seed": seed, "attack": share(fraction)}) for m in found]
    dumped = write_measurements(call.directory, measurements)
    return {"result": content_key(images=digest, measurements=dumped, **by)}


def share(fraction: float) -> str:
    """Return the name of X_r in results and reports, which tells its share of the training images."""
    return f"{100 * fraction:g} % of the real training images"


KNOWN = Kind(
    run_known,
    code=(
        *MEASURES,
        "ganguard.data.splits",
        "ganguard.training.supervised",
        "ganguard.audit.steps.real",
        "ganguard.audit.steps.judge",
        "ganguard.audit.steps.judge_classes",
        "ganguard.audit.steps.known_files",
        "ganguard.audit.steps.yardstick_files",
        "ganguard.audit.steps.known",
    ),
)
