"""A target whose images have all brightnesses, and the adversary who wants bright ones."""

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from ganguard.attacks.protocol import Knowledge, Workspace, parse_attack, run_attack
from ganguard.base.compute import Compute
from ganguard.queries.ledger import Ledger
from ganguard.queries.metered_target import meter
from ganguard.queries.store import Store
from ganguard.targets.protocol import Discriminator

TINY = {"architecture": {"kind": "dcgan", "width": 4}, "steps": 4, "batch_size": 8, "query_budget": 200}


class BrightnessD:
    """Scores images by their mean brightness; real ones are bright."""

    def __init__(self, nan: bool = False) -> None:
        self.nan = nan

    def scores(self, images: Tensor) -> Tensor:
        scores = images.float().mean((1, 2, 3)) / 16
        return scores * float("nan") if self.nan else scores

    def features(self, images: Tensor) -> Tensor:
        return torch.stack([self.scores(images), images.float().flatten(1)[:, 0]], 1)

    def module(self) -> nn.Module:
        return nn.ParameterDict({"weight": torch.ones(1)})


class Box:
    """A black box of images of random brightness, that counts what it is asked for."""

    identity = "box"
    image_shape = (1, 8, 8)

    def __init__(self) -> None:
        self.asked = 0

    def sample(self, indices: range, *, seed: int) -> Tensor:
        self.asked += len(indices)
        levels = torch.tensor([37 * i % 200 for i in indices], dtype=torch.uint8)
        return levels.view(-1, 1, 1, 1).expand(-1, *self.image_shape).contiguous()


class WhiteBox(Box):
    def __init__(self, D: Discriminator | None = None) -> None:
        super().__init__()
        self.discriminator = D or BrightnessD()


def bright(count: int) -> Tensor:
    levels = 140 + torch.arange(count) * 7 % 60
    return levels.to(torch.uint8).view(-1, 1, 1, 1).expand(-1, 1, 8, 8).contiguous()


def judge(images: Tensor) -> float:
    return abs(images.double().mean().item() - 170)


def judge_against(held_out: Tensor) -> Callable[[Tensor], float]:
    wanted = held_out.double().mean().item()
    return lambda images: abs(images.double().mean().item() - wanted)


KNOWLEDGE = Knowledge(bright(30), judge, judge_against=judge_against)


def attack(target: Box, directory: Path, knowledge: Knowledge = KNOWLEDGE, **settings: object):
    ledger = Ledger(directory / "ledger.sqlite")
    ledger.ensure_account("adversary", 500)
    workspace = Workspace(directory, Store(directory / "store", "box", "adversary", 3), Compute())
    parsed = parse_attack({**TINY, "real_steps": 4, "judge_every": 2, **settings})
    return run_attack(meter(target, ledger, "adversary"), parsed, knowledge, workspace, seed=0)
