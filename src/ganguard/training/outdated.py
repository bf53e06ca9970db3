"""A training that went on from weights which have changed since: it is done again, from the new ones."""

import shutil
from pathlib import Path

from ganguard.training.early_stopping import BEST, JUDGED
from ganguard.training.initial_weights import InitialWeights
from ganguard.training.state import saved_training


def forget_if_outdated(directory: Path, initial_weights: InitialWeights, made_in: Path) -> None:
    """Remove the state in a directory, and the looks of its judge, if its training began with other weights.

    Nothing is removed unless the new weights were made in `made_in`, by an earlier training of the same work:
    that one went on, so this one must follow. Somebody's checkpoint that differs is another training.

    Raises CheckpointError if the state is damaged.
    """
    state, checkpoint = directory / "training.safetensors", initial_weights.checkpoint
    saved = saved_training(state)
    if saved is None or checkpoint is None or not checkpoint.is_relative_to(made_in):
        return
    before = saved.identity.get("beginning") if isinstance(saved.identity, dict) else None
    if before in (None, initial_weights.digest()):
        return
    (directory / JUDGED).unlink(missing_ok=True)
    shutil.rmtree(directory / BEST, ignore_errors=True)
    state.unlink()
