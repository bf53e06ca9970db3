"""The settings of `ganguard attack`: an attack itself says whether it needs a domain."""

from typing import Literal

import pytest

from ganguard.attacks import protocol
from ganguard.attacks.fidelity import FidelitySettings, run
from ganguard.attacks.protocol import Attack
from ganguard.base.errors import SpecError
from ganguard.cli.attack_settings import attack_settings


class _Addressed(FidelitySettings):
    """An attack of another package, whose `domain` is no data set: it needs none."""

    kind: Literal["addressed"] = "addressed"  # type: ignore[assignment]
    domain: str = "example.org"


def test_a_setting_that_is_called_domain_is_no_need_for_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "attack_of", lambda kind: Attack(_Addressed, run))
    assert attack_settings("addressed", "dcgan", 9, None, []) == _Addressed.model_validate(
        {"kind": "addressed", "architecture": "dcgan", "query_budget": 9}
    )


def test_an_attack_that_needs_a_domain_asks_for_it() -> None:
    with pytest.raises(SpecError, match="transfer: the copy is moved to another domain"):
        attack_settings("transfer", "dcgan", 9, None, [])
    given = attack_settings("transfer", "dcgan", 9, None, ["domain=digits"])
    assert given.needs().domain is not None


def test_what_else_is_wrong_is_said_first() -> None:
    with pytest.raises(SpecError, match="stepz"):
        attack_settings("transfer", "dcgan", 9, None, ["stepz=3"])
