"""Targets with noise, and pipelines: what a spec says of them, once their files are written to a folder."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pipelines
import torch

FACTORY = """
import torch
from torch import nn


class G(nn.Module):
    latent_dim = 3

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 64)
        with torch.no_grad():
            self.layer.weight.copy_(torch.sin(torch.arange(192.0)).view(64, 3))
            self.layer.bias.zero_()

    def forward(self, z{argument}):
        return (self.layer(z).view(-1, 1, 8, 8) + {noise}).tanh()


class D(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(64, 1)
        nn.init.constant_(self.layer.weight, 0.1)
        nn.init.zeros_(self.layer.bias)

    def forward(self, images):
        return self.layer(self.features(images))

    def features(self, images):
        return images.flatten(1)


def make():
    return G(), D()
"""
Settings = dict[str, Any]


def _python(folder: Path, name: str, **texts: str) -> Settings:
    said = {"argument": "", "noise": "torch.randn(len(z), 1, 8, 8)", **texts}
    (folder / f"{name}.py").write_text(FACTORY.format(**said))
    return {"python": f"{name}:make", "stochastic": True}


def _lists(folder: Path) -> Settings:
    noise = "torch.stack([torch.randn(1, 8, 8, generator=one) for one in generator])"
    return _python(folder, "noisy_contract_lists", argument=", generator", noise=noise)


def _program(folder: Path) -> Settings:
    class G(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = torch.nn.Linear(3, 64)

        def forward(self, z: torch.Tensor) -> torch.Tensor:
            return (self.layer(z) + torch.randn(64)).tanh().view(-1, 1, 8, 8)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.save(torch.jit.trace(G(), torch.zeros(1, 3), check_trace=False), folder / "g.ts")
    return {"torchscript": str(folder / "g.ts"), "latent_dim": 3, "trusted": True, "stochastic": True}


def _pipeline(folder: Path, **settings: Any) -> Settings:
    path = folder / "pipeline"
    return {
        "diffusers": str(path if path.exists() else pipelines.unconditional(path)),
        "steps": 2,
        **settings,
    }


def _texts(folder: Path) -> Settings:
    return {"diffusers": str(pipelines.texts(folder / "texts")), "steps": 2, "prompts": ["a cat", "b"]}


KINDS: dict[str, Callable[[Path], Settings]] = {
    "noise": lambda folder: _python(folder, "noisy_contract"),
    "lists of generators": _lists,
    "program with noise": _program,
    "pipeline with noise": _pipeline,
    "pipeline": lambda folder: _pipeline(folder, scheduler="ddim"),
    "pipeline of texts": _texts,
}
