"""The error of a training that diverged: its loss, or a tensor of its state, is no finite number."""

from pathlib import Path

from ganguard.base.errors import StepError
from ganguard.training.state import saved_step


def diverged(what: str, step: int, state: Path) -> StepError:
    """Return the error that names what went wrong at a step, and the last good state.

    state: the file that the training is saved to.
    """
    kept = saved_step(state)
    good = (
        f"The last good state is that of step {kept}, in {state}"
        if kept
        else "No state had been saved before"
    )
    return StepError(
        f"training diverged: {what} at step {step}. {good}. Lower learning_rate, or try another loss."
    )
