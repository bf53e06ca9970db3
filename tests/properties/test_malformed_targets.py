"""Checkpoints, programs and factories that fit what they say and are still no generators; states that fit no
training."""

import json
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from malformed_networks import IDENTITY, Training, checkpoint, signed, state
from malformed_programs import archive_of, parts_of, program
from safetensors.torch import load, save
from torch import Tensor, nn

from ganguard.base import torchscript
from ganguard.base.compute import Compute
from ganguard.base.errors import CheckpointError, TargetError
from ganguard.base.torchscript import MOST_CODE
from ganguard.targets.checkpoint import CheckpointTarget
from ganguard.targets.module import MOST_LATENTS, ModuleTarget
from ganguard.targets.programs.torchscript import TorchScriptTarget
from ganguard.targets.python_factory import PythonTarget
from ganguard.training.state import load_state


def _laid_out(directory: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (directory / name).write_bytes(content)
    return directory


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_named(tmp_path: Path, compute: Compute, value: float) -> None:
    files = dict(checkpoint())
    weights = load(files["generator.safetensors"])
    weights["to_image.bias"] = torch.full_like(weights["to_image.bias"], value)
    files = signed(files | {"generator.safetensors": save(weights)})
    with pytest.raises(
        CheckpointError, match=r"generator\.safetensors: tensor 'to_image.bias' holds NaN or infinity"
    ):
        CheckpointTarget(checkpoint=str(_laid_out(tmp_path, files))).load(compute)


def test_a_checkpoint_whose_images_are_no_numbers_is_named(tmp_path: Path, compute: Compute) -> None:
    files = dict(checkpoint())
    weights = {
        name: value * 1e30 if value.is_floating_point() else value
        for name, value in load(files["generator.safetensors"]).items()
    }
    files = signed(files | {"generator.safetensors": save(weights)})
    with pytest.raises(TargetError, match=rf"^{tmp_path}: the generator gave NaN"):
        CheckpointTarget(checkpoint=str(_laid_out(tmp_path, files))).load(compute)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            lambda t: {k: v for k, v in t.items() if "exp_avg" not in k},
            "moments are not those of the networks",
        ),
        (lambda t: {k: v for k, v in t.items() if k != "random"}, "'random'"),
        (lambda t: t | {"G/0/exp_avg": torch.zeros(5)}, "an optimiser's 0/exp_avg has shape (5,)"),
        (lambda t: t | {"random": torch.zeros(9, dtype=torch.uint8)}, "of size 5056"),
        (lambda t: t | {"random": t["random"] * 0}, "mt19937"),
        (
            lambda t: t | {"generator/weight": t["generator/weight"] * float("nan")},
            "'generator/weight' holds NaN",
        ),
    ],
)
def test_a_state_that_does_not_fit_is_refused(
    tmp_path: Path, change: Callable[[dict[str, Tensor]], dict[str, Tensor]], said: str
) -> None:
    training = json.dumps({"identity": IDENTITY, "step": 7})
    path = tmp_path / "training.safetensors"
    path.write_bytes(save(change(load(state())), {"training": training}))
    with pytest.raises(CheckpointError, match=r"training\.safetensors: not a whole training state") as caught:
        load_state(path, identity=IDENTITY, **vars(Training()))
    assert said in str(caught.value)


def test_an_untrusted_program_is_not_opened(
    tmp_path: Path, compute: Compute, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "g.pt").write_bytes(program())
    for opener in ("torch.jit.load", "zipfile.ZipFile", "ganguard.base.torchscript.file_digest"):
        monkeypatch.setattr(opener, lambda *a, **k: pytest.fail("it was opened"))
    for ask in (lambda s: s.load(compute), lambda s: s.fingerprint()):
        with pytest.raises(TargetError, match=r"g\.pt: TorchScript can run code"):
            ask(TorchScriptTarget(torchscript=str(tmp_path / "g.pt"), latent_dim=2))


def _trusted(path: Path, compute: Compute) -> ModuleTarget:
    return TorchScriptTarget(torchscript=str(path), latent_dim=2, trusted=True).load(compute)


def test_a_program_that_unpacks_to_much_more_is_refused(
    tmp_path: Path, compute: Compute, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "g.pt").write_bytes(
        archive_of({**parts_of(program()), "archive/x": bytes(MOST_CODE + (1 << 20))}, zipfile.ZIP_DEFLATED)
    )
    monkeypatch.setattr(torchscript.torch.jit, "load", lambda *a, **k: pytest.fail("it was unpacked"))
    with pytest.raises(TargetError, match=r"g\.pt: not a TorchScript file \(it unpacks to"):
        _trusted(tmp_path / "g.pt", compute)


@pytest.mark.parametrize(
    ("left", "said"),
    [
        (0, "one of its tensors is cut off"),
        (2, "one of its tensors has 4 bytes, and no part of the file has"),
    ],
)
def test_a_program_whose_weights_are_cut_off_is_refused(
    tmp_path: Path, compute: Compute, left: int, said: str
) -> None:
    """torch reads beyond the end of such a part, and the process dies."""
    (tmp_path / "g.pt").write_bytes(archive_of({**parts_of(program()), "archive/data/0": bytes(left)}))
    with pytest.raises(TargetError, match=rf"g\.pt: not a TorchScript file \({said}"):
        _trusted(tmp_path / "g.pt", compute)


class Flat(nn.Module):
    """Grey images of whatever codes; its weights are of the type that is asked for."""

    def __init__(self, kind: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(3, dtype=kind))
        self.sizes = [4, 4]

    def forward(self, z: Tensor) -> Tensor:
        return torch.tanh(z[:, :1, None, None]).expand(-1, 1, *self.sizes)


@pytest.mark.parametrize("latent_dim", [0, -1, MOST_LATENTS + 1, 2**62])
def test_codes_of_no_length_or_of_any_are_refused(compute: Compute, latent_dim: int) -> None:
    with pytest.raises(TargetError, match=f"latent_dim must be 1 to {MOST_LATENTS:,}; got {latent_dim}"):
        ModuleTarget(Flat(), latent_dim=latent_dim, identity="x", compute=compute)


def test_a_generator_that_changes_its_mind_is_refused(compute: Compute) -> None:
    flat = Flat()
    target = ModuleTarget(flat, latent_dim=2, identity="x", compute=compute)
    flat.sizes = [4, 5]
    with pytest.raises(
        TargetError, match=r"must keep the shape of its images; it gave \(1, 4, 4\) first, now \(1, 4, 5\)"
    ):
        target.sample(range(3), seed=0)


def test_weights_that_cannot_be_hashed_are_refused(
    tmp_path: Path, compute: Compute, monkeypatch: pytest.MonkeyPatch
) -> None:
    factories = {
        "half_factory": lambda: Flat(torch.bfloat16),
        "empty_factory": lambda: Flat().to("meta"),
    }
    for name, make in factories.items():
        monkeypatch.setitem(sys.modules, name, type("M", (), {"make": staticmethod(make)}))
    assert PythonTarget(python="half_factory:make", latent_dim=2).load(compute).image_shape == (1, 4, 4)
    with pytest.raises(
        TargetError,
        match=r"^empty_factory:make: the weights cannot be read \(Cannot copy out of meta tensor; no data!\)",
    ):
        PythonTarget(python="empty_factory:make", latent_dim=2).load(compute)
