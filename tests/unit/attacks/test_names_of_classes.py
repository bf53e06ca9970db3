"""Classes of copies, real images and other domains are the target's, by name, before an image is bought."""

from pathlib import Path
from typing import Any

import pytest
import torch
from accuracy_samples import Box, bright, judge, judge_against
from torch import Tensor

from ganguard.architectures.checkpoint import save_checkpoint
from ganguard.architectures.networks import build_networks, parse_architecture
from ganguard.attacks import transfer
from ganguard.attacks.class_names import as_the_targets, require_domain_classes, require_same_classes
from ganguard.attacks.labels import HeldClasses, held_labels, told_of
from ganguard.attacks.protocol import Knowledge, Workspace, parse_attack, require_attackable, run_attack
from ganguard.base.compute import Compute
from ganguard.base.errors import DataError, InputError, SpecError
from ganguard.base.labels import Labels
from ganguard.queries.harvest import harvest
from ganguard.queries.ledger import Ledger
from ganguard.queries.metered_target import meter
from ganguard.queries.store import Store
from ganguard.targets.checkpoint import CheckpointTarget
from ganguard.targets.conditions import Conditions
from ganguard.targets.module import ModuleTarget

NAMES = ("cat", "dog", "owl")
TURNED = ("owl", "dog", "cat")
OTHERS = ("x", "y", "z")
PLAIN = {"kind": "sngan", "width": 4, "latent_dim": 5}
KNOWING = {**PLAIN, "classes": 3}
SHORT = {"steps": 2, "batch_size": 8, "n_dis": 1, "query_budget": 100}
FIDELITY = {"kind": "fidelity", **SHORT}
REAL = {**SHORT, "real_steps": 2, "judge_every": 2}
PARTIAL = {"kind": "accuracy_partial_black_box", **REAL}
WHITE = {"kind": "accuracy_white_box", **REAL, "refining": {"steps": 5, "ratio": "logistic"}}
TRANSFER = {"kind": "transfer", **SHORT, "domain": "digits", "transfer_steps": 2}


def gan(directory: Path, names: tuple[str, ...] = NAMES) -> Path:
    """Write an untrained SNGAN of some classes; of none without names."""
    architecture = parse_architecture({**PLAIN, **({"classes": len(names)} if names else {})})
    networks = build_networks(architecture, (1, 8, 8))
    return save_checkpoint(directory, networks, architecture, (1, 8, 8), {}, class_names=names or None)


@pytest.fixture
def target(tmp_path: Path) -> ModuleTarget:
    return CheckpointTarget(checkpoint=str(gan(tmp_path / "target"))).load(Compute())


def knowing(names: tuple[str, ...] | None, count: int = 30) -> Knowledge:
    """An adversary whose real images, and those of another domain, show each of some classes."""
    labels = names and Labels(torch.arange(count) % len(names), names)
    return Knowledge(
        bright(count),
        judge,
        judge_against=judge_against,
        domain_images=bright(count),
        real_labels=labels,
        domain_labels=labels,
    )


def bought(target: Any, directory: Path, knowledge: Knowledge, said: dict[str, Any]) -> int:
    """Run an attack and return how many images it bought, also if it is refused."""
    ledger = Ledger(directory / "ledger.sqlite")
    ledger.ensure_account("adversary", 500)
    workspace = Workspace(directory, Store(directory / "store", "t", "adversary", 3), Compute())
    try:
        run_attack(meter(target, ledger, "adversary"), parse_attack(said), knowledge, workspace, seed=0)
    finally:
        spent = ledger.balance("adversary").delivered
        (directory / "spent").write_text(str(spent))
    return spent


CONTINUED = [
    {**FIDELITY, "beginning": None},
    {**PARTIAL, "beginning": None},
    {**PARTIAL, "substitute": None},
    {**WHITE, "beginning": None},
    {**TRANSFER, "substitute": None},
    {**TRANSFER, "beginning": None},
]


