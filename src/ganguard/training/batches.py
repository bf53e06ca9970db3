"""The parts of a network that look at a whole batch, and how they work if several processes hold parts of
it."""

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm  # pyright: ignore[reportPrivateUsage] - the base of all of them

from ganguard.architectures.karras_layers import GROUP
from ganguard.architectures.networks import Networks
from ganguard.base.errors import SpecError
from ganguard.training.differential_privacy import PrivateTraining
from ganguard.training.guess import Guess
from ganguard.training.processes import Devices
from ganguard.training.settings import TrainingSettings


def require_shareable(settings: TrainingSettings, devices: Devices, guess: Guess | None) -> None:
    """Raise SpecError if several devices are to share batches that one process must hold whole."""
    if devices.count == 1:
        return
    if guess is not None or (
        isinstance(settings, PrivateTraining) and settings.differential_privacy is not None
    ):
        which = "differentially private training" if guess is None else "training through a guessed defence"
        raise SpecError(f"devices: {which} needs whole batches in one process. Set devices and nodes to 1.")


def share_out(networks: Networks, settings: TrainingSettings, *, processes: int, device_type: str) -> None:
    """Prepare networks for `processes` > 1, each of which holds its part of a batch: BatchNorm takes the
    statistics of the whole batch, and the groups of four that D compares stay whole.

    Raises SpecError if a batch cannot be divided so, BatchNorm would run on CPU, or a penalty needs the
    second derivative of BatchNorm.
    """
    if settings.batch_size % processes:
        raise SpecError(
            f"batch_size must be a multiple of devices x nodes, {processes}; got {settings.batch_size}."
        )
    kind, D = settings.architecture.kind, networks.discriminator
    if D is None:
        return
    if _has_batch_norm(networks.generator) or _has_batch_norm(D):
        if device_type == "cpu":
            raise SpecError(
                f"devices: {kind} has BatchNorm, which torch synchronises between GPUs only: on CPU each "
                "process would normalise by its own images. Train it in one process, or choose pggan or "
                "stylegan2."
            )
        if _has_batch_norm(D) and settings.completed().penalty != "none":
            raise SpecError(
                f"devices: a penalty needs second derivatives of {kind}'s D, which synchronised BatchNorm "
                "does not have. Set penalty: none, or train on one device."
            )
    elif not D.independent_rows and (own := settings.batch_size // processes) % GROUP:
        raise SpecError(
            f"devices: {kind}'s D compares images in groups of {GROUP}, and each group must lie in one "
            f"process. Make batch_size a multiple of {GROUP * processes}; got {settings.batch_size}, {own} "
            "for each process."
        )
    for network in (networks.generator, D):
        nn.SyncBatchNorm.convert_sync_batchnorm(network)  # works in place, by replacing the layers within


def _has_batch_norm(network: nn.Module) -> bool:
    return any(isinstance(module, _BatchNorm) for module in network.modules())
