"""Checkpoints of GANs with classes: their names, and what of them is part of which digest."""

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from ganguard.architectures.checkpoint import DESCRIPTION, load_checkpoint, read_description, save_checkpoint
from ganguard.architectures.networks import build_networks, parse_architecture
from ganguard.base.cache import content_key
from ganguard.base.errors import CheckpointError

NAMES = ("cat", "dog", "emu")


def saved(directory: Path, names: tuple[str, ...] | None = NAMES, kind: str = "acgan") -> Path:
    classes = {"classes": len(NAMES)} if names else {}
    codes = {} if kind == "flow" else {"latent_dim": 3}
    architecture = parse_architecture({"kind": kind, "width": 2, **codes, **classes})
    networks = build_networks(architecture, (1, 8, 8))
    return save_checkpoint(directory, networks, architecture, (1, 8, 8), {}, class_names=names)


def change(directory: Path, **values: Any) -> None:
    """Change what the checkpoint says; None takes a value away."""
    said = {**json.loads((directory / DESCRIPTION).read_text()), **values}
    (directory / DESCRIPTION).write_text(json.dumps({k: v for k, v in said.items() if v is not None}))


@pytest.mark.parametrize("kind", ["acgan", "biggan", "flow", "sngan", "stylegan2"])
def test_names_come_back_and_tell_targets_apart(tmp_path: Path, kind: str) -> None:
    path = saved(tmp_path / "gan", kind=kind)
    found = load_checkpoint(path)
    assert found.description.class_names == NAMES
    assert {network.classes for network in found.networks.named().values()} == {3}
    change(path, class_names=[*reversed(NAMES)])
    assert load_checkpoint(path).digest() != found.digest()


def test_without_classes_files_and_digests_are_those_of_before(tmp_path: Path) -> None:
    path = saved(tmp_path / "gan", None)
    said = json.loads((path / DESCRIPTION).read_text())
    assert [*said] == ["format", "ganguard", "architecture", "image_shape", "digests", "provenance"]
    assert said["architecture"] == {"kind": "acgan", "latent_dim": 3, "width": 2}
    of_identity = {key: said[key] for key in ("architecture", "image_shape", "digests")}
    assert load_checkpoint(path).digest() == content_key(**of_identity)
    assert read_description(path).fingerprint() == content_key(**said)


@pytest.mark.parametrize(
    ("names", "got"), [(None, 0), (["cat", "dog"], 2), ([*NAMES, "fox"], 4), (["cat", "dog", "cat"], 3)]
)
def test_names_that_do_not_fit_are_refused_in_one_line(
    tmp_path: Path, names: list[str] | None, got: int
) -> None:
    path = saved(tmp_path / "gan")
    change(path, class_names=names)
    with pytest.raises(CheckpointError, match=rf"class_names must be 3 distinct names.*got {got}") as caught:
        load_checkpoint(path)
    assert DESCRIPTION in str(caught.value)
    assert "\n" not in str(caught.value)


def test_names_of_a_gan_without_classes_are_refused(tmp_path: Path) -> None:
    path = saved(tmp_path / "gan", None)
    change(path, class_names=["cat"])
    with pytest.raises(CheckpointError, match="class_names must be 0 distinct names"):
        load_checkpoint(path)


def test_more_classes_than_weights_are_refused(tmp_path: Path) -> None:
    path = saved(tmp_path / "gan")
    architecture = {"kind": "acgan", "width": 2, "latent_dim": 3, "classes": 4}
    change(path, architecture=architecture, class_names=[*NAMES, "fox"])
    with pytest.raises(CheckpointError, match=r"tensor 'embedding\.weight' must be \(4, 32\)"):
        load_checkpoint(path)


def test_a_checkpoint_without_the_names_of_its_classes_is_not_written(tmp_path: Path) -> None:
    found = load_checkpoint(saved(tmp_path / "gan"))
    said = found.description
    with pytest.raises(ValidationError, match="class_names must be 3 distinct names"):
        save_checkpoint(tmp_path / "x", found.networks, said.architecture, said.image_shape, {})
    assert not (tmp_path / "x").exists()
