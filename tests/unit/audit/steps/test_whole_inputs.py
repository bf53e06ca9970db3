"""A step never reads what another wrote and somebody damaged, and a training never saves numbers gone
wrong."""

from pathlib import Path

import pytest
import torch
from plan_samples import real_step
from torch import nn

from ganguard.audit.engine.cache import finish, require_whole, step_directory
from ganguard.audit.steps.yardsticks import load_embedding
from ganguard.base.compute import Compute
from ganguard.base.errors import DataError, InputError
from ganguard.training.state import save_state


def test_a_step_of_which_a_byte_changed_is_named(tmp_path: Path) -> None:
    step = real_step()
    work = step_directory(tmp_path, step, "0" * 64, "work")
    work.mkdir(parents=True)
    (work / "data").write_bytes(b"as it was")
    directory = finish(tmp_path, step, "0" * 64, {}, 0.0).directory
    require_whole(directory)
    require_whole.cache_clear()
    (directory / "data").write_bytes(b"as it is.")
    with pytest.raises(
        DataError,
        match=r"data: damaged: its SHA-256 is not the recorded one\. Remove .* it is then done again",
    ):
        require_whole(directory)


@pytest.mark.parametrize(
    ("description", "said"),
    [
        (None, "features.json"),
        ("{}", "this key is required and missing"),
        (
            '{"settings": {"kind": "random_network"}, "channels": 1, "dimensions": 64, "held_out_accuracy": null}',
            "not the scale",
        ),
    ],
)
def test_damaged_features_are_refused_in_one_line(tmp_path: Path, description: str | None, said: str) -> None:
    if description is not None:
        (tmp_path / "features.json").write_text(description)
    (tmp_path / "scale.safetensors").write_bytes(b"\0" * 100)
    with pytest.raises(InputError, match=said) as raised:
        load_embedding(tmp_path, Compute())
    assert "\n" not in str(raised.value)


def test_a_state_with_a_number_gone_wrong_is_not_saved(tmp_path: Path) -> None:
    module, path = nn.Linear(2, 2), tmp_path / "state.safetensors"
    how = {"identity": "x", "modules": {"G": module}, "optimizers": {}, "generator": torch.Generator()}
    save_state(path, step=1, **how)  # type: ignore[arg-type]
    before = path.read_bytes()
    with torch.no_grad():
        module.weight[0, 0] = torch.inf
    with pytest.raises(ValueError, match="tensor 'G/weight' holds NaN or infinity"):
        save_state(path, step=2, **how)  # type: ignore[arg-type]
    assert path.read_bytes() == before
