"""What each attack declares that it needs, and what its adversary knows."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from ganguard.attacks.protocol import AttackSettings, Domain, Needs, parse_attack
from ganguard.base.errors import DataError
from ganguard.data.dataset import parse_dataset

NETWORK = {"architecture": "sngan", "query_budget": 20, "steps": 30}
REAL = {"real_fraction": 0.2, "real_steps": 5}
MOVED = {"kind": "transfer", "domain": "digits", "domain_images": 9, "transfer_steps": 7}
DOMAIN = Domain(parse_dataset("digits"), 9)


def attack(**settings: Any) -> AttackSettings:
    return parse_attack({**NETWORK, **settings})


STOLEN = attack(kind="fidelity")


@pytest.mark.parametrize(
    ("settings", "needs", "knows"),
    [
        ({"kind": "fidelity"}, Needs(purchase=20), ()),
        (
            {"kind": "accuracy_partial_black_box", **REAL},
            Needs(purchase=20, real_fraction=0.2, stolen=STOLEN),
            ("real images",),
        ),
        (
            {"kind": "accuracy_partial_black_box", **REAL, "schedule": "mix"},
            Needs(purchase=20, real_fraction=0.2),
            ("real images",),
        ),
        (
            {"kind": "accuracy_white_box", **REAL},
            Needs(purchase=20, real_fraction=0.2, discriminator=True),
            ("real images", "discriminator"),
        ),
        (MOVED, Needs(purchase=20, domain=DOMAIN, stolen=STOLEN), ("another domain",)),
        (
            {**MOVED, "method": "freeze_d"},
            Needs(purchase=20, domain=DOMAIN, stolen=STOLEN),
            ("another domain",),
        ),
        ({**MOVED, "method": "scratch"}, Needs(domain=DOMAIN), ("another domain",)),
    ],
)
def test_what_each_attack_needs(settings: dict[str, Any], needs: Needs, knows: tuple[str, ...]) -> None:
    assert attack(**settings).needs() == needs
    assert needs.knows() == knows


@pytest.mark.parametrize("settings", [{"kind": "given"}, {"kind": "accuracy_partial_black_box"}, MOVED])
def test_for_a_copy_that_exists_already_nothing_is_bought_and_none_is_stolen(
    settings: dict[str, Any], tmp_path: Path, tiny_checkpoint: Callable[..., Path]
) -> None:
    copy = tiny_checkpoint(tmp_path / "copy")
    found = attack(**settings, substitute={"checkpoint": str(copy)})
    needs = found.needs()
    assert (needs.purchase, needs.stolen, needs.copy) == (0, None, copy)
    assert "a copy" in needs.knows()
    before = found.fingerprint()
    assert before is not None
    tiny_checkpoint(copy, seed=1)
    assert found.fingerprint() != before


def test_an_attack_that_names_no_file_has_no_fingerprint() -> None:
    assert STOLEN.fingerprint() is None


@pytest.mark.parametrize(
    ("settings", "copy_at_hand", "steps"),
    [
        ({"kind": "fidelity"}, False, 30),
        ({"kind": "accuracy_partial_black_box", **REAL}, True, 5),
        ({"kind": "accuracy_partial_black_box", **REAL}, False, 35),
        ({"kind": "accuracy_white_box", **REAL}, False, 35),
        (MOVED, True, 7),
        (MOVED, False, 7),
    ],
)
def test_about_how_long_it_trains(settings: dict[str, Any], copy_at_hand: bool, steps: int) -> None:
    assert attack(**settings).training_steps(copy_at_hand=copy_at_hand) == steps


@pytest.mark.parametrize("count", [None, 3, 5])
def test_images_of_a_domain_are_chosen_among_its_training_images(count: int | None) -> None:
    images, train = torch.arange(9).view(9, 1, 1, 1), torch.tensor([0, 2, 4, 6, 8])
    chosen = images[Domain(parse_dataset("digits"), count).chosen(train, seed=3)].flatten()
    assert len(chosen) == len(chosen.unique()) == (count or 5)
    assert set(chosen.tolist()) <= set(train.tolist())


def test_more_images_of_a_domain_than_there_are_are_refused() -> None:
    with pytest.raises(DataError, match=r"at most .* 5"):
        Domain(parse_dataset("digits"), 6).chosen(torch.arange(5), seed=0)
