"""A training never saves numbers gone wrong."""

from pathlib import Path

import pytest
import torch
from torch import nn

from ganguard.training.state import save_state


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
