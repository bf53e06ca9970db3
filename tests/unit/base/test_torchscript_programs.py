import warnings
from pathlib import Path

import pytest
import torch
from feature_networks import TinyFloats, save_script

from ganguard.base.errors import CheckpointError, DataError
from ganguard.base.torchscript import load_program, raised, trusted_digest


def test_a_program_comes_back_as_the_same_function(tmp_path: Path) -> None:
    network = TinyFloats()
    program = load_program(save_script(network, tmp_path / "n.pt"), CheckpointError)
    images = torch.linspace(-1, 1, 192).view(2, 3, 4, 8)
    assert torch.equal(program(images), network.eval()(images))


def test_only_the_warning_that_torch_deprecates_torchscript_is_hidden(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Warnings are errors here."""
    file = save_script(TinyFloats(), tmp_path / "n.pt")
    load_program(file, CheckpointError)
    monkeypatch.setattr(
        torch.jit, "load", lambda *args, **kwargs: warnings.warn("another", DeprecationWarning, stacklevel=1)
    )
    with pytest.raises(CheckpointError, match=r"\(another\)"):
        load_program(file, CheckpointError)


@pytest.mark.parametrize("error", [CheckpointError, DataError])
def test_the_callers_error_is_raised(tmp_path: Path, error: type[CheckpointError]) -> None:
    (tmp_path / "n.pt").write_bytes(b"no program")
    with pytest.raises(error, match=r"n\.pt: not a TorchScript file"):
        load_program(tmp_path / "n.pt", error)
    with pytest.raises(error, match=r"n\.pt: TorchScript can run code\. Set `trusted: true`"):
        trusted_digest(tmp_path / "n.pt", False, "network", error)
    with pytest.raises(error, match=r"absent: no such file\. Give the path of a TorchScript network"):
        trusted_digest(tmp_path / "absent", True, "network", error)


def test_what_a_program_raised_is_the_last_line_of_many(tmp_path: Path) -> None:
    program = load_program(save_script(TinyFloats(), tmp_path / "n.pt"), CheckpointError)
    with pytest.raises(torch.jit.Error) as caught:
        program(torch.zeros(2, 3))
    assert raised(caught.value) == "RuntimeError: AssertionError:"
    assert "\n" not in raised(caught.value)
    assert raised(ValueError()) == "ValueError"
