"""Every verb that computes chooses its device by itself, and takes --device."""

import inspect
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from ganguard.audit.spec.reading import presets, read_spec
from ganguard.base.compute import Compute
from ganguard.cli import main
from ganguard.cli.directions import fit
from ganguard.gateway.spec import read_gateway_spec

Cli = Callable[..., tuple[int, str, str]]
COMPUTES_NOTHING = {"report", "verdicts", "doctor"}


def test_every_verb_that_computes_takes_a_device() -> None:
    verbs = {command.callback.__name__: command.callback for command in main.app.registered_commands}  # pyright: ignore
    verbs["directions fit"] = fit
    takes = {name for name, verb in verbs.items() if "device" in inspect.signature(verb).parameters}
    assert verbs.keys() - takes == COMPUTES_NOTHING


def test_the_device_is_chosen_where_nothing_names_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert Compute().device == "auto"
    for name, text in presets().items():
        if "audits:" not in text:
            assert read_spec(name, [])[1].compute.device == "auto", name
    (tmp_path / "gateway.yaml").write_text("target: {checkpoint: there}\n")
    assert read_gateway_spec(str(tmp_path / "gateway.yaml"), []).compute.device == "auto"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert Compute().torch_device().type == "cuda"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert Compute().torch_device().type == "cpu"


@pytest.mark.parametrize("verb", [("audit", "digits", "--dry-run"), ("check", "digits"), ("serve", "g.yaml")])
def test_a_device_that_is_absent_is_refused_in_one_line(
    cli: Cli, tmp_path: Path, verb: tuple[str, ...]
) -> None:
    (tmp_path / "g.yaml").write_text("target: {checkpoint: there}\n")
    if not torch.cuda.is_available():
        code, _, err = cli(*verb, "--device", "cuda")
        assert code == 2
        assert "no CUDA device was found here: use cpu or auto" in err
        assert err.count("\n") == 1
    code, _, err = cli(*verb, "--device", "tpu")
    assert code == 2
    assert "compute.device" in err
    # --device wins over --set
    code, _, err = cli(*verb, "--set", "compute.device=cpu", "--device", "tpu")
    assert code == 2
