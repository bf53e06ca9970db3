"""Attacks whose copy has a projected D: it is handed what D looks at, or nothing is bought."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from ganguard.architectures.checkpoint import load_checkpoint
from ganguard.attacks.protocol import Knowledge, Workspace, parse_attack, run_attack
from ganguard.audit.steps.projecting import projecting
from ganguard.base.compute import Compute
from ganguard.base.errors import MetricError, SpecError
from ganguard.base.labels import Labels
from ganguard.cli.attack_settings import attack_knowledge
from ganguard.queries.store import Store

HOW = {"architecture": {"kind": "sngan", "width": 4}, "steps": 1, "batch_size": 4, "n_dis": 1}
RECIPE = {**HOW, "discriminator": {"kind": "projected", "features": "random_network", "width": 4}}
ATTACKS: dict[str, dict[str, Any]] = {
    "fidelity": RECIPE,
    "sorted_fidelity": RECIPE,
    "strongest": {"recipes": [RECIPE, HOW], "looks": 1},
}
KNOWN = Knowledge(
    real_images=torch.arange(6, dtype=torch.uint8).view(-1, 1, 1, 1).expand(-1, 1, 8, 8).clone(),
    real_labels=Labels(torch.arange(6) % 2, ("a", "b")),
    judge=lambda images: 0.0,
    judge_by=lambda bought, held: (lambda images: float(images.float().mean()), "told"),
)


class Greys:
    """A black box of flat images, which counts what it is asked for."""

    identity = "greys"
    image_shape = (1, 8, 8)
    asked = 0

    def sample(self, indices: range, *, seed: int) -> Tensor:
        self.asked += len(indices)
        return torch.tensor(list(indices), dtype=torch.uint8).view(-1, 1, 1, 1).expand(-1, 1, 8, 8).clone()


def run(kind: str, target: Greys, directory: Path, known: Knowledge) -> Path:
    settings = parse_attack({"kind": kind, "query_budget": 60, **ATTACKS[kind]})
    workspace = Workspace(directory, Store(directory / "store", target.identity, "adversary", 3), Compute())
    return run_attack(target, settings, known, workspace, seed=0).checkpoint


@pytest.mark.parametrize("kind", ATTACKS)
def test_d_looks_through_the_network_that_the_adversary_knows(
    kind: str, tmp_path: Path, compute: Compute
) -> None:
    target = Greys()
    made = run(kind, target, tmp_path, replace(KNOWN, project=projecting(1, compute)))
    assert target.asked == 60
    assert load_checkpoint(made).networks.generator.latent_dim > 0


@pytest.mark.parametrize("kind", ATTACKS)
def test_without_a_feature_network_nothing_is_bought(kind: str, tmp_path: Path) -> None:
    target = Greys()
    with pytest.raises(SpecError, match="no feature network for D to look through"):
        run(kind, target, tmp_path, KNOWN)
    assert target.asked == 0


def test_the_verb_gives_the_network_and_refuses_one_that_has_no_maps(compute: Compute) -> None:
    def known(network: str) -> Knowledge:
        looks = {"kind": "projected", "features": network}
        settings = parse_attack({"kind": "fidelity", "query_budget": 60, **HOW, "discriminator": looks})
        found = attack_knowledge(settings, None, "random_network", 1, compute, 0)
        assert found.project is not None and settings.discriminator is not None
        found.project(settings.discriminator)
        return found

    known("random_network")
    with pytest.raises(MetricError, match="classifier gives no feature maps"):
        known("classifier")
    plain = parse_attack({"kind": "fidelity", "query_budget": 60, **HOW})
    assert attack_knowledge(plain, None, "random_network", 1, compute, 0).project is None
