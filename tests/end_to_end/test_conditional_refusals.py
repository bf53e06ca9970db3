"""Audits of a target with classes, other parts of which have other ones, end before anything is bought."""

from pathlib import Path
from typing import Any

import pytest

from ganguard.architectures.checkpoint import save_checkpoint
from ganguard.architectures.networks import build_networks, parse_architecture
from ganguard.audit.run import audit
from ganguard.audit.spec.spec import Spec
from ganguard.base.codecs import encode_png
from ganguard.base.errors import InputError
from ganguard.base.settings import parse
from ganguard.data.dataset import load_dataset, parse_dataset
from ganguard.results.records import AuditResults

NAMES = ("cat", "dog", "owl")
PLAIN = {"kind": "sngan", "width": 4, "latent_dim": 5}
KNOWING = {**PLAIN, "classes": 3}
SHORT = {"query_budget": 60, "steps": 2, "batch_size": 8, "n_dis": 1}
REAL = {**SHORT, "real_fraction": 0.5, "real_steps": 2, "judge_every": 2}
WHITE = {"kind": "accuracy_white_box", **REAL, "refining": {"steps": 5, "ratio": "logistic"}}
PARTIAL = {"kind": "accuracy_partial_black_box", **REAL, "architecture": KNOWING}
TRANSFER = {"kind": "transfer", **SHORT, "transfer_steps": 2, "architecture": KNOWING}
FOUND = {"kind": "found", "query_budget": 60}


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """A folder with a checkpoint and a set of digits for each tuple of names, called after these."""
    digits = load_dataset(parse_dataset("digits"))
    for names in (
        NAMES,
        ("owl", "dog", "cat"),
        ("x", "y", "z"),
        (*NAMES, "yak"),
        ("dog", "yak"),
        ("x", "dog"),
    ):
        place = tmp_path / "-".join(names)
        architecture = parse_architecture({**PLAIN, "classes": len(names)})
        networks = build_networks(architecture, (1, 8, 8))
        save_checkpoint(place / "gan", networks, architecture, (1, 8, 8), {}, class_names=names)
        for number, name in enumerate(names):
            (place / "images" / name).mkdir(parents=True)
            for image in (digits.labels == number).nonzero()[:24, 0].tolist():  # pyright: ignore
                file = place / "images" / name / f"{image}.png"
                file.write_bytes(encode_png(digits.images[image]))
    return tmp_path


def run(made: Path, attack: dict[str, Any], **changes: Any) -> AuditResults:
    said: dict[str, Any] = {
        "target": {"checkpoint": str(made / "cat-dog-owl" / "gan")},
        "real": str(made / "cat-dog-owl" / "images"),
        "features": "random_network",
        "attacks": [attack],
        "independent": "off",
        "samples": 12,
        "even_if": "target_broken",
    }
    spec = parse(Spec, {**said, **changes}, "spec")
    return audit("classes", spec, made / "out", processes=1, listener=lambda event: None)


def copy(made: Path, names: str) -> dict[str, str]:
    return {"checkpoint": str(made / names / "gan")}


def cases(made: Path) -> list[tuple[dict[str, Any], dict[str, Any], str]]:
    """Attacks, changes of the spec, and the beginning of what is said of them."""
    superset = {"real": str(made / "cat-dog-owl-yak" / "images")}
    prompts = {"target": {"checkpoint": str(made / "x-y-z" / "gan")}}
    return [
        ({**WHITE, "architecture": PLAIN}, superset, "real: has images of class 'yak', which the target"),
        (PARTIAL, superset, "sngan has 3 classes, and `real`, from which the adversary itself"),
        (
            {**PARTIAL, "substitute": copy(made, "owl-dog-cat")},
            {},
            "its class 0 is 'owl', and the target's is",
        ),
        ({**TRANSFER, "domain": str(made / "dog-yak" / "images")}, {}, "domain: its class 'yak' is none of"),
        ({**TRANSFER, "domain": str(made / "x-dog" / "images")}, {}, "domain: its class 'x' is none of"),
        (
            {**TRANSFER, "domain": str(made / "x-y-z" / "images"), "substitute": copy(made, "x-y-z")},
            {},
            "this copy has the classes 'x, y, z', and the target has 'cat, dog, owl'",
        ),
        (
            {"kind": "fidelity", **SHORT, "architecture": KNOWING, "beginning": copy(made, "owl-dog-cat")},
            {},
            "its class 0 is 'owl'",
        ),
        ({**FOUND, "substitute": copy(made, "x-y-z")}, {}, r"found copy .*: it has the classes 'x, y, z'"),
        ({**FOUND, "substitute": copy(made, "x-y-z")}, {"ask": ["cat"]}, "found copy .*: it has the classes"),
        ({**PARTIAL}, prompts, "real: has no images of class 'x'"),
    ]


@pytest.mark.parametrize("number", range(10))
def test_other_classes_are_refused_before_anything_is_bought(made: Path, number: int) -> None:
    attack, changes, said = cases(made)[number]
    with pytest.raises(InputError, match=said) as refusal:
        run(made, attack, **changes)
    assert len(str(refusal.value).splitlines()) == 1
    assert not (made / "out" / "purchases").exists()
    assert not (made / "out" / "ledger.sqlite").exists()


@pytest.mark.slow
def test_a_found_copy_and_a_domain_with_classes_in_another_order_are_no_others(made: Path) -> None:
    turned = {**FOUND, "substitute": copy(made, "owl-dog-cat")}
    moved = {**TRANSFER, "domain": str(made / "owl-dog-cat" / "images")}
    results = run(made, turned, attacks=[turned, moved], ask=["cat", "owl"])
    assert results.failures == ()


@pytest.mark.slow
def test_the_adversary_holds_images_that_the_target_was_trained_on_whatever_the_real_ones_are(
    made: Path,
) -> None:
    """The real images have no classes here, and those that the target learnt have."""
    plain = made / "plain"
    plain.mkdir()
    for number, image in enumerate(load_dataset(parse_dataset("digits")).images[:80]):
        (plain / f"{number}.png").write_bytes(encode_png(image))
    trained = {"dataset": str(made / "cat-dog-owl" / "images"), "architecture": KNOWING, **SHORT}
    del trained["query_budget"]
    results = run(made, {**WHITE, "architecture": PLAIN}, target={"train": trained}, real=str(plain))
    assert results.failures == ()
