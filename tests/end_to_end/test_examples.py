"""The examples: their specs are sound, and their code does what it says."""

import importlib.util
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ganguard.architectures import ARCHITECTURES
from ganguard.architectures.checkpoint import save_checkpoint
from ganguard.architectures.networks import build_networks, parse_architecture
from ganguard.audit.spec.reading import read_spec
from ganguard.base.compute import Compute
from ganguard.base.seeds import seeded_weights
from ganguard.targets.checkpoint import CheckpointTarget
from ganguard.targets.load import load_target, parse_target

EXAMPLES = Path(__file__).parents[2] / "examples"


def _module(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("file", sorted(EXAMPLES.glob("*.yaml")), ids=lambda file: file.stem)
def test_every_spec_is_sound(file: Path) -> None:
    name, spec = read_spec(str(file), [])
    assert name == file.stem
    assert spec.attacks
    assert f"{file.name}" in (EXAMPLES / "README.md").read_text()


@pytest.mark.parametrize("kind", sorted(ARCHITECTURES.builtin))
def test_an_exported_checkpoint_gives_the_images_of_the_checkpoint(
    tmp_path: Path, tiny_checkpoint: Callable[..., Path], kind: str
) -> None:
    checkpoint, file = tiny_checkpoint(tmp_path / "gan", kind, (3, 16, 16)), tmp_path / "g.ts"
    latent_dim = _module("export_torchscript").export(checkpoint, file)
    exported = load_target(
        parse_target({"torchscript": str(file), "latent_dim": latent_dim, "trusted": True}), Compute()
    )
    ours = CheckpointTarget(checkpoint=str(checkpoint)).load(Compute())
    assert torch.equal(exported.sample(range(10), seed=3), ours.sample(range(10), seed=3))


@pytest.mark.parametrize("kind", ["acgan", "biggan", "flow", "sngan", "stylegan2"])
def test_an_exported_checkpoint_with_classes_takes_them(tmp_path: Path, kind: str) -> None:
    codes = {} if kind == "flow" else {"latent_dim": 5}
    architecture = parse_architecture({"kind": kind, "width": 4, **codes, "classes": 3})
    with seeded_weights(0):
        networks = build_networks(architecture, (3, 16, 16))
    checkpoint = save_checkpoint(
        tmp_path / "gan", networks, architecture, (3, 16, 16), {}, class_names=("a", "b", "c")
    )
    latent_dim = _module("export_torchscript").export(checkpoint, tmp_path / "g.ts")
    said = {"torchscript": str(tmp_path / "g.ts"), "latent_dim": latent_dim, "trusted": True}
    exported = load_target(parse_target({**said, "classes": ["a", "b", "c"]}), Compute())
    ours = CheckpointTarget(checkpoint=str(checkpoint)).load(Compute())
    assert torch.equal(exported.sample(range(10), seed=3), ours.sample(range(10), seed=3))


class _Zoo(nn.Module):
    """What the zoo's G is to its users: its images may lie outside [-1, 1]."""

    def forward(self, z: Tensor) -> Tensor:
        return 3 * z[:, :48].view(-1, 3, 4, 4)


def test_the_zoo_is_asked_for_its_average_and_its_optimiser_is_let_pass(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[tuple[Any, ...]] = []

    def load(repository: str, model: str, **options: Any) -> SimpleNamespace:
        asked.append((repository, model, options))
        optimiser = torch.optim.Adam(nn.Linear(2, 2).parameters(), betas=[0, 0.99], lr=0.001)  # type: ignore[arg-type]
        assert optimiser.defaults["betas"] == (0.0, 0.99)
        return SimpleNamespace(avgG=_Zoo())

    monkeypatch.setattr("torch.hub.load", load)
    G = _module("pgan").make()
    assert asked[0][:2] == ("facebookresearch/pytorch_GAN_zoo:hub", "PGAN")
    assert G.latent_dim == 512
    assert G(torch.randn(8, 512)).abs().max() == 1
    assert torch.optim.Adam.__name__ == "Adam"


NVIDIA = """
import torch
from torch import nn


class Generator(nn.Module):
    def __init__(self, *args, **kwargs):
        super().__init__()
        self._init_args, self._init_kwargs = args, kwargs
        self.z_dim, self.c_dim = kwargs["z_dim"], kwargs["c_dim"]
        self.synthesis = nn.Module()
        self.synthesis.{part} = nn.Linear(self.z_dim + self.c_dim, 3 * 4 * 4)

    @property
    def init_args(self):
        return self._init_args

    @property
    def init_kwargs(self):
        return self._init_kwargs

    def forward(self, z, c, truncation_psi=1, *, noise_mode="random", force_fp32=False):
        assert noise_mode == "const" and force_fp32
        return 3 * self.synthesis.{part}(torch.cat([z, c], 1)).view(-1, 3, 4, 4).sin()
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("module", "part", "classes"),
    [("networks_stylegan3", "input", 0), ("networks_stylegan2", "b4", 3), ("networks", "b4", 0)],
)
def test_a_converted_stylegan_gives_the_images_of_the_published_one(
    tmp_path: Path, module: str, part: str, classes: int
) -> None:
    """In place of NVIDIA's repositories stand modules of their names. It runs in a process of its own, since
    those names would stay."""
    (tmp_path / "code" / "torch_utils").mkdir(parents=True)
    (tmp_path / "code" / "training").mkdir()
    (tmp_path / "code" / "training" / f"{module}.py").write_text(NVIDIA.format(part=part))
    script = f"""
import os, pickle, sys, torch
from pathlib import Path
sys.path[:0] = ["code", {str(EXAMPLES)!r}]
from training import {module}
import stylegan
torch.manual_seed(0)
class Settings(dict):  # as NVIDIA's EasyDict is
    pass
G = {module}.Generator(z_dim=4, c_dim={classes}, more=Settings(deep=(1, 2)))
pickle.dump({{"G_ema": G}}, open("g.pkl", "wb"))
stylegan.convert(Path("code"), Path("g.pkl"), Path("g.pt"))
os.environ.update(STYLEGAN_CODE="code", STYLEGAN_WEIGHTS="g.pt", STYLEGAN_LABEL="{min(classes, 2)}")
from ganguard.targets.load import load_target, parse_target
from ganguard.base.compute import Compute
from ganguard.base.images import to_uint8
target = load_target(parse_target({{"python": "stylegan:make", "batch": 4}}), Compute(device="cpu"))
z = target.draw_latents(range(6), seed=0)
label = torch.eye(max(1, {classes}))[[-1] * 6][:, :{classes}]
images = G(z, label, noise_mode="const", force_fp32=True).clamp(-1, 1)
assert torch.equal(target.generate(z), to_uint8(images))
"""
    ran = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
