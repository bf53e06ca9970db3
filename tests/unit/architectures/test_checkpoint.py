import errno
import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from ganguard.architectures import checkpoint as checkpoint_module
from ganguard.architectures.checkpoint import load_checkpoint, save_checkpoint
from ganguard.base.cache import file_digest
from ganguard.base.errors import CheckpointError

Write = Callable[..., Path]


@pytest.fixture
def saved(tmp_path: Path, tiny_checkpoint: Write) -> Path:
    return tiny_checkpoint(tmp_path / "gan")


def _describe(directory: Path, **changes: object) -> None:
    path = directory / "checkpoint.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def _refused(directory: Path) -> str:
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(directory)
    return str(caught.value)


@pytest.mark.parametrize("kind", ["acgan", "biggan", "dcgan", "flow", "pggan", "sngan", "stylegan2"])
def test_weights_and_buffers_come_back_bit_for_bit(tmp_path: Path, tiny_checkpoint: Write, kind: str) -> None:
    first = load_checkpoint(tiny_checkpoint(tmp_path / "first", kind, (3, 12, 12)))
    said = first.description
    again = load_checkpoint(
        save_checkpoint(tmp_path / "again", first.networks, said.architecture, said.image_shape, {})
    )
    for name in first.networks.named():
        before, after = (getattr(found.networks, name).state_dict() for found in (first, again))
        assert before.keys() == after.keys()
        assert all(torch.equal(before[key], after[key]) for key in before)
    assert first.digest() == again.digest()


def test_networks_come_back_ready_to_be_used(saved: Path) -> None:
    found = load_checkpoint(saved)
    for module in (found.networks.generator, found.networks.discriminator):
        assert not any(part.training for part in module.modules())
        assert not any(p.requires_grad or p.is_meta for p in module.parameters())
    assert found.networks.generator(torch.zeros(2, 5)).shape == (2, 1, 8, 8)


def test_the_json_says_how_it_was_made(saved: Path) -> None:
    description = json.loads((saved / "checkpoint.json").read_text())
    assert description["architecture"] == {"kind": "sngan", "width": 4, "latent_dim": 5}
    assert description["image_shape"] == [1, 8, 8]
    assert description["provenance"] == {"steps": 0}
    assert description["digests"]["generator"] == file_digest(saved / "generator.safetensors")


def test_the_digest_is_of_the_gan_not_of_its_story(tmp_path: Path, tiny_checkpoint: Write) -> None:
    one, twin, other = (
        tiny_checkpoint(tmp_path / name, seed=seed) for name, seed in (("a", 0), ("b", 0), ("c", 1))
    )
    _describe(twin, provenance={"note": "copied"})
    digest = load_checkpoint(one).digest()
    assert digest == load_checkpoint(twin).digest()
    assert digest != load_checkpoint(other).digest()


def test_a_checkpoint_is_replaced_and_no_work_is_left_behind(tmp_path: Path, tiny_checkpoint: Write) -> None:
    before = load_checkpoint(tiny_checkpoint(tmp_path / "gan", seed=0)).digest()
    after = load_checkpoint(tiny_checkpoint(tmp_path / "gan", seed=1)).digest()
    assert before != after
    assert os.listdir(tmp_path) == ["gan"]


