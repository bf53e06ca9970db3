"""The examples: their specs are sound, and their code does what it says."""

import importlib.util
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ganguard.architectures import ARCHITECTURES
from ganguard.audit.spec.reading import read_spec
from ganguard.base.compute import Compute
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
