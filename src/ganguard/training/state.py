"""The whole state of a training in one safetensors file, so that a killed run continues bit for bit."""

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from ganguard.base.cache import write_tensors
from ganguard.base.codecs import read_tensors, require_finite
from ganguard.base.errors import CheckpointError
from ganguard.base.settings import LARGEST, one_line

MOMENTS = {"step", "exp_avg", "exp_avg_sq"}  # names of what Adam keeps about each parameter


def save_state(
    path: Path,
    *,
    identity: str,
    step: int,
    modules: dict[str, nn.Module],
    optimizers: dict[str, Optimizer],
    generator: torch.Generator,
) -> None:
    """Write the step, weights, buffers, optimiser moments and random state atomically. `identity` names the
    training.

    Raises ValueError, and keeps the state that was saved before, if a tensor holds NaN or infinity.
    """
    tensors: dict[str, Tensor] = {"random": generator.get_state()}
    for name, module in modules.items():
        tensors |= {f"{name}/{key}": value.contiguous() for key, value in module.state_dict().items()}
    for name, optimizer in optimizers.items():
        for index, moments in optimizer.state_dict()["state"].items():
            tensors |= {f"{name}/{index}/{key}": value.contiguous() for key, value in moments.items()}
    require_finite(tensors)
    tensors = {key: value.clone() for key, value in tensors.items()}
    write_tensors(path, tensors, {"training": json.dumps({"identity": identity, "step": step})})


def saved_step(path: Path) -> int:
    """Return the step of the state at `path`, or 0 if there is none. Raises CheckpointError if the file is
    damaged."""
    return _read(path)[1]["step"] if path.exists() else 0


def load_state(
    path: Path,
    *,
    identity: str,
    modules: dict[str, nn.Module],
    optimizers: dict[str, Optimizer],
    generator: torch.Generator,
) -> int:
    """Restore a saved state and return its step. If there is no file, return 0 and change nothing.

    Raises CheckpointError if the file is damaged or belongs to another training.
    """
    if not path.exists():
        return 0
    tensors, saved = _read(path)
    if saved.get("identity") != identity:
        raise CheckpointError(
            f"{path}: belongs to a training with other settings, data or seed. Choose another directory, or "
            "remove it."
        )
    try:
        for name, module in modules.items():
            module.load_state_dict(_below(tensors, name))
        for name, optimizer in optimizers.items():
            parameters = [p for group in optimizer.param_groups for p in group["params"]]
            state = _moments(_below(tensors, name), parameters)
            optimizer.load_state_dict(
                {"state": state, "param_groups": optimizer.state_dict()["param_groups"]}
            )
        generator.set_state(tensors["random"])
    except (KeyError, RuntimeError, TypeError, ValueError) as problem:
        raise _damaged(path, problem) from None
    return saved["step"]


def _moments(tensors: dict[str, Tensor], parameters: list[Tensor]) -> dict[int, dict[str, Tensor]]:
    """Return Adam's state by parameter. Parameters that a growing network did not use yet have none.

    Raises ValueError if the tensors are not what Adam keeps of some of these parameters.
    """
    known = {index for index in range(len(parameters)) if f"{index}/step" in tensors}
    state: dict[int, dict[str, Tensor]] = {index: {} for index in known}
    if tensors.keys() != {f"{index}/{moment}" for index in state for moment in MOMENTS}:
        raise ValueError("the optimisers' moments are not those of the networks")
    for key, value in tensors.items():
        index, _, moment = key.partition("/")
        parameter = parameters[int(index)]
        if value.shape != (torch.Size() if moment == "step" else parameter.shape):
            raise ValueError(f"an optimiser's {key} has shape {tuple(value.shape)}")
        state[int(index)][moment] = value if moment == "step" else _laid_out_like(value, parameter)
    return state


def _laid_out_like(moment: Tensor, parameter: Tensor) -> Tensor:
    """Return an optimiser's moment in the memory format of its parameter: fused Adam walks both as flat
    memory."""
    return torch.empty_like(parameter).copy_(moment)


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return the tensors, and a mapping with the keys identity (any JSON value) and step (a positive int)."""
    try:
        tensors, texts = read_tensors(path)
        require_finite(tensors)
        saved = json.loads(texts["training"])
        if (
            not isinstance(saved, dict)
            or type(saved.get("step")) is not int
            or not 0 < saved["step"] <= LARGEST
        ):
            raise ValueError("it does not say its step")
        return tensors, saved
    except (KeyError, ValueError, RecursionError) as problem:
        raise _damaged(path, problem) from None


def _damaged(path: Path, problem: Exception) -> CheckpointError:
    return CheckpointError(
        f"{path}: not a whole training state ({one_line(problem, 160)}). Remove it to start the training "
        "again."
    )


def _below(tensors: dict[str, Tensor], name: str) -> dict[str, Tensor]:
    prefix = f"{name}/"
    return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
