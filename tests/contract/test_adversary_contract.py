"""What every kind of adversary of a defended target keeps."""

from typing import Any

import pytest

from ganguard.audit.spec.adversaries import ADVERSARIES, adversary_labels, parse_adversaries
from ganguard.audit.spec.adversary import Adversary
from ganguard.base.errors import SpecError
from ganguard.defences.protocol import Defence, parse_chain

EVERY = {
    "naive": [{}],
    "through_defence": [{}, {"scale": 2}, {"guess": {"kind": "jpeg", "quality": 9}}],
    "averaging": [{}, {"copies": 4, "moved": 0}, {"residual": True}],
    "code_pairs": [{}, {"copies": 8}],
    "reweighting": [{}, {"scale": 0.5}, {"attribute": "thickness"}],
    "denoising": [{}, {"steps": 3}, {"width": 4}, {"scale": 2}, {"method": "noise2noise"}],
}
"""Kind -> settings, each of which makes another adversary."""
SEMANTIC = {"kind": "semantic_interpolation", "attribute": "slant", "amount": 2}
NOISE = {"kind": "gaussian_noise", "std": 0.4}
JPEG = {"kind": "jpeg", "quality": 20}
CHAINS = [
    NOISE,
    JPEG,
    SEMANTIC,
    "linear_interpolation",
    [SEMANTIC, NOISE],
    ["linear_interpolation", JPEG, NOISE],
]
MADE = [(kind, settings) for kind, every in EVERY.items() for settings in every]
UNDONE = {"code_pairs": ["linear_interpolation"], "reweighting": [SEMANTIC], "denoising": [NOISE]}
"""Kind -> the chains of one defence that it undoes; others fit all."""


def adversary(kind: str, settings: dict[str, Any]) -> Adversary:
    (found,) = parse_adversaries([{"kind": kind, **settings}])
    return found


def chain(said: object) -> tuple[Defence, ...]:
    return parse_chain(said)


def test_every_kind_is_under_contract() -> None:
    assert EVERY.keys() == ADVERSARIES.keys()


@pytest.mark.parametrize(("kind", "settings"), MADE)
def test_settings_come_back_from_json(kind: str, settings: dict[str, Any]) -> None:
    made = adversary(kind, settings)
    assert parse_adversaries([made.model_dump(mode="json")]) == (made,)
    assert hash(made) == hash(adversary(kind, settings))


def test_labels_tell_adversaries_apart_in_a_line() -> None:
    labels = adversary_labels([adversary(kind, settings) for kind, settings in MADE])
    assert len(set(labels)) == len(MADE)
    assert all(label and label.isprintable() and "#" not in label for label in labels)


@pytest.mark.parametrize("kind", EVERY)
def test_a_setting_that_is_unknown_is_refused_by_its_name(kind: str) -> None:
    with pytest.raises(SpecError, match=r"adversaries\.0\.strength: unknown key") as raised:
        parse_adversaries([{"kind": kind, "strength": 1}])
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("said", CHAINS, ids=str)
@pytest.mark.parametrize(("kind", "settings"), MADE)
def test_an_adversary_fits_a_chain_or_says_why_not(kind: str, settings: dict[str, Any], said: object) -> None:
    made, behind = adversary(kind, settings), chain(said)
    if why := made.misfit(behind):
        assert kind in UNDONE
        assert why.isprintable() and not why.endswith(".")
        return
    assert kind not in UNDONE or any(d.kind in str(UNDONE[kind]) for d in behind)
    asking, rework = made.asking(), made.rework(behind)
    assert asking is None or asking.copies >= 2
    assert rework is None or bool(rework.shifts) != bool(rework.denoiser)
    assert rework is None or made.rework(behind) == rework
    assert all(isinstance(defence, Defence) for defence in made.believes(behind))
    # What it trains through is what it bought: not both.
    assert not (rework and made.believes(behind))


@pytest.mark.parametrize("kind", UNDONE)
def test_a_defence_that_it_undoes_is_faced_and_others_are_refused_or_skipped(kind: str) -> None:
    made, skipping = adversary(kind, {}), adversary(kind, {"elsewhere": "skip"})
    assert not made.skips
    assert skipping.skips
    for said in CHAINS[:4]:
        assert bool(made.misfit(chain(said))) is (said not in UNDONE[kind])
        assert made.misfit(chain(said)) == skipping.misfit(chain(said))
