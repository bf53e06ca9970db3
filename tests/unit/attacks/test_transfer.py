"""Transfer of a stolen copy, or of one that exists already, to another domain."""

from pathlib import Path

import pytest
import torch
from accuracy_samples import Box
from torch import Tensor

from ganguard.architectures.checkpoint import load_checkpoint
from ganguard.attacks.protocol import Knowledge, Substitute, Workspace, parse_attack, run_attack
from ganguard.base.compute import Compute
from ganguard.base.errors import CheckpointError, DataError, SpecError
from ganguard.queries.ledger import Ledger
from ganguard.queries.metered_target import meter
from ganguard.queries.store import Store

NETWORK = {
    "architecture": {"kind": "sngan", "width": 4, "latent_dim": 4},
    "steps": 3,
    "batch_size": 8,
    "query_budget": 100,
}
TRANSFER = {"kind": "transfer", **NETWORK, "domain": "digits", "transfer_steps": 3}


def ramp(count: int, side: int = 8) -> Tensor:
    return torch.arange(count * side * side).remainder(251).to(torch.uint8).view(count, 1, side, side)


DOMAIN = Knowledge(domain_images=ramp(20))


def attack(target: Box, directory: Path, knowledge: Knowledge = DOMAIN, **settings: object) -> Substitute:
    ledger = Ledger(directory / "ledger.sqlite")
    ledger.ensure_account("adversary", 500)
    workspace = Workspace(directory, Store(directory / "store", "box", "adversary", 3), Compute())
    return run_attack(
        meter(target, ledger, "adversary"), parse_attack(settings), knowledge, workspace, seed=0
    )


@pytest.fixture(scope="module")
def stolen(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("stolen")
    return attack(Box(), directory, Knowledge(), kind="fidelity", **NETWORK).checkpoint


def test_a_copy_is_stolen_and_then_moved(tmp_path: Path, stolen: Path) -> None:
    target = Box()
    moved = attack(target, tmp_path, **TRANSFER)
    assert (target.asked, moved.queries) == (100, 100)
    assert load_checkpoint(tmp_path / "stolen" / "checkpoint").digest() == load_checkpoint(stolen).digest()
    assert load_checkpoint(moved.checkpoint).digest() != load_checkpoint(stolen).digest()


def test_a_copy_that_exists_already_gives_the_same_and_buys_nothing(tmp_path: Path, stolen: Path) -> None:
    target = Box()
    of_its_own = attack(target, tmp_path / "a", **TRANSFER)
    moved = attack(target, tmp_path / "b", **TRANSFER, substitute={"checkpoint": str(stolen)})
    assert (target.asked, moved.queries) == (100, 0)
    assert load_checkpoint(moved.checkpoint).digest() == load_checkpoint(of_its_own.checkpoint).digest()


def test_from_scratch_buys_nothing_and_begins_at_random_weights(tmp_path: Path) -> None:
    target = Box()
    found = attack(target, tmp_path, **TRANSFER, method="scratch")
    assert (target.asked, found.queries) == (0, 0)
    assert not (tmp_path / "stolen").exists()


@pytest.mark.parametrize("architecture", [{"kind": "sngan", "width": 4}, {"kind": "dcgan", "width": 4}])
@pytest.mark.parametrize("frozen", [None, 1])
def test_freeze_d_leaves_the_stages_next_to_the_image(
    tmp_path: Path, architecture: dict[str, object], frozen: int | None
) -> None:
    settings = {**TRANSFER, "architecture": architecture, "method": "freeze_d", "frozen": frozen}
    moved = load_checkpoint(attack(Box(), tmp_path, **settings).checkpoint).networks
    before = load_checkpoint(tmp_path / "stolen" / "checkpoint").networks
    stages = list(zip(before.discriminator.stages(), moved.discriminator.stages(), strict=True))
    kept = [all(map(torch.equal, a.parameters(), b.parameters())) for a, b in stages]
    assert kept == [i < (frozen or len(stages) - 1) for i in range(len(stages))]
    ends = [list(networks.discriminator.parameters())[-1] for networks in (before, moved)]
    assert not torch.equal(*ends)
    assert not all(map(torch.equal, before.generator.parameters(), moved.generator.parameters()))


class Killed(Exception):
    pass


def test_a_moved_copy_is_resumed_bit_for_bit(tmp_path: Path) -> None:
    settings = {**TRANSFER, "method": "freeze_d", "transfer_steps": 6, "checkpoint_every": 2}
    whole = attack(Box(), tmp_path / "whole", **settings)

    def kill(path: Path) -> None:
        raise Killed

    with pytest.MonkeyPatch.context() as patch, pytest.raises(Killed):
        patch.setattr(
            "ganguard.training.loop._require_finite", lambda loss, done, path: done < 5 or kill(path)
        )
        attack(Box(), tmp_path / "killed", **settings)
    resumed = attack(Box(), tmp_path / "killed", **settings)
    assert load_checkpoint(resumed.checkpoint).digest() == load_checkpoint(whole.checkpoint).digest()


@pytest.mark.parametrize(
    ("changes", "knowledge", "error", "message"),
    [
        ({}, Knowledge(), SpecError, "needs images of the domain"),
        (
            {},
            Knowledge(domain_images=ramp(3, 16)),
            DataError,
            r"\(1, 8, 8\) \(C, H, W\), those of the domain are \(1, 16, 16\)",
        ),
        (
            {"method": "freeze_d", "frozen": 2},
            DOMAIN,
            SpecError,
            "leave one to train: sngan's D has 2 stages; got 2",
        ),
        (
            {"substitute": {"checkpoint": "nowhere"}},
            DOMAIN,
            CheckpointError,
            "nowhere: holds no checkpoint.json",
        ),
    ],
)
def test_what_it_refuses_before_an_image_is_bought(
    tmp_path: Path, changes: dict[str, object], knowledge: Knowledge, error: type[Exception], message: str
) -> None:
    target = Box()
    with pytest.raises(error, match=message):
        attack(target, tmp_path, knowledge, **{**TRANSFER, **changes})
    assert target.asked == 0


def test_a_copy_of_another_architecture_is_refused(tmp_path: Path, stolen: Path) -> None:
    target = Box()
    for kind in ("transfer", "accuracy_partial_black_box"):
        settings = {
            **NETWORK,
            "kind": kind,
            "architecture": "dcgan",
            "substitute": {"checkpoint": str(stolen)},
        }
        with pytest.raises(SpecError, match="has another architecture than the substitute"):
            attack(
                target, tmp_path, DOMAIN, **settings, **({"domain": "digits"} if kind == "transfer" else {})
            )
    assert target.asked == 0


def test_labels_tell_transfers_apart() -> None:
    labels = [
        parse_attack({**TRANSFER, "method": method, "domain_images": count}).label()
        for method, count in (("fine_tune", 50), ("freeze_d", None), ("scratch", 1200))
    ]
    assert labels == [
        "transfer sngan fine-tuned, 50 images",
        "transfer sngan FreezeD, all images",
        "transfer sngan from scratch, 1,200 images",
    ]
