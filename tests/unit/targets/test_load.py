from pathlib import Path

import pytest

from ganguard.base.errors import SpecError
from ganguard.targets.checkpoint import CheckpointTarget
from ganguard.targets.load import parse_target
from ganguard.targets.programs.torchscript import TorchScriptTarget
from ganguard.targets.python_factory import PythonTarget


def test_the_key_names_the_kind() -> None:
    assert parse_target({"python": "m:f"}) == PythonTarget(python="m:f")
    assert isinstance(parse_target({"checkpoint": "a"}), CheckpointTarget)
    assert isinstance(parse_target({"torchscript": "a", "latent_dim": 3}), TorchScriptTarget)


def test_settings_pass_through() -> None:
    settings = PythonTarget(python="m:f")
    assert parse_target(settings) is settings


def test_paths_are_made_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert parse_target({"checkpoint": "run"}).checkpoint == str(tmp_path.resolve() / "run")
    assert parse_target({"torchscript": "g.ts", "latent_dim": 3}).torchscript == str(
        tmp_path.resolve() / "g.ts"
    )


KINDS = (
    "checkpoint, diffusers, exported, http, hub, images, onnx, openai, python, state_dict, torchscript, url"
)


@pytest.mark.parametrize("value", ["digits", None, 3, ["checkpoint"]])
def test_what_is_no_mapping_lists_the_kinds(value: object) -> None:
    with pytest.raises(
        SpecError,
        match=f"one of {KINDS}",
    ):
        parse_target(value)


def test_an_unknown_kind_names_the_nearest() -> None:
    with pytest.raises(SpecError, match=r"unknown target 'chekpoint'; did you mean 'checkpoint'\?"):
        parse_target({"chekpoint": "a"})


def test_no_kind_lists_the_kinds() -> None:
    with pytest.raises(
        SpecError,
        match=f"Known: {KINDS}",
    ):
        parse_target({})


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"checkpoint": "a", "latent_dim": 3}, r"target\.latent_dim: unknown key"),
        ({"python": "m:f", "latent_dim": 0}, r"target\.latent_dim: .*greater than 0; got 0"),
        ({"python": "m"}, r"""target\.python: must be "module:factory"; got 'm'"""),
        ({"torchscript": "a"}, r"target: must have `latent_dim`, the entries of a code"),
        ({"checkpoint": "a", "python": "m:f"}, "unknown key"),
    ],
)
def test_wrong_settings_are_named(value: dict[str, object], said: str) -> None:
    with pytest.raises(SpecError, match=said):
        parse_target(value)
