"""A training's whole state in one safetensors file, so that a killed run goes on bit for bit where it was."""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.optim import Optimizer

from ganguard.base.cache import atomic_path
from ganguard.base.errors import CheckpointError


def save_state(
    path: Path,
    *,
    identity: str,
    step: int,
    modules: dict[str, nn.Module],
    optimizers: dict[str, Optimizer],
    generator: torch.Generator,
) -> None:
    """Write step, weights, buffers, optimiser moments and random state atomically. `identity` names the training."""
    tensors: dict[str, Tensor] = {"random": generator.get_state()}
    for name, module in modules.items():
        tensors |= {f"{name}/{key}": value.contiguous() for key, value in module.state_dict().items()}
    for name, optimizer in optimizers.items():
        for index, moments in optimizer.state_dict()["state"].items():
            tensors |= {f"{name}/{index}/{key}": value.contiguous() for key, value in moments.items()}
    tensors = {key: value.clone() for key, value in tensors.items()}
    with atomic_path(path) as temporary:
        save_file(tensors, temporary, metadata={"training": json.dumps({"identity": identity, "step": step})})


def saved_step(path: Path) -> int:
    """The step whose state lies at `path`; 0 where there is none. Raises CheckpointError where the file is damaged."""
    return int(_read(path)[1]["step"]) if path.exists() else 0


def load_state(
    path: Path,
    *,
    identity: str,
    modules: dict[str, nn.Module],
    optimizers: dict[str, Optimizer],
    generator: torch.Generator,
) -> int:
    """Put a saved state into place and return its step; 0, touching nothing, where there is no file.

    Raises CheckpointError where the file is damaged or belongs to another training.
    """
    if not path.exists():
        return 0
    tensors, saved = _read(path)
    if saved.get("identity") != identity:
        raise CheckpointError(
            f"{path}: belongs to a training with other settings, data or seed. Choose another directory, or remove it."
        )
    for name, module in modules.items():
        module.load_state_dict(_below(tensors, name))
    for name, optimizer in optimizers.items():
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        state: dict[int, dict[str, Tensor]] = {}
        for key, value in _below(tensors, name).items():
            index, _, moment = key.partition("/")
            state.setdefault(int(index), {})[moment] = _laid_out_like(value, parameters[int(index)])
        optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
    generator.set_state(tensors["random"])
    return int(saved["step"])


def _laid_out_like(moment: Tensor, parameter: Tensor) -> Tensor:
    """An optimiser's moment in the memory format of its parameter: fused Adam walks both as flat memory."""
    return torch.empty_like(parameter).copy_(moment) if moment.shape == parameter.shape else moment


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - safe_open is no dict
            return tensors, json.loads((file.metadata() or {})["training"])
    except (SafetensorError, OSError, KeyError, ValueError) as problem:
        raise CheckpointError(f"{path}: not a whole training state ({problem}). Remove it to train anew.") from None


def _below(tensors: dict[str, Tensor], name: str) -> dict[str, Tensor]:
    prefix = f"{name}/"
    return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
