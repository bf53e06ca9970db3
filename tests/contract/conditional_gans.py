"""Conditional generators through every adapter that loads one: what a spec says of them."""

import importlib
import itertools
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ganguard.architectures.checkpoint import load_checkpoint, save_checkpoint
from ganguard.architectures.networks import build_networks, parse_architecture
from ganguard.base.seeds import seeded_weights

NAMES = ("cat", "dog", "owl")
FACTORY = """
from pathlib import Path
from ganguard.architectures.checkpoint import load_checkpoint

def make():
    networks = load_checkpoint(Path({path!r})).networks
    return networks.generator.train(), networks.discriminator.train()
"""
# It changes its labels in place, uses gradients inside, and leaves dirt in the process.
DIRTY = """
import os, random
import torch
from pathlib import Path
from ganguard.architectures.checkpoint import load_checkpoint


class Dirty(torch.nn.Module):
    latent_dim = 5

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, noise, labels):
        torch.manual_seed(0), random.seed(0)
        os.environ["LEFT_BY_A_GENERATOR"] = "yes"
        shift = torch.nn.functional.embedding(labels, torch.zeros(3, 5).requires_grad_())
        images = self.inner(noise + shift, labels)
        labels.zero_()
        return images.detach()


def make():
    return Dirty(load_checkpoint(Path({path!r})).networks.generator)
"""
NOISY = """
import torch
from pathlib import Path
from ganguard.architectures.checkpoint import load_checkpoint


class Noisy(torch.nn.Module):
    latent_dim = 5

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, z, y{argument}):
        return (self.inner(z, y) + 0.2 * {noise}).clamp(-1, 1)


def make():
    networks = load_checkpoint(Path({path!r})).networks
    return Noisy(networks.generator), networks.discriminator
"""
_NUMBERS = itertools.count()
Settings = dict[str, Any]


def conditional_checkpoint(directory: Path, seed: int = 0, names: tuple[str, ...] = NAMES) -> Path:
    """Write an untrained SNGAN of classes for grey images of 8x8 pixels, whose classes differ."""
    architecture = parse_architecture({"kind": "sngan", "width": 4, "latent_dim": 5, "classes": len(names)})
    with seeded_weights(seed):
        networks = build_networks(architecture, (1, 8, 8))
        for name, parameter in networks.generator.named_parameters():
            if "scale" in name or "shift" in name:  # a new G makes all classes alike
                nn.init.normal_(parameter, float("scale" in name), 0.5)
    return save_checkpoint(directory, networks, architecture, (1, 8, 8), {"steps": 0}, class_names=names)


def _checkpoint(gan: Path, folder: Path) -> Settings:
    return {"checkpoint": str(gan)}


def _module(text: str, folder: Path, **settings: Any) -> Settings:
    name = f"conditional_factory_{next(_NUMBERS)}"
    (folder / f"{name}.py").write_text(text)
    importlib.invalidate_caches()
    return {"python": f"{name}:make", "classes": list(NAMES), **settings}


def _python(gan: Path, folder: Path) -> Settings:
    return _module(FACTORY.format(path=str(gan)), folder)


def _dirty(gan: Path, folder: Path) -> Settings:
    return _module(DIRTY.format(path=str(gan)), folder)


def _noise(gan: Path, folder: Path) -> Settings:
    text = NOISY.format(path=str(gan), argument="", noise="torch.randn(len(z), 1, 8, 8)")
    return _module(text, folder, stochastic=True)


def _lists(gan: Path, folder: Path) -> Settings:
    noise = "torch.stack([torch.randn(1, 8, 8, generator=one) for one in generator])"
    text = NOISY.format(path=str(gan), argument=", generator", noise=noise)
    return _module(text, folder, stochastic=True)


def _example(count: int = 64) -> tuple[Tensor, Tensor]:
    return torch.zeros(count, 5), torch.arange(count) % len(NAMES)


def _generator(gan: Path) -> nn.Module:
    return load_checkpoint(gan).networks.generator.eval()


def _torchscript(gan: Path, folder: Path) -> Settings:
    path = folder / f"{gan.name}.ts"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", torch.jit.TracerWarning)
        torch.jit.save(torch.jit.trace(_generator(gan), _example()), path)
    return {"torchscript": str(path), "latent_dim": 5, "trusted": True, "classes": list(NAMES)}


def _exported(gan: Path, folder: Path) -> Settings:
    path = folder / f"{gan.name}.pt2"
    torch.export.save(torch.export.export(_generator(gan), _example()), path)
    return {"exported": str(path), "trusted": True, "classes": list(NAMES)}


def _onnx(gan: Path, folder: Path) -> Settings:
    path = folder / f"{gan.name}.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", torch.jit.TracerWarning)
        torch.onnx.export(_generator(gan), _example(), path, dynamo=False)
    return {"onnx": str(path), "classes": list(NAMES)}


def _hub(gan: Path, folder: Path) -> Settings:
    kept = folder / "hub" / f"models--owner--{gan.name}"
    commit = "0123456789abcdef" * 2 + "01234567"
    (kept / "snapshots").mkdir(parents=True, exist_ok=True)
    (kept / "refs").mkdir(exist_ok=True)
    (kept / "refs" / "main").write_text(commit)
    (kept / "snapshots" / commit).symlink_to(gan, target_is_directory=True)
    return {"hub": f"owner/{gan.name}"}


def _state_dict(gan: Path, folder: Path) -> Settings:
    """The same network by the names that mimicry gives the parts of its cGAN-PD."""
    weights = load_checkpoint(gan).networks.generator.state_dict()
    for stem in [name.removesuffix(".scale.weight") for name in weights if name.endswith(".scale.weight")]:
        both = [weights.pop(f"{stem}.{part}.weight") for part in ("scale", "shift")]
        weights[f"{stem}.embed.weight"] = torch.cat(both, 1)
        for part in ("running_mean", "running_var", "num_batches_tracked"):
            weights[f"{stem}.bn.{part}"] = weights.pop(f"{stem}.norm.{part}")
    for ours, theirs in (
        ("project", "l1"),
        ("blocks.0.shortcut", "block2.c_sc"),
        ("blocks.0.norm", "block2.b"),
        ("blocks.0.conv", "block2.c"),
        ("norm", "b3"),
        ("to_image", "c3"),
    ):
        weights = {
            theirs + name.removeprefix(ours) if name.startswith(ours) else name: value
            for name, value in weights.items()
        }
    path = folder / f"{gan.name}.pth"
    torch.save({"model_state_dict": weights}, path)
    return {"state_dict": str(path), "classes": list(NAMES)}


CONDITIONAL: dict[str, Callable[[Path, Path], Settings]] = {
    "checkpoint": _checkpoint,
    "exported": _exported,
    "hub": _hub,
    "onnx": _onnx,
    "python": _python,
    "state_dict": _state_dict,
    "torchscript": _torchscript,
}
LATENT_VARIANTS = {"python that leaves dirt": _dirty}
NOISY_VARIANTS = {"noise": _noise, "lists of generators": _lists}
