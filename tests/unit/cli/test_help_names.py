"""Help texts are written by hand, so that help needs no tables: what they name must exist."""

import re
from typing import get_type_hints

from ganguard.architectures import ARCHITECTURES
from ganguard.attacks import ATTACKS
from ganguard.audit.spec.reading import presets
from ganguard.cli.attack import attack
from ganguard.cli.audit import audit
from ganguard.cli.train import train


def names_in_help(verb: object, option: str) -> set[str]:
    """Return the words in backquotes of an option's help."""
    said = get_type_hints(verb, include_extras=True)[option].__metadata__[0].help
    return set(re.findall(r"`([^`]+)`", said))


def test_train_and_attack_name_every_architecture() -> None:
    assert names_in_help(train, "architecture") == set(ARCHITECTURES.builtin)
    assert names_in_help(attack, "architecture") == set(ARCHITECTURES.builtin)


def test_attack_names_every_attack_that_trains() -> None:
    """A given or found copy is measured by audits alone."""
    assert names_in_help(attack, "kind") == set(ATTACKS.builtin) - {"found", "given"}


def test_audit_names_presets_that_ship() -> None:
    assert names_in_help(audit, "spec") - {"…-full"} < set(presets())
    quick = {name.removesuffix("-quick") for name in presets() if name.endswith("-quick")}
    assert names_in_help(audit, "quick") <= quick


def test_presets_that_audit_names_before_full_have_five_seeds() -> None:
    for name in ("digits", "digits-accuracy", "digits-defences"):
        assert f"{name}-full" in presets()
