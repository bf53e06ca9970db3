"""Which attacks the relations R4 to R6 compare."""

from collections.abc import Callable
from pathlib import Path

import pytest
from spec_samples import OF_CLASSES, SMALL

from ganguard.audit.plan.pairs import improvements
from ganguard.audit.spec.spec import Spec
from ganguard.base.settings import parse

NETWORK = {"architecture": "sngan", "query_budget": [10, 20]}


def improved(*attacks: dict[str, object], **changes: object) -> list[tuple[str, str, str]]:
    said = {**SMALL, **changes, "attacks": [{**NETWORK, **attack} for attack in attacks]}
    spec = parse(Spec, said, "spec")
    found = improvements(spec.labelled_attacks(), spec.ask)
    return [(pair.relation, pair.label, pair.over) for pair in found]


def test_relations_compare_attacks_that_differ_in_nothing_else() -> None:
    partial, white = "accuracy_partial_black_box", "accuracy_white_box"
    fidelity, longer = {"kind": "fidelity"}, {"kind": "fidelity", "steps": 7}
    found = improved(
        longer, fidelity, {"kind": partial}, {"kind": partial, "real_fraction": 0.5}, {"kind": white}
    )
    names = ["accuracy partial black box sngan, 10 % real", "accuracy partial black box sngan, 50 % real"]
    assert found == [
        ("R4", names[0], "fidelity sngan #2"),
        ("R4", names[1], "fidelity sngan #2"),
        ("R5", "accuracy white box sngan, 10 % real", names[0]),
    ]


def test_a_copy_that_existed_already_is_compared_with_none_of_this_audit(
    tmp_path: Path, tiny_checkpoint: Callable[..., Path]
) -> None:
    """It is the same under every seed, and nobody knows what it was made of."""
    given = {
        "kind": "accuracy_partial_black_box",
        "substitute": {"checkpoint": str(tiny_checkpoint(tmp_path / "copy"))},
    }
    assert improved({"kind": "fidelity"}, given, {"kind": "accuracy_white_box"}) == []


def test_each_way_of_refining_is_compared_with_none() -> None:
    white = {"kind": "accuracy_white_box"}
    found = improved(
        {"kind": "accuracy_partial_black_box"}, white, {**white, "start_discriminator": "target"}
    )
    assert [label for relation, label, _ in found if relation == "R5"] == [
        "accuracy white box sngan, 10 % real",
        "accuracy white box sngan, 10 % real, D from the target",
    ]


def test_moved_copies_are_compared_with_training_from_scratch_in_their_own_domain() -> None:
    one, other = ({"kind": "transfer", "domain": {"kind": "digits", "classes": [c]}} for c in (1, 2))
    found = improved({**one, "method": "fine_tune"}, {**other, "method": ["fine_tune", "scratch"]})
    assert found == [
        ("R6", "transfer sngan fine-tuned, all images #2", "transfer sngan from scratch, all images")
    ]


def sngan(classes: int = 0) -> dict[str, object]:
    return {"architecture": {"kind": "sngan", "classes": classes}}


def test_labels_are_compared_with_none_if_nothing_else_differs() -> None:
    partial = {"kind": "accuracy_partial_black_box"}
    found = improved(
        {"kind": "fidelity", **sngan(10)},
        {"kind": "fidelity", **sngan()},
        {"kind": "fidelity", **sngan(), "steps": 7},
        {"kind": "fidelity", "architecture": "dcgan"},
        {**partial, **sngan(10)},
        {**partial, **sngan(), "real_fraction": 0.5},
        target=OF_CLASSES,
    )
    spoken = [(label, over) for relation, label, over in found if relation == "R8"]
    assert len(spoken) == 1 and spoken[0][0] != spoken[0][1]


def test_labels_help_whatever_else_the_adversary_has_unless_the_copy_is_moved() -> None:
    kinds = [{"kind": "accuracy_partial_black_box"}, {"kind": "transfer", "domain": "digits"}]
    every = [{**kind, **sngan(classes)} for kind in kinds for classes in (10, 0)]
    found = improved(*every, target=OF_CLASSES)
    spoken = [label for relation, label, _ in found if relation == "R8"]
    assert len(spoken) == 1 and "accuracy" in spoken[0]


def test_two_conditional_copies_are_no_comparison_of_labels() -> None:
    alike = [{"kind": "fidelity", **sngan(10), "steps": steps} for steps in (6, 7)]
    assert improved(*alike, target=OF_CLASSES) == []


@pytest.mark.parametrize(
    ("usual", "one", "other", "pairs"),
    [
        (None, None, "uniform", 1),
        (None, ["3"], None, 0),
        (["3"], None, ["3"], 1),
        (["3"], None, "uniform", 0),
        (None, {"3": 0.5, "4": 0.5}, {"3": 0.5, "4": 0.5}, 1),
        (None, ["3", "4"], ["4", "3"], 1),
        (None, {"3": 0.4, "4": 0.6}, {"4": 0.6, "3": 0.4}, 1),
        (None, {"3": 0.5, "4": 0.5}, {"3": 0.4, "4": 0.6}, 0),
    ],
)
def test_labels_are_compared_between_attacks_that_ask_alike(
    usual: object, one: object, other: object, pairs: int
) -> None:
    attacks = [{"kind": "fidelity", **sngan(10), "ask": one}, {"kind": "fidelity", **sngan(), "ask": other}]
    found = improved(*attacks, ask=usual, target=OF_CLASSES)
    assert [relation for relation, _, _ in found] == ["R8"] * pairs
