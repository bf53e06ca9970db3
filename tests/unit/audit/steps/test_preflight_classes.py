"""What an audit says before it trains a target if real images have other classes than a substitute learns."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ganguard.attacks.protocol import parse_attack
from ganguard.audit.plan.ground_work import NoInputs, ReadyInputs, ReadySettings, RealSettings
from ganguard.audit.steps.call import StepCall
from ganguard.audit.steps.preflight import run_ready
from ganguard.audit.steps.real import run_real
from ganguard.base.compute import Compute
from ganguard.base.errors import InputError, SpecError
from ganguard.base.progress import silent
from ganguard.data.image_folder import ImageFolder
from ganguard.targets.ask import Ask, ask_of

THREE = ("cat", "dog", "owl")
FIDELITY = {
    "kind": "fidelity",
    "architecture": {"kind": "sngan", "width": 4, "classes": 3},
    "query_budget": 60,
}
PARTIAL = {**FIDELITY, "kind": "accuracy_partial_black_box", "real_fraction": 0.5}
PLAIN = {"architecture": {"kind": "sngan", "width": 4}}


def folder(root: Path, classes: tuple[str, ...]) -> ImageFolder:
    for place, name in enumerate(classes or (".",)):
        (root / name).mkdir(parents=True, exist_ok=True)
        for number in range(30):
            pixels = np.full((8, 8), 30 * place + number, np.uint8)
            Image.fromarray(pixels).save(root / name / f"{number}.png")
    return ImageFolder(path=str(root))


def real(root: Path, name: str, classes: tuple[str, ...]) -> Path:
    """Return the directory of a real step of a folder with some classes, or without any."""
    directory = root / f"step {name}"
    directory.mkdir()
    settings = RealSettings(dataset=folder(root / name, classes), fingerprint="x")
    run_real(StepCall(settings, NoInputs(), directory, root, Compute(), silent))
    return directory


def ready(
    root: Path,
    said: dict[str, Any],
    inputs: ReadyInputs[Path],
    *,
    honest: bool = False,
    judge_learns: bool = False,
    asks: tuple[Ask, ...] = (),
) -> None:
    attack = parse_attack(said)
    domain = attack.needs().domain
    domains = (domain.dataset,) if domain else ()
    settings = ReadySettings(
        samples=10,
        attacks=(attack,),
        domains=domains,
        seeds=(0,),
        honest=honest,
        judge_learns=judge_learns,
        asks=asks,
    )
    run_ready(StepCall(settings, inputs, root, root, Compute(), silent))


@pytest.mark.parametrize(
    ("said", "honest", "classes", "message"),
    [
        (
            FIDELITY,
            True,
            (*THREE, "yak"),
            r"sngan has 3 classes, and `real`, from which an honest model of its recipe learns, has 4\. "
            r"If the target has 3 classes, leave the other classes out of `real`, or set "
            r"`independent: off`; if it has 4, set classes: 4\.$",
        ),
        (
            FIDELITY,
            True,
            (),
            r"has none\. Give images with classes, or leave `classes` out, or set `independent",
        ),
        (FIDELITY, True, ("cat", "dog"), r"If the target has 3 classes, add the missing ones to `real`"),
        (
            PARTIAL,
            False,
            (*THREE, "yak"),
            r"`real`, from which the adversary itself learns, has 4\. If the target has 3 classes, leave the "
            r"other classes out of `real`; if it has 4, set classes: 4\.$",
        ),
        (PARTIAL, False, (), r"learns, has none\. Give images with classes, or leave `classes` out\.$"),
    ],
)
def test_advice_names_who_learns_and_what_to_do_in_each_case(
    tmp_path: Path, said: dict[str, Any], honest: bool, classes: tuple[str, ...], message: str
) -> None:
    step = real(tmp_path, "real", classes)
    with pytest.raises(InputError, match=message) as refusal:
        ready(tmp_path, said, ReadyInputs(step, step), honest=honest)
    assert "\n" not in str(refusal.value)
    if said is FIDELITY:  # nobody learns from these images, so that they may be any
        ready(tmp_path, said, ReadyInputs(step, step), honest=False)
    ready(tmp_path, {**said, **PLAIN}, ReadyInputs(step, step), honest=True)


def test_an_honest_model_and_an_adversary_each_learn_from_images_of_their_own(tmp_path: Path) -> None:
    """The target may be trained on other images than the real ones that everything is compared with."""
    of_real, trained_on = real(tmp_path, "real", (*THREE, "yak")), real(tmp_path, "target", THREE)
    ready(tmp_path, PARTIAL, ReadyInputs(of_real, trained_on), honest=False)
    with pytest.raises(InputError, match="`real`, from which an honest model"):
        ready(tmp_path, PARTIAL, ReadyInputs(of_real, trained_on), honest=True)
    with pytest.raises(InputError, match=r"`target\.train\.dataset`, from which the adversary itself learns"):
        ready(tmp_path, PARTIAL, ReadyInputs(trained_on, of_real), honest=False)


@pytest.mark.parametrize(
    ("classes", "message"),
    [((), "domain: has no classes"), ((*THREE, "yak"), "domain: has 4 classes, and the copy .* learns 3")],
)
def test_a_domain_has_as_many_classes_as_a_copy_can_learn(
    tmp_path: Path, classes: tuple[str, ...], message: str
) -> None:
    of_real, domain = real(tmp_path, "real", THREE), real(tmp_path, "domain", classes)
    said = {
        **FIDELITY,
        "kind": "transfer",
        "domain": {"kind": "image_folder", "path": str(tmp_path / "domain")},
    }
    inputs = ReadyInputs(of_real, of_real, (domain,))
    with pytest.raises(InputError, match=message):
        ready(tmp_path, said, inputs)
    ready(tmp_path, {**said, **PLAIN}, inputs)


@pytest.mark.parametrize("kind", ["accuracy_partial_black_box", "accuracy_white_box"])
@pytest.mark.parametrize(("classes", "refused"), [((), True), (("cat",), True), (("cat", "dog"), False)])
def test_a_judge_that_learns_classes_is_refused_where_there_are_none(
    tmp_path: Path, kind: str, classes: tuple[str, ...], refused: bool
) -> None:
    attack = {**PARTIAL, **PLAIN, "kind": kind}
    directory = real(tmp_path, "real", classes)
    inputs = ReadyInputs(directory, directory)
    ready(tmp_path, attack, inputs)
    if not refused:
        ready(tmp_path, attack, inputs, judge_learns=True)
        return
    with pytest.raises(InputError, match=r"^judge_features: classifier learns the classes .* random_network"):
        ready(tmp_path, attack, inputs, judge_learns=True)


def test_a_judge_that_learns_no_classes_leaves_the_key_as_it_was() -> None:
    said = {"samples": 10, "attacks": (parse_attack(PARTIAL),), "domains": (), "seeds": (0,)}
    assert "judge_learns" not in ReadySettings.model_validate(said).said()
    assert ReadySettings.model_validate({**said, "judge_learns": True}).said()["judge_learns"] is True


@pytest.mark.parametrize("ask", [["cat", "cow"], {"cat": 0.5, "cow": 0.5}])
def test_a_class_that_nobody_can_be_asked_for_is_refused(tmp_path: Path, ask: object) -> None:
    directory = real(tmp_path, "real", THREE)
    inputs = ReadyInputs(directory, directory)
    ready(tmp_path, FIDELITY, inputs, asks=(ask_of(["cat", "owl"]), ask_of("spread")))
    with pytest.raises(SpecError, match=r"unknown class 'cow'.*cat, dog, owl"):
        ready(tmp_path, FIDELITY, inputs, asks=(ask_of(["cat"]), ask_of(ask)))


def test_asks_that_name_no_class_leave_the_key_as_it_was() -> None:
    said = {"samples": 10, "attacks": (parse_attack(FIDELITY),), "domains": (), "seeds": (0,)}
    assert "asks" not in ReadySettings.model_validate(said).said()
    assert ReadySettings.model_validate({**said, "asks": (ask_of(["cat"]),)}).said()["asks"]