@pytest.mark.parametrize("said", CONTINUED, ids=lambda said: "-".join((said["kind"], list(said)[-1])))
@pytest.mark.parametrize(
    ("names", "message"),
    [
        (TURNED, r"its class 0 is 'owl', and the target's is 'cat'\. Give a copy that knows the target's"),
        (OTHERS, r"this copy has the classes 'x, y, z', and the target has 'cat, dog, owl'\. Give a copy of"),
    ],
)
def test_a_copy_that_goes_on_knows_the_targets_classes_in_their_order(
    tmp_path: Path, target: ModuleTarget, said: dict[str, Any], names: tuple[str, ...], message: str
) -> None:
    key = list(said)[-1]
    settings = {**said, "architecture": KNOWING, key: {"checkpoint": str(gan(tmp_path / "copy", names))}}
    with pytest.raises(SpecError, match=message) as refusal:
        bought(target, tmp_path, knowing(NAMES), settings)
    assert "\n" not in str(refusal.value)
    assert (tmp_path / "spent").read_text() == "0"
    fits = {**settings, key: {"checkpoint": str(gan(tmp_path / "same"))}}
    require_attackable(target, parse_attack(fits))


def test_a_given_copy_is_asked_by_name_so_that_their_order_does_not_count(
    tmp_path: Path, target: ModuleTarget
) -> None:
    def given(names: tuple[str, ...]) -> dict[str, Any]:
        path = gan(tmp_path / "-".join(names), names)
        return {"kind": "given", "substitute": {"checkpoint": str(path)}, "query_budget": 9}

    require_attackable(target, parse_attack(given(TURNED)))
    for names in (OTHERS, (*NAMES, "yak")):  # the user set no `classes` that advice could name
        with pytest.raises(
            SpecError, match=r"and the target has 'cat, dog, owl'\. Give a copy of this target"
        ):
            require_attackable(target, parse_attack(given(names)))


@pytest.mark.parametrize(
    "said", [{"kind": "given", "query_budget": 9}, {**PARTIAL, "architecture": KNOWING}], ids=["given", "on"]
)
def test_a_copy_with_classes_is_none_of_a_target_without(tmp_path: Path, said: dict[str, Any]) -> None:
    settings = parse_attack({**said, "substitute": {"checkpoint": str(gan(tmp_path / "copy"))}})
    with pytest.raises(
        SpecError, match=r"and the target takes no conditions\. Give a copy of this target\.$"
    ):
        require_attackable(Box(), settings)


