"""An audit of a GAN that is asked for a digit: numbers, pictures and purchases know what was asked for."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch

from ganguard.architectures.checkpoint import save_checkpoint
from ganguard.architectures.networks import build_networks, parse_architecture
from ganguard.audit.run import audit
from ganguard.audit.spec.spec import Spec
from ganguard.audit.steps.purchase import adversary_account
from ganguard.audit.steps.purchase_files import store_directory
from ganguard.base.codecs import encode_png
from ganguard.base.errors import InputError
from ganguard.base.seeds import seeded_weights
from ganguard.base.settings import parse
from ganguard.data.dataset import load_dataset, parse_dataset
from ganguard.queries.store import Store
from ganguard.results.records import AuditResults, read_results
from ganguard.targets.ask import Ask

DIGITS = tuple("0123456789")
KNOWING = {"kind": "sngan", "width": 8, "classes": 10}
ATTACK = {
    "kind": "fidelity",
    "architecture": KNOWING,
    "query_budget": 300,
    "steps": 8,
    "batch_size": 16,
    "n_dis": 1,
}
PLAIN = {**ATTACK, "architecture": {"kind": "sngan", "width": 8}}
RARE = {**ATTACK, "ask": [8, 9]}
WHITE_BOX = {**ATTACK, "kind": "accuracy_white_box", "real_steps": 4, "judge_every": 4}
TRAINED = {"dataset": "digits", "architecture": KNOWING, "steps": 10, "batch_size": 16, "n_dis": 1}
SPEC: dict[str, Any] = {
    "target": {"train": TRAINED},
    "real": "digits",
    "features": {"kind": "classifier", "steps": 60},
    "attacks": [PLAIN, ATTACK, RARE, WHITE_BOX],
    "seeds": [0, 1],
    "samples": 300,
    "even_if": "target_broken",
}
LABEL = "fidelity sngan with labels"


def run(directory: Path, **changes: object) -> AuditResults:
    spec = parse(Spec, {**SPEC, **changes}, "spec")
    return audit("conditional", spec, directory, processes=1, listener=lambda event: None)


@pytest.fixture(scope="module")
def audited(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("conditional")
    run(directory)
    return directory


@pytest.mark.slow
def test_results_say_what_can_be_asked_for_and_how_each_attack_asks(audited: Path) -> None:
    results = read_results(audited)
    assert results.target.conditions is not None
    assert results.target.conditions.names == DIGITS
    asks = {attack.label: (attack.labels, attack.ask and attack.ask.label) for attack in results.attacks}
    assert asks == {
        "fidelity sngan": (False, "uniformly"),
        LABEL: (True, "uniformly"),
        f"{LABEL}, asks only 8, 9": (True, "only 8, 9"),
        "accuracy white box sngan with labels, 10 % real": (True, "uniformly"),
    }
    assert results.failures == ()


@pytest.mark.slow
def test_numbers_by_class_are_there_for_copies_that_can_be_asked(audited: Path) -> None:
    results = read_results(audited)
    of_target = results.select(subject="target", metric="intra_fd", against="target")
    assert {m.condition for m in of_target} == {None, *DIGITS}
    knowing = results.select(attack=LABEL, seed=0, defence=None, metric="intra_fd", against="target")
    assert {m.condition for m in knowing} == {None, *DIGITS}
    assert len({m.draw for m in knowing}) == 2
    mean = [m.value for m in knowing if m.condition is None and m.draw == 0]
    by_class = [m.value for m in knowing if m.condition and m.draw == 0]
    assert mean == pytest.approx([sum(by_class) / 10])
    assert results.select(attack="fidelity sngan", metric="intra_fd") == []
    for label in ("fidelity sngan", LABEL):
        assert results.select(attack=label, metric="class_coverage", against="target")
    assert results.select(attack=LABEL, metric="class_consistency")
    assert results.select(attack="fidelity sngan", metric="class_consistency") == []


@pytest.mark.slow
def test_honest_models_that_know_labels_are_measured_by_class_too(audited: Path) -> None:
    results = read_results(audited)
    within = results.select(subject="independent", metric="intra_fd")
    assert {m.recipe for m in within} == {"sngan with labels"}
    for against in ("target", "reference"):
        assert {m.condition for m in within if m.against == against} == {None, *DIGITS}
    assert {m.draw for m in within} == {0, 1}
    assert {m.recipe for m in results.select(subject="independent", metric="class_consistency")} == {
        "sngan with labels"
    }


@pytest.mark.slow
def test_whether_labels_help_is_judged_at_equal_budget(audited: Path) -> None:
    found = [v for v in read_results(audited).verdicts if v.relation == "R8"]
    assert len(found) == 1
    assert LABEL in found[0].statement
    assert found[0].seeds == 2


@pytest.mark.slow
def test_each_way_to_ask_has_a_purchase_of_its_own(audited: Path) -> None:
    results = read_results(audited)
    stores = [Store.open(path) for path in sorted((audited / "purchases").iterdir())]
    bought = [store for store in stores if "adversary" in store.account]
    assert len(bought) == 2 * 2  # seeds, ways to ask
    for store in bought:
        found = Counter(store.read_conditions(300))
        assert store.ask is not None
        assert set(found) == ({"8", "9"} if store.ask.only else set(DIGITS))
    plain = adversary_account(results.target.identity, 0, "provider")
    rare = adversary_account(results.target.identity, 0, "provider", ask=Ask(only=("8", "9")))
    both = [Store.open(store_directory(audited, account)) for account in (plain, rare)]
    assert not torch.equal(both[0].read(100), both[1].read(100))
    assert sum(a.bought for a in results.accounts if a.role == "adversary") == 4 * 300
    assert {a.ask and tuple(a.ask["only"]) for a in results.accounts} == {None, ("8", "9")}


@pytest.mark.slow
def test_pictures_by_class_stand_beside_the_grids(audited: Path) -> None:
    by_class = [picture for picture in read_results(audited).pictures if picture.rows]
    assert {picture.subject for picture in by_class} == {"real", "target", "substitute"}
    assert all(picture.rows == DIGITS and (audited / picture.file).is_file() for picture in by_class)


@pytest.mark.slow
def test_a_second_run_computes_nothing_again(audited: Path) -> None:
    before = (audited / "results.json").read_bytes()
    run(audited)
    assert (audited / "results.json").read_bytes() == before


@pytest.fixture(scope="module")
def conditional(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of an untrained GAN that is asked for a, b or c."""
    architecture = parse_architecture({"kind": "sngan", "width": 4, "latent_dim": 5, "classes": 3})
    with seeded_weights(0):
        networks = build_networks(architecture, (1, 8, 8))
    directory = tmp_path_factory.mktemp("gan") / "checkpoint"
    return save_checkpoint(directory, networks, architecture, (1, 8, 8), {}, class_names=("0", "1", "x"))


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("shared")


