"""A target with classes, and the models beside it: what is refused before an image is bought."""

from pathlib import Path

import pytest
from accuracy_samples import Box

from ganguard.attacks.protocol import AttackSettings, parse_attack
from ganguard.audit.plan.ground_work import FitInputs, FitSettings
from ganguard.audit.steps.call import StepCall
from ganguard.audit.steps.fit_classes import require_classes, require_model_classes
from ganguard.base.compute import Compute
from ganguard.base.errors import DataError, SpecError
from ganguard.base.progress import silent
from ganguard.targets.ask import Ask
from ganguard.targets.conditions import Conditions


class Asked(Box):
    def __init__(self, *names: str, kind: str = "classes") -> None:
        super().__init__()
        self.conditions = Conditions(names=names, kind=kind)  # pyright: ignore[reportArgumentType]


def fit(target: Box, real: tuple[str, ...], *attacks: AttackSettings, honest: bool = False) -> None:
    inputs = FitInputs(Path("real"), Path("target"))
    settings = FitSettings(attacks=attacks, fingerprints=(), honest=honest)
    require_classes(StepCall(settings, inputs, Path(), Path(), Compute(), silent), real, target)


def test_honest_models_learn_what_the_target_can_be_asked_for() -> None:
    texts = Asked("an owl", "two dogs", kind="prompts")
    fit(texts, ("dog", "owl"), honest=False)
    fit(Asked("dog", "owl", kind="prompts"), ("owl", "dog"), honest=True)
    fit(Box(), ("owl", "dog"), honest=True)
    with pytest.raises(
        DataError, match=r"'dog, owl', and the target can be asked for 'an owl, two dogs'\. Set"
    ):
        fit(texts, ("dog", "owl"), honest=True)


def test_an_adversarys_real_images_have_classes_and_not_texts_of_the_target() -> None:
    """There are equally many, so that their number tells nothing."""
    said = {"kind": "accuracy_partial_black_box", "query_budget": 60}
    knowing = parse_attack({**said, "architecture": {"kind": "sngan", "width": 4, "classes": 2}})
    plain = parse_attack({**said, "architecture": {"kind": "sngan", "width": 4}})
    texts = Asked("an owl", "two dogs", kind="prompts")
    fit(texts, ("dog", "owl"), plain)
    fit(Asked("dog", "owl"), ("owl", "dog"), knowing)
    with pytest.raises(
        DataError, match=r"real: has images of class 'dog' and 1 others, .* sngan with 2 classes"
    ):
        fit(texts, ("dog", "owl"), knowing)


def test_audits_without_classes_keep_their_keys() -> None:
    assert "honest" not in FitSettings(attacks=(), fingerprints=()).said()
    assert FitSettings(attacks=(), fingerprints=(), honest=True).said()["honest"] is True


def test_a_model_beside_the_target_has_its_classes_and_can_be_asked_like_it() -> None:
    target, ask = Asked("cat", "dog"), Ask(only=("cat",))
    require_model_classes("reference", Asked("dog", "cat"), target, ask, "Name another.")
    require_model_classes("reference", Box(), target, ask, "Name another.")
    require_model_classes("reference", Asked("x"), Box(), None, "Name another.")
    message = "reference has the classes 'x, cat', and the target has 'cat, dog'. Name another."
    with pytest.raises(SpecError) as refusal:
        require_model_classes("reference", Asked("x", "cat"), target, ask, "Name another.")
    assert str(refusal.value) == message
    with pytest.raises(SpecError, match="unknown class 'cat'"):
        require_model_classes("reference", Asked("x"), Box(), ask, "Name another.")
