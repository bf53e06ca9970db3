"""Copies that go on: `steps` raised in the directory of a finished attack, or a checkpoint to begin with."""

from dataclasses import replace
from pathlib import Path

import pytest
from accuracy_samples import KNOWLEDGE, TINY, Box, WhiteBox

from ganguard.architectures.checkpoint import load_checkpoint, read_description
from ganguard.attacks.protocol import (
    Substitute,
    Workspace,
    parse_attack,
    require_attackable,
    run_attack,
)
from ganguard.base.compute import Compute
from ganguard.base.errors import SpecError
from ganguard.queries.ledger import Ledger
from ganguard.queries.metered_target import meter
from ganguard.queries.store import Store
from ganguard.training.state import saved_step

WITH_REAL = {"real_steps": 4, "judge_every": 2}
FINE_TUNE = {"kind": "accuracy_partial_black_box", **WITH_REAL}
REFINE = {"kind": "accuracy_white_box", "refining": {"steps": 5}, **WITH_REAL}
TRANSFER = {"kind": "transfer", "domain": "digits", "transfer_steps": 2}
KNOWN = replace(KNOWLEDGE, domain_images=KNOWLEDGE.real_images)


def attack(target: Box, directory: Path, **settings: object) -> Substitute:
    ledger = Ledger(directory / "ledger.sqlite")
    ledger.ensure_account("adversary", 500)
    workspace = Workspace(directory, Store(directory / "store", "box", "adversary", 3), Compute())
    said = {key: value for key, value in {**TINY, **settings}.items() if value is not None}
    return run_attack(meter(target, ledger, "adversary"), parse_attack(said), KNOWN, workspace, seed=0)


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    made = attack(Box(), tmp_path_factory.mktemp("begun"), kind="fidelity", steps=2)
    return {"checkpoint": str(made.checkpoint)}


def digest(checkpoint: Path) -> str:
    return load_checkpoint(checkpoint).digest()


def test_a_copy_goes_on_if_steps_are_raised_and_buys_nothing_more(tmp_path: Path) -> None:
    target = Box()
    first = digest(attack(target, tmp_path, kind="fidelity").checkpoint)
    on = attack(target, tmp_path, kind="fidelity", steps=6)
    assert (target.asked, on.queries) == (200, 200)
    assert saved_step(tmp_path / "training.safetensors") == 6
    assert digest(on.checkpoint) != first


@pytest.mark.parametrize(
    ("target", "settings", "place"),
    [
        (Box, FINE_TUNE, "stolen"),
        (WhiteBox, REFINE, "generated"),
    ],
)
def test_what_follows_a_copy_that_went_on_is_done_again(
    tmp_path: Path, target: type[Box], settings: dict[str, object], place: str
) -> None:
    attack(target(), tmp_path, **settings)
    on = attack(target(), tmp_path, **settings, steps=6)
    assert saved_step(tmp_path / place / "training.safetensors") == 6
    said = read_description(on.checkpoint).provenance["training"]
    assert said["steps"] == 4  # of the training on real images
    again = attack(target(), tmp_path, **{**settings, "steps": 6, "real_steps": 8})
    assert saved_step(tmp_path / "real" / "training.safetensors") == 8
    assert again.checkpoint == on.checkpoint


@pytest.mark.parametrize(
    ("target", "settings", "decay", "first"),
    [
        (Box, FINE_TUNE, "real_ema_decay", "stolen"),
        (Box, TRANSFER, "transfer_ema_decay", "stolen"),
    ],
)
def test_the_second_training_has_an_average_of_its_own(
    tmp_path: Path, target: type[Box], settings: dict[str, object], decay: str, first: str
) -> None:
    """With a decay of almost 1 the published weights are those that the second training began with."""
    long = attack(target(), tmp_path / "long", **settings, **{decay: 1 - 1e-12})
    short = attack(target(), tmp_path / "short", **settings, **{decay: 0.0})
    begun_with = digest(tmp_path / "short" / first / "checkpoint")
    assert begun_with == digest(tmp_path / "long" / first / "checkpoint")
    stolen, kept, moved = (
        dict(load_checkpoint(place).networks.generator.named_parameters())
        for place in (tmp_path / "long" / first / "checkpoint", long.checkpoint, short.checkpoint)
    )
    assert all((kept[key] - stolen[key]).abs().max() < 1e-6 for key in stolen)
    assert any((moved[key] - stolen[key]).abs().max() > 1e-4 for key in stolen)


def test_a_moved_copy_follows_the_copy_that_went_on(tmp_path: Path) -> None:
    first = digest(attack(Box(), tmp_path, **TRANSFER).checkpoint)
    on = attack(Box(), tmp_path, **TRANSFER, steps=6)
    assert saved_step(tmp_path / "stolen" / "training.safetensors") == 6
    assert saved_step(tmp_path / "training.safetensors") == 2
    assert digest(on.checkpoint) != first


@pytest.mark.parametrize(
    ("target", "settings"),
    [
        (Box, {"kind": "fidelity"}),
        (Box, {**FINE_TUNE, "real_learning_rate": 1e-12}),
        (Box, {**FINE_TUNE, "schedule": "mix"}),
        (WhiteBox, {**REFINE, "real_learning_rate": 1e-12}),
        (Box, {**TRANSFER, "transfer_learning_rate": 1e-12}),
    ],
    ids=["fidelity", "fine-tuned", "mixed", "white box", "transfer"],
)
def test_a_copy_begins_with_a_checkpoint(
    tmp_path: Path, begun: dict[str, str], target: type[Box], settings: dict[str, object]
) -> None:
    """With a learning rate of almost nothing the copy is the checkpoint; its architecture is taken over."""
    given = {**settings, "learning_rate": 1e-12, "architecture": None, "beginning": begun}
    made = attack(target(), tmp_path, **given).checkpoint
    found, wanted = (load_checkpoint(Path(path)) for path in (made, begun["checkpoint"]))
    now, before = (dict(each.networks.generator.named_parameters()) for each in (found, wanted))
    assert found.description.architecture == wanted.description.architecture
    assert all((now[key] - before[key]).abs().max() < 1e-6 for key in before)


def test_its_adversary_has_a_model_and_no_honest_model_is_like_it(begun: dict[str, str]) -> None:
    settings = parse_attack({"kind": "fidelity", "query_budget": 9, "beginning": begun})
    assert settings.needs().knows() == ("a copy",)
    assert settings.fingerprint() is not None
    assert settings.from_scratch() == ()


def test_a_beginning_that_does_not_fit_is_refused_before_anything_is_bought(begun: dict[str, str]) -> None:
    target = Box()
    settings = parse_attack(
        {"kind": "fidelity", "query_budget": 9, "beginning": begun, "architecture": "sngan"}
    )
    with pytest.raises(SpecError, match="another architecture than the substitute"):
        require_attackable(target, settings)
    assert target.asked == 0


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({**TRANSFER, "architecture": "dcgan"}, "beginning and substitute both say what is continued"),
        ({"kind": "given"}, "beginning has nothing to act on"),
    ],
)
def test_two_beginnings_are_refused(begun: dict[str, str], settings: dict[str, object], said: str) -> None:
    with pytest.raises(SpecError, match=said):
        parse_attack({**settings, "query_budget": 9, "beginning": begun, "substitute": begun})