def test_a_copy_that_cannot_be_asked_has_no_classes_to_compare() -> None:
    class Asked(Box):
        conditions = Conditions(names=NAMES)

    require_same_classes("copy", (), Asked())
    require_same_classes("copy", (), Box())


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (NAMES, [0, 1, 2]),
        (TURNED, [2, 1, 0]),
        (("dog", "owl"), [1, 2]),
        (("owl",), [2]),
        (OTHERS, [0, 1, 2]),  # none shared, and equally many: by number
    ],
)
def test_a_domains_classes_are_the_targets_by_name(names: tuple[str, ...], found: list[int]) -> None:
    labels = as_the_targets(Labels(torch.arange(len(names)), names), NAMES)
    assert (labels.numbers.tolist(), labels.names) == (found, NAMES)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (
            (),
            r"domain: has no classes, and the copy that is moved there learns 3\. Give a domain with classes",
        ),
        (
            (*NAMES, "yak"),
            r"domain: has 4 classes, and the copy that is moved there learns 3\. Leave classes",
        ),
        (
            ("dog", "yak"),
            r"domain: its class 'yak' is none of the target's, 'cat, dog, owl'\. Leave that class",
        ),
        (("dog", "yak", "z"), "domain: its class 'yak' and 1 others is none of the target's"),
        (
            ("x", "y"),
            r"domain: none of its 2 classes 'x, y' is one of the target's 3, 'cat, dog, owl'\. Name",
        ),
    ],
)
def test_what_does_not_stand_for_the_targets_classes_is_refused(
    tmp_path: Path, target: ModuleTarget, names: tuple[str, ...], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        require_domain_classes(names, NAMES)
    with pytest.raises(DataError, match=message):
        bought(target, tmp_path, knowing(names or None), {**TRANSFER, "architecture": KNOWING})
    assert (tmp_path / "spent").read_text() == "0"


def test_a_copy_is_taught_the_domains_classes_under_the_targets_names(
    tmp_path: Path, target: ModuleTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    taught: list[Labels] = []

    def watched(images: Tensor, *rest: Any, labels: Labels, **options: Any) -> Path:
        taught.append(labels)
        return train(images, *rest, labels=labels, **options)

    train = transfer.train_generator
    monkeypatch.setattr(transfer, "train_generator", watched)
    settings = {**TRANSFER, "architecture": KNOWING}
    assert bought(target, tmp_path, knowing(("dog", "owl")), settings) == 100
    assert taught[0].said() == ["dog", "owl"] * 15
    assert bought(target, tmp_path / "by number", knowing(OTHERS), settings) == 100
    assert taught[1].said() == list(NAMES) * 10


@pytest.mark.parametrize(
    ("said", "names", "message"),
    [
        (
            {**WHITE, "architecture": PLAIN},
            None,
            "real: has no classes, and the target's discriminator scores",
        ),
        (
            {**WHITE, "architecture": PLAIN},
            (*NAMES, "yak"),
            r"real: has images of class 'yak', which the target",
        ),
        ({**WHITE, "architecture": KNOWING}, OTHERS, r"'x' and 2 others, .* and sngan with 3 classes learns"),
        ({**PARTIAL, "architecture": KNOWING}, None, "real: has no classes, and sngan with 3 classes learns"),
        (
            {**PARTIAL, "architecture": KNOWING},
            (*NAMES, "yak"),
            "Leave other classes than the target's, 'cat",
        ),
    ],
)
def test_real_images_have_the_classes_that_are_learnt_or_scored(
    tmp_path: Path, target: ModuleTarget, said: dict[str, Any], names: tuple[str, ...] | None, message: str
) -> None:
    with pytest.raises(InputError, match=message) as refusal:
        bought(target, tmp_path, knowing(names), said)
    assert "\n" not in str(refusal.value)
    assert (tmp_path / "spent").read_text() == "0"


def test_real_images_of_other_classes_do_for_who_neither_learns_nor_scores_them(
    tmp_path: Path, target: ModuleTarget
) -> None:
    assert bought(target, tmp_path, knowing(OTHERS), {**PARTIAL, "architecture": PLAIN}) == 100


def test_bought_images_are_shown_as_their_classes_whatever_the_real_ones_are(
    tmp_path: Path, target: ModuleTarget
) -> None:
    settings = parse_attack({**WHITE, "architecture": PLAIN})
    store = Store(tmp_path / "store", target.identity, "adversary", 3)
    ledger = Ledger(tmp_path / "ledger.sqlite")
    ledger.ensure_account("adversary", 20)
    harvest(meter(target, ledger, "adversary"), store, 20)
    alone = told_of(settings, target, store, HeldClasses(None, None), 20)  # pyright: ignore[reportArgumentType]
    known = knowing(TURNED)
    both = told_of(settings, target, store, held_labels(settings, target, known, bright(30)), 20)  # pyright: ignore[reportArgumentType]
    assert alone.shown.real is None and alone.shown.bought is not None
    assert [NAMES[number] for number in alone.shown.bought] == store.read_conditions(20)
    assert torch.equal(alone.shown.bought, both.shown.bought)  # pyright: ignore[reportArgumentType]
    assert both.shown.real is not None
    assert both.shown.real.tolist() == [2, 1, 0] * 10
