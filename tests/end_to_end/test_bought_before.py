"""Images that were bought before are what every adversary of an audit holds: each once, and in order."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from ganguard.audit.doctor import examine
from ganguard.audit.outcome.accounts import BEFORE
from ganguard.audit.run import audit
from ganguard.audit.spec.spec import Spec
from ganguard.base.codecs import encode_png
from ganguard.base.compute import Compute
from ganguard.base.errors import DataError, InputError, SpecError, TargetError
from ganguard.base.settings import parse
from ganguard.queries.ledger import Ledger
from ganguard.queries.store import Store
from ganguard.results.records import AuditResults
from ganguard.targets.checkpoint import CheckpointTarget

ATTACK: dict[str, Any] = {"architecture": "dcgan", "steps": 2, "batch_size": 8, "n_dis": 1}
FIDELITY = {**ATTACK, "kind": "fidelity", "query_budget": [10, 30]}
WHITE_BOX = {
    **ATTACK,
    "kind": "accuracy_white_box",
    "query_budget": 30,
    "real_fraction": 0.1,
    "real_steps": 2,
    "refining": {"steps": 5, "ratio": "logistic"},
}


@pytest.fixture(scope="module")
def gan(tmp_path_factory: pytest.TempPathFactory, tiny_checkpoint: Callable[..., Path]) -> Path:
    return tiny_checkpoint(tmp_path_factory.mktemp("gan"))


@pytest.fixture(scope="module")
def images(gan: Path) -> Tensor:
    target = CheckpointTarget(checkpoint=str(gan)).load(Compute(device="cpu", threads=1))
    return target.sample(range(30), seed=77)


def folder_of(images: Tensor, folder: Path) -> Path:
    folder.mkdir()
    for number, image in enumerate(images):
        (folder / f"{number:03d}.png").write_bytes(encode_png(image))
    return folder


def stored(images: Tensor, folder: Path) -> Path:
    """A harvest of two shards, the second of which was written first."""
    store = Store(folder, "somebody", "us", 3)
    store.create()
    store.write(12, images[12:], None)
    store.write(0, images[:12], None)
    return folder


def run(directory: Path, gan: Path, purchase: Any, **values: Any) -> AuditResults:
    said: dict[str, Any] = {
        "target": {"checkpoint": str(gan)},
        "real": "digits",
        "features": "random_network",
    }
    said |= {"samples": 12, "even_if": "target_broken", "independent": "off", "seeds": [0, 1]}
    said |= {"attacks": [FIDELITY], "purchase": purchase, **values}
    return audit("tiny", parse(Spec, said, "spec"), directory, processes=1, listener=lambda event: None)


@pytest.mark.parametrize("laid", [folder_of, pytest.param(stored, marks=pytest.mark.slow)])
def test_every_adversary_trains_on_them_and_they_count_once(
    gan: Path, images: Tensor, tmp_path: Path, laid: Callable[[Tensor, Path], Path]
) -> None:
    folder = laid(images, tmp_path / "bought")
    attacks = [FIDELITY, WHITE_BOX] if laid is stored else [FIDELITY]
    results = run(tmp_path / "audit", gan, {"images": str(folder)}, attacks=attacks)
    (place,) = [path for path in (tmp_path / "audit" / "purchases").iterdir() if "adversary" in path.name]
    assert torch.equal(Store.open(place).read(30), images)
    assert {(r.account, r.bought) for r in results.accounts if r.role == "adversary"} == {(BEFORE, 30)}
    copies = [m for m in results.select(subject="substitute", metric="frechet_distance", against="target")]
    assert len({(m.attack, m.query_budget, m.seed) for m in copies}) == (6 if laid is stored else 4)
    assert results.failures == ()
    with Ledger(tmp_path / "audit" / "ledger.sqlite") as ledger:
        assert sum(balance.reserved for balance in ledger.balances()) == 30 + 24
    assert [found for found in examine(tmp_path / "audit") if found.severity == "wrong"] == []
    assert BEFORE in (tmp_path / "audit" / "report.html").read_text()
    memory = results.select(subject="purchase", metric="frechet_distance", query_budget=30)
    assert len({m.seed for m in memory}) == 2
    assert len({round(m.value, 9) for m in memory if m.against == "reference"}) == 1


def test_what_does_not_fit_is_refused_before_anything_is_drawn(
    gan: Path, images: Tensor, tmp_path: Path
) -> None:
    few, large = folder_of(images[:29], tmp_path / "few"), tmp_path / "large"
    folder_of(images.repeat_interleave(2, 2).repeat_interleave(2, 3), large)
    wrong: list[tuple[Any, type[InputError], str]] = [
        ({"images": str(few)}, TargetError, "29 images were bought before; 30 are wanted"),
        ({"images": str(large)}, DataError, r"are \(1, 16, 16\) .* the target makes \(1, 8, 8\)"),
        ({"images": str(tmp_path / "absent")}, SpecError, "absent': no such file or folder"),
    ]
    for purchase, error, reason in wrong:
        with pytest.raises(error, match=reason):
            run(tmp_path / "audit", gan, purchase)
    own = {"images": str(folder_of(images, tmp_path / "own"))}
    with pytest.raises(DataError, match="purchase: these are the target's own images"):
        run(tmp_path / "audit", gan, own, target=own)
    assert not (tmp_path / "audit" / "ledger.sqlite").exists()


@pytest.mark.parametrize(
    ("purchase", "values", "reason"),
    [
        ("digits", {}, "purchase must be {images"),
        ({"image": "digits"}, {}, "purchase must be {images"),
        ({"images": "digits", "in_order": False}, {}, "in_order must be true"),
        ({"images": "digits"}, {"codes": "client"}, "Set codes: provider"),
        ({"images": "digits"}, {"defences": [{"kind": "jpeg", "quality": 50}]}, "Leave defences out"),
        (None, {"target": {"images": "digits", "in_order": True}}, "no target to draw from"),
    ],
)
def test_what_a_purchase_before_cannot_go_with_is_refused(
    purchase: Any, values: dict[str, Any], reason: str, tmp_path: Path, gan: Path
) -> None:
    with pytest.raises(SpecError, match=reason):
        run(tmp_path / "audit", gan, purchase, **values)
