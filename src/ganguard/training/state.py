"""The whole state of a training in one safetensors file, so that a killed run continues bit for bit."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from ganguard.base.cache import write_tensors
from ganguard.base.codecs import read_tensors, require_finite
from ganguard.base.errors import CheckpointError
from ganguard.base.settings import Positive, Rows, Settings, json_of, one_line
from ganguard.training.course import CoursePart

MOMENTS = {"step", "exp_avg", "exp_avg_sq"}  # names of what Adam keeps about each parameter
Identity = str | dict[str, Any]
"""JSON that names a training: what it depends on, by the name of each part."""


class SavedTraining(Settings):
    """What a state says of its training beside its tensors.

    Attributes:
        identity: the training.
        step: the finished updates of G.
        parts: how these were computed; see `Course`.
    """

    identity: Any = None
    step: Positive
    parts: Rows[CoursePart] = ()


def save_state(
    path: Path,
    *,
    identity: Identity,
    step: int,
    modules: dict[str, nn.Module],
    optimizers: dict[str, Optimizer],
    generator: torch.Generator,
    parts: Sequence[CoursePart] = (),
) -> None:
    """Write the step, weights, buffers, optimiser moments and random state atomically.

    Args:
        path: the file.
        identity: names the training.
        step: finished updates of G.
        modules: the networks, by name.
        optimizers: the optimisers, by name.
        generator: the source of the random numbers.
        parts: how the steps were computed.

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
    said = SavedTraining(identity=identity, step=step, parts=tuple(parts)).model_dump(mode="json")
    write_tensors(path, tensors, {"training": json.dumps(said)})


def saved_step(path: Path) -> int:
    """Return the step of the state at `path`, or 0 if there is none. Raises CheckpointError if the file is
    damaged."""
    found = saved_training(path)
    return found.step if found else 0


def saved_training(path: Path, identity: Identity | None = None) -> SavedTraining | None:
    """Return what the state at `path` says of its training, or None if there is none.

    Raises CheckpointError if the file is damaged, or is of another training than `identity` names.
    """
    return _read(path, identity)[1] if path.exists() else None


def load_state(
    path: Path,
    *,
    identity: Identity,
    modules: dict[str, nn.Module],
    optimizers: dict[str, Optimizer],
    generator: torch.Generator,
) -> int:
    """Restore a saved state and return its step. If there is no file, return 0 and change nothing.

    Raises CheckpointError if the file is damaged or belongs to another training.
    """
    if not path.exists():
        return 0
    tensors, saved = _read(path, identity)
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
    return saved.step


def _of_another(path: Path, differing: Sequence[str]) -> CheckpointError:
    if differing and all(name.startswith("differential_privacy.") for name in differing):
        return CheckpointError(
            f"{path}: the noise of a differentially private training is chosen for all its steps, so it "
            "cannot go on for more. Choose another directory."
        )
    what = f" ({one_line(', '.join(differing), 200)})" if differing else ""
    return CheckpointError(
        f"{path}: belongs to a training with other settings, data or seed{what}. Choose another directory, "
        "or remove it."
    )


def _differing(saved: object, wanted: Identity) -> list[str]:
    """Return the names of what differs between two identities; none if one does not say its parts, as states
    of earlier versions."""
    if not isinstance(saved, dict) or not isinstance(wanted, dict):
        return []
    before, now = (_flat(cast(Mapping[str, Any], identity)) for identity in (saved, wanted))
    return sorted(name for name in before.keys() | now.keys() if before.get(name) != now.get(name))


def _flat(identity: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parts of an identity by name, and those of a mapping among them by both names."""
    found = dict[str, Any]()
    for name, value in identity.items():
        inner = cast(Mapping[str, Any], value).items() if isinstance(value, Mapping) else ()
        found |= {f"{name}.{key}": each for key, each in inner} if inner else {name: value}
    return found


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


def _read(path: Path, identity: Identity | None) -> tuple[dict[str, Tensor], SavedTraining]:
    """Return the tensors, and what the state says of its training, which must be that of `identity`."""
    try:
        tensors, texts = read_tensors(path)
        require_finite(tensors)
        saved = SavedTraining.model_validate(json_of(texts["training"].encode()))
    except (KeyError, ValueError, RecursionError) as problem:
        raise _damaged(path, problem) from None
    if identity is not None and saved.identity != identity:
        raise _of_another(path, _differing(saved.identity, identity))
    return tensors, saved


def _damaged(path: Path, problem: Exception) -> CheckpointError:
    return CheckpointError(
        f"{path}: not a whole training state ({one_line(problem, 160)}). Remove it to start the training "
        "again."
    )


def _below(tensors: dict[str, Tensor], name: str) -> dict[str, Tensor]:
    prefix = f"{name}/"
    return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