def test_a_failed_save_keeps_the_old_checkpoint(
    saved: Path, tiny_checkpoint: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = load_checkpoint(saved).digest()

    def full_disk(*_: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(checkpoint_module, "publish_directory", full_disk)
    with pytest.raises(OSError, match="no space"):
        tiny_checkpoint(saved, seed=1)
    assert load_checkpoint(saved).digest() == before
    assert os.listdir(saved.parent) == ["gan"]


def test_a_save_that_fails_when_it_is_in_place_keeps_a_whole_checkpoint(
    saved: Path, tiny_checkpoint: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    def published(new: Path, directory: Path) -> None:
        new.rename(directory)
        raise OSError(errno.EIO, "the parent cannot be synced")

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint_module, "publish_directory", published)
        with pytest.raises(OSError, match="synced"):
            tiny_checkpoint(saved, seed=1)
    load_checkpoint(saved)
    assert os.listdir(saved.parent) == ["gan"]


def test_what_is_no_checkpoint_is_not_replaced_by_one(tmp_path: Path, tiny_checkpoint: Write) -> None:
    (tmp_path / "gan").mkdir()
    (tmp_path / "gan" / "thesis.tex").write_text("mine")
    (tmp_path / "file").write_text("mine")
    for name, named in (("gan", "thesis.tex"), ("file", "file")):
        with pytest.raises(CheckpointError, match=f"{named} is none of its files"):
            tiny_checkpoint(tmp_path / name)
    assert (tmp_path / "gan" / "thesis.tex").read_text() == (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize("name", ["generator.safetensors", "discriminator.safetensors"])
def test_a_truncated_file_is_named(saved: Path, name: str) -> None:
    content = (saved / name).read_bytes()
    for size in (0, 4, len(content) // 2, len(content) - 1):
        (saved / name).write_bytes(content[:size])
        assert f"{name}: not a whole safetensors file" in _refused(saved)


@pytest.mark.parametrize("name", ["generator.safetensors", "discriminator.safetensors"])
def test_an_absent_file_is_named(saved: Path, name: str) -> None:
    (saved / name).unlink()
    assert f"{name}: this file is missing" in _refused(saved)


def test_weights_of_another_width_name_the_tensor_and_both_shapes(saved: Path) -> None:
    _describe(saved, architecture={"kind": "sngan", "width": 6, "latent_dim": 5})
    message = _refused(saved)
    assert "generator.safetensors: tensor 'blocks.0.conv1.bias' must be (6,)" in message
    assert "got (4,)" in message


def test_the_weights_of_another_network_are_refused(saved: Path) -> None:
    (saved / "generator.safetensors").write_bytes((saved / "discriminator.safetensors").read_bytes())
    assert "generator.safetensors: tensor" in _refused(saved)


@pytest.mark.parametrize(("remove", "add"), [("to_image.bias", None), (None, "extra")])
def test_missing_and_additional_tensors_are_named(saved: Path, remove: str | None, add: str | None) -> None:
    tensors = load_file(saved / "generator.safetensors")
    if remove:
        del tensors[remove]
    if add:
        tensors[add] = torch.zeros(1)
    save_file(tensors, saved / "generator.safetensors")
    assert f"generator.safetensors: tensor {remove or add!r} must be" in _refused(saved)


def test_changed_weights_of_the_right_shapes_are_noticed(saved: Path) -> None:
    tensors = load_file(saved / "generator.safetensors")
    tensors["to_image.bias"] += 1
    save_file(tensors, saved / "generator.safetensors")
    assert "generator.safetensors: differs from the SHA-256" in _refused(saved)


def test_a_digest_that_is_not_given_is_not_believed(saved: Path) -> None:
    _describe(saved, digests={"generator": file_digest(saved / "generator.safetensors")})
    assert "discriminator.safetensors: differs from the SHA-256" in _refused(saved)


class Bomb:
    """Unpickling this makes a directory: harmless proof that code ran."""

    def __init__(self, proof: Path) -> None:
        self.proof = proof

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.proof),)


def test_a_pickle_under_another_name_is_never_run(saved: Path, tmp_path: Path) -> None:
    proof = tmp_path / "it-ran"
    content = pickle.dumps(Bomb(proof))
    (saved / "generator.safetensors").write_bytes(content)
    _describe(saved, digests={"generator": file_digest(saved / "generator.safetensors"), "discriminator": ""})
    assert "generator.safetensors: not a whole safetensors file" in _refused(saved)
    assert not proof.exists()
    pickle.loads(content)  # the bomb is live
    assert proof.exists()


@pytest.mark.parametrize("name", ["model.pt", "model.PTH", "model.pkl", "model.ckpt"])
def test_a_pickle_by_its_name_is_refused_with_a_way_out(tmp_path: Path, name: str) -> None:
    torch.save({}, tmp_path / name)
    message = _refused(tmp_path / name)
    assert f"{name}: looks like a pickle" in message
    assert "python: module:factory" in message


@pytest.mark.parametrize(
    "make", [lambda p: None, lambda p: p.mkdir(), lambda p: p.write_text("")], ids=["absent", "empty", "file"]
)
def test_what_is_no_checkpoint_directory_is_named(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / "nothing")
    assert "nothing: holds no checkpoint.json" in _refused(tmp_path / "nothing")


def test_the_checkpoint_inside_a_trainings_directory_is_named(tmp_path: Path) -> None:
    (tmp_path / "mine" / "checkpoint").mkdir(parents=True)
    (tmp_path / "mine" / "checkpoint" / "checkpoint.json").write_text("{}")
    wanted = f"mine: holds no checkpoint.json. Give {tmp_path}/mine/checkpoint, which does, as"
    assert wanted in _refused(tmp_path / "mine")


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", b"null", b"3"])
def test_json_that_is_none_is_named(saved: Path, content: bytes) -> None:
    (saved / "checkpoint.json").write_bytes(content)
    message = _refused(saved)
    assert "checkpoint.json" in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"architecture": "sngam"}, "did you mean 'sngan'"),
        ({"architecture": {"kind": "sngan", "width": 0}}, "sngan.width"),
        ({"architecture": 3}, "unknown architecture"),
        ({"image_shape": [1, 8]}, "image_shape"),
        ({"image_shape": [1, 9, 9]}, "must be (100,) for the architecture"),
        ({"image_shape": [1, 8, 12]}, "for the architecture"),
        ({"image_shape": [5, 8, 8]}, "1 to 4 channels"),
        ({"image_shape": [-1, 8, 8]}, "checkpoint.json"),
        ({"image_shape": [0, 8, 8]}, "checkpoint.json"),
        ({"format": 2}, "format"),
        ({"digests": {"critic": "0"}}, "digests"),
        ({"surprise": 1}, "surprise"),
    ],
)
def test_json_that_says_something_else_is_named(saved: Path, changes: dict[str, object], said: str) -> None:
    _describe(saved, **changes)
    message = _refused(saved)
    assert "checkpoint.json" in message
    assert said in message


def test_a_description_too_large_for_memory_is_refused_before_it_is_allocated(saved: Path) -> None:
    """A width of a hundred million would want petabytes."""
    _describe(saved, architecture={"kind": "sngan", "width": 10**8, "latent_dim": 5})
    assert "must be" in _refused(saved) or "checkpoint.json" in _refused(saved)
