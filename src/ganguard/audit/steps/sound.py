"""Refuse a broken target before anything is bought from it for an adversary, trained or defended."""

from pathlib import Path

from ganguard.audit.plan.ground_work import SoundInputs, SoundSettings
from ganguard.audit.steps.call import Digests, Kind, StepCall
from ganguard.audit.steps.measurements import read_measurements
from ganguard.base.errors import TargetError
from ganguard.results.soundness import soundness


def run_sound(call: StepCall[SoundSettings, SoundInputs[Path]]) -> Digests:
    """Raise TargetError if the target is broken, unless the user wants it audited all the same."""
    state, reason = soundness(read_measurements(call.inputs.yardsticks))
    if state == "broken" and not call.settings.accepted:
        raise TargetError(
            f"the target is broken: {reason}. Its copies would not show how well a working model can be "
            "copied. Check its weights, the range and order of its pixels, and that `real` holds images of "
            "its kind; or set even_if: target_broken (--even-if target_broken) to audit it all the same. "
            "What was bought is kept."
        )
    return {"result": state}


SOUND = Kind(
    run_sound,
    code=(
        "ganguard.base.compute",
        "ganguard.base.settings",
        "ganguard.results.measures",
        "ganguard.results.records",
        "ganguard.results.soundness",
        "ganguard.results.whose",
        "ganguard.audit.steps.measurements",
        "ganguard.audit.steps.sound",
    ),
    not_followed={
        "ganguard.results.measures:MEASURES": "what measures is in the yardsticks, whose digest is an input"
    },
)
