"""Pipelines of diffusers that are no targets, and settings that do not fit: each is refused in one line."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from pipelines import WEIGHTS, Saved, opened
from safetensors.torch import load_file, save_file

from ganguard.base.compute import Compute
from ganguard.base.errors import SpecError, TargetError
from ganguard.cli.options import target_of
from ganguard.targets.diffusion import files
from ganguard.targets.load import fingerprint, load_target, parse_target

SLOW = pytest.mark.slow  # the libraries take seconds to import what these need
REFUSED: list[Any] = [
    ("ddpm", {"eta": 0.0}, "eta has nothing to act on: DDPMScheduler takes none"),
    pytest.param("dit", {"eta": 0.0}, "eta has nothing to act on: DiTPipeline takes none", marks=SLOW),
    ("ddpm", {"scheduler": "nope"}, "unknown scheduler 'nope'"),
    ("ddpm", {"scheduler": "FlowMatchEulerDiscrete"}, "does not fit this pipeline, whose own is DDPM"),
    pytest.param("dit", {"scheduler": "ddpm"}, "draws noise that no generator seeds", marks=SLOW),
    ("ddpm", {"steps": 100}, "cannot be larger than"),
    ("ddpm", {"prompts": ["a"]}, "prompts has nothing to act on"),
    ("ddpm", {"labels": [0]}, "labels has nothing to act on"),
    pytest.param("dit", {"labels": [1000]}, "labels must be 0 to 999; got 1000", marks=SLOW),
    pytest.param("texts", {}, "set `prompts` to a list", marks=SLOW),
    pytest.param(
        "texts", {"prompts": ["a"], "others": {"prompt": "b"}}, "prompt has a place of its own", marks=SLOW
    ),
    pytest.param("texts", {"prompts": ["a"], "others": {"heigth": 8}}, "takes no heigth", marks=SLOW),
    ("ddpm", {"others": {"height": 8}}, "height has nothing to act on"),
    ("ddpm", {"variant": "fp16"}, "fp16"),
]


@pytest.mark.parametrize(("kind", "settings", "said"), REFUSED)
def test_what_does_not_fit_is_refused_in_one_line(
    saved: Saved, compute: Compute, kind: str, settings: dict[str, Any], said: str
) -> None:
    with pytest.raises(TargetError, match=said) as raised:
        opened(saved(kind), compute, **settings)
    assert "\n" not in str(raised.value)
    assert str(raised.value).startswith(str(saved(kind)))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"diffusers": "no-such-directory"}, "owner/name on Hugging Face's hub; there is no directory"),
        ({"diffusers": "a/b/c"}, "owner/name"),
        ({"diffusers": "a/b", "batch": 0}, "batch"),
        ({"diffusers": "a/b", "eta": 2}, "eta"),
        ({"diffusers": "a/b", "precision": "int8"}, "precision"),
        ({"diffusers": "a/b", "prompts": "absent.txt"}, "there is no file"),
        ({"diffusers": ".", "revision": "main"}, "revision has nothing to act on"),
    ],
)
def test_wrong_settings_are_said_when_a_spec_is_read(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(SpecError, match=said):
        parse_target(settings)


def test_the_command_line_knows_it() -> None:
    assert target_of("diffusers:owner/name", None, False) == parse_target({"diffusers": "owner/name"})


def _pickled(path: Path) -> None:
    torch.save(load_file(path / WEIGHTS), (path / WEIGHTS).with_suffix(".bin"))
    (path / WEIGHTS).unlink()


def _lacking(path: Path) -> None:
    tensors = load_file(path / WEIGHTS)
    del tensors["conv_in.weight"]
    save_file(tensors, path / WEIGHTS)


def _index(**changes: object) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        file = path / files.INDEX
        file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))

    return write


def _with_code(path: Path) -> None:
    _index(unet=["my_unet", "UNet"])(path)
    (path / "unet" / "my_unet.py").write_text("raise SystemExit('this code was run')")


DAMAGES: list[tuple[Callable[[Path], object], str]] = [
    (_pickled, "unet/diffusion_pytorch_model.bin: pickled weights are not read"),
    (_lacking, "its weights lack tensors"),
    (lambda path: (path / WEIGHTS).write_bytes(b"1234567890"), "diffusers cannot open it"),
    (lambda path: (path / WEIGHTS).unlink(), "diffusers cannot open it: Error no file named"),
    (lambda path: (path / files.INDEX).unlink(), r"it holds no model_index\.json"),
    (lambda path: (path / files.INDEX).write_text("[1]"), "must hold a mapping"),
    (lambda path: (path / files.INDEX).write_text("{"), "no pipeline that save_pretrained"),
    (_index(_class_name=["pipeline", "Mine"]), "a pipeline with code of its own is not run"),
    (_index(_class_name="Mine"), "none of the pipelines of diffusers"),
    (_index(_class_name="UNet2DModel"), "none of the pipelines of diffusers"),
    (_index(unet=["os", "system"]), "os.system, which is code of its own"),
    (_index(unet=["diffusers", "NoSuch"]), "has no class `NoSuch`"),
    (_with_code, "code of its own, and is not run"),
]


@pytest.mark.parametrize(("damage", "said"), DAMAGES)
def test_pickles_code_and_damages_are_refused_in_one_line(
    saved: Saved, compute: Compute, tmp_path: Path, damage: Callable[[Path], object], said: str
) -> None:
    path = shutil.copytree(saved("ddpm"), tmp_path / "pipeline")
    damage(path)
    with pytest.raises(TargetError, match=said) as raised:
        opened(path, compute)
    assert "\n" not in str(raised.value)


def test_a_file_is_no_pipeline(tmp_path: Path, compute: Compute) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"1")
    with pytest.raises(TargetError, match=r"this is a file\. Load it with diffusers"):
        opened(tmp_path / "model.safetensors", compute)


def test_a_name_on_the_hub_is_read_from_the_cache_of_its_client(
    saved: Saved, compute: Compute, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    kept = tmp_path / "models--owner--name"
    commit = "0123456789" * 4
    shutil.copytree(saved("ddim"), kept / "snapshots" / commit)
    (kept / "refs").mkdir()
    (kept / "refs" / "v1").write_text(commit)
    target = load_target(parse_target({"diffusers": "owner/name", "revision": "v1", "steps": 2}), compute)
    assert target.identity == opened(saved("ddim"), compute).identity
    (kept / "snapshots" / commit / WEIGHTS).unlink()
    for name, said in (
        ("name", "diffusers cannot open it"),
        ("absent", "no such directory, and revision 'v1'"),
    ):
        with pytest.raises(TargetError, match=f"owner/{name}: {said}") as raised:
            load_target(parse_target({"diffusers": f"owner/{name}", "revision": "v1"}), compute)
        assert "\n" not in str(raised.value)


def test_only_files_of_a_safe_kind_are_asked_of_the_hub(
    tmp_path: Path, compute: Compute, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[dict[str, Any]] = []
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))

    def download(name: str, **wanted: Any) -> str:
        asked.append({"name": name, **wanted})
        return str(tmp_path)

    monkeypatch.setattr("diffusers.DiffusionPipeline.download", download)
    with pytest.raises(TargetError, match=r"it holds no model_index\.json"):
        fingerprint(parse_target({"diffusers": "owner/name", "variant": "fp16"}))
    wanted = {"revision": "main", "variant": "fp16", "use_safetensors": True, "trust_remote_code": False}
    assert asked == [{"name": "owner/name", **wanted}]


def test_without_the_extra_it_says_what_to_install(
    saved: Saved, compute: Compute, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "diffusers.utils", None)
    with pytest.raises(TargetError, match=r"pip install 'ganguard\[diffusers\]'"):
        opened(saved("ddpm"), compute)
