"""A copy that exists already is graded like the others, and nothing is bought for it."""

from collections.abc import Callable
from pathlib import Path

import pytest
from accuracy_samples import Box

from ganguard.architectures.checkpoint import load_checkpoint
from ganguard.attacks.protocol import Knowledge, Substitute, Workspace, parse_attack, run_attack
from ganguard.base.compute import Compute
from ganguard.base.errors import CheckpointError, SpecError
from ganguard.queries.ledger import Ledger
from ganguard.queries.metered_target import meter
from ganguard.queries.store import Store


def attack(target: Box, directory: Path, **settings: object) -> Substitute:
    ledger = Ledger(directory / "ledger.sqlite")
    ledger.ensure_account("adversary", 500)
    workspace = Workspace(directory, Store(directory / "store", "box", "adversary", 3), Compute())
    metered = meter(target, ledger, "adversary")
    return run_attack(metered, parse_attack(settings), Knowledge(), workspace, seed=0)


@pytest.fixture
def stolen(tmp_path: Path, tiny_checkpoint: Callable[..., Path]) -> Path:
    return tiny_checkpoint(tmp_path / "before" / "checkpoint")


def test_a_given_copy_is_taken_as_it_is(tmp_path: Path, stolen: Path) -> None:
    target = Box()
    settings = {"kind": "given", "substitute": {"checkpoint": str(stolen)}, "query_budget": 7}
    found = attack(target, tmp_path, **settings)
    assert (target.asked, found.queries) == (0, 0)
    assert load_checkpoint(found.checkpoint).digest() == load_checkpoint(stolen).digest()
    parsed = parse_attack(settings)
    assert (parsed.architecture.kind, parsed.needs().purchase) == ("sngan", 0)
    assert parsed.label() == "given copy before"


def test_a_given_copy_of_images_of_another_shape_is_refused(tmp_path: Path, stolen: Path) -> None:
    target = Box()
    target.image_shape = (1, 16, 16)
    settings = {"kind": "given", "substitute": {"checkpoint": str(stolen)}, "query_budget": 7}
    with pytest.raises(
        CheckpointError, match=r"makes images \(1, 16, 16\) \(C, H, W\), this copy \(1, 8, 8\)"
    ):
        attack(target, tmp_path, **settings)


@pytest.mark.parametrize(
    ("substitute", "message"),
    [
        ({"checkpoint": "nowhere"}, "nowhere: holds no checkpoint.json"),
        ({"checkpoint": "model.pkl"}, "looks like a pickle"),
        ("nowhere", "substitute must be {checkpoint"),
        ({}, "substitute must be {checkpoint"),
    ],
)
def test_a_given_copy_that_is_none_is_named(substitute: object, message: str) -> None:
    with pytest.raises((SpecError, CheckpointError), match=message):
        parse_attack({"kind": "given", "substitute": substitute, "query_budget": 7})
