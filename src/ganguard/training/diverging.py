"""A training that diverged: its loss, or a tensor of its state, is no finite number."""

from pathlib import Path

import torch
from torch import Tensor

from ganguard.base.errors import StepError
from ganguard.training.state import saved_step


def require_finite(loss: Tensor, step: int, state: Path) -> None:
    """Raise StepError if a loss after `step` is not finite. state: where the training is saved."""
    if not torch.isfinite(total := loss.sum()):
        raise diverged(f"the loss is {total.item()}", step, state)


def diverged(what: str, step: int, state: Path) -> StepError:
    """Return the error that names what went wrong at a step, and the last good state."""
    kept = saved_step(state)
    good = (
        f"The last good state is that of step {kept}, in {state}"
        if kept
        else "No state had been saved before"
    )
    return StepError(
        f"training diverged: {what} at step {step}. {good}. Lower learning_rate, or try another loss."
    )