SMALL = {"features": "random_network", "seeds": [0], "samples": 50}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"ask": {"0": 0.5, "1": 0.4}}, "add up to 1; they add up to 0.9"),
        ({"ask": ["cat"]}, "unknown class 'cat'"),
        ({"attacks": [{**PLAIN, "ask": ["cat"]}]}, "unknown class 'cat'"),
        ({"target": {"train": {**TRAINED, "architecture": {**KNOWING, "classes": 7}}}}, "classes: 10"),
        ({"attacks": [{**ATTACK, "architecture": {**KNOWING, "classes": 7}}]}, "classes: 10"),
    ],
)
def test_what_a_conditional_target_cannot_be_asked_is_refused_in_one_line(
    shared: Path, changes: dict[str, Any], said: str
) -> None:
    short = {"target": {"train": {**TRAINED, "steps": 1}}, "attacks": [PLAIN]}
    with pytest.raises(InputError, match=said) as refusal:
        run(shared, **{**SMALL, **short, **changes})
    assert len(str(refusal.value).splitlines()) == 1
    assert not (shared / "purchases").exists()


def test_a_class_that_the_real_images_lack_is_refused(conditional: Path, tmp_path: Path) -> None:
    target = {"checkpoint": str(conditional)}
    with pytest.raises(InputError, match="real: has no images of class 'x'"):
        run(tmp_path, target=target, attacks=[PLAIN], **SMALL)
    assert not (tmp_path / "purchases").exists()


def test_a_substitute_with_classes_of_a_target_without_is_refused(
    tmp_path: Path, tiny_checkpoint: Any
) -> None:
    target = {"checkpoint": str(tiny_checkpoint(tmp_path / "gan"))}
    for attack, said in (({**ATTACK}, "takes no conditions"), ({**PLAIN, "ask": ["1"]}, "takes none")):
        with pytest.raises(InputError, match=said):
            run(tmp_path / "out", target=target, attacks=[attack], **SMALL)
    assert not (tmp_path / "out" / "purchases").exists()


def test_a_white_box_that_scores_by_class_needs_real_images_of_classes(
    conditional: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "real"
    folder.mkdir()
    for number, image in enumerate(load_dataset(parse_dataset("digits")).images[:200]):
        (folder / f"{number}.png").write_bytes(encode_png(image))
    plain = {**WHITE_BOX, "architecture": PLAIN["architecture"], "refining": {"ratio": "logistic"}}
    with pytest.raises(InputError, match="real: has no classes"):
        run(
            tmp_path / "out",
            target={"checkpoint": str(conditional)},
            real=str(folder),
            attacks=[plain],
            **SMALL,
        )
    assert not (tmp_path / "out" / "purchases").exists()
