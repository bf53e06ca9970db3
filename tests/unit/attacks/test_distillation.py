"""Extraction by distillation: what it sends, what it learns from, and what it refuses before it buys."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from ganguard.architectures.checkpoint import read_description
from ganguard.attacks import purchase_training
from ganguard.attacks.distillation import DistillationSettings, run
from ganguard.attacks.protocol import Knowledge, Needs, Workspace, parse_attack, require_attackable
from ganguard.base.compute import Compute
from ganguard.base.errors import InputError, SpecError
from ganguard.queries.ledger import Ledger
from ganguard.queries.metered_target import meter
from ganguard.queries.store import Store
from ganguard.targets.checkpoint import CheckpointTarget
from ganguard.targets.conditions import Conditions
from ganguard.targets.prior import UniformPrior
from ganguard.targets.protocol import Codes
from ganguard.training.pairs import CodedImages

NETWORK = {"kind": "sngan", "width": 4, "latent_dim": 5}


def settings(**values: Any) -> DistillationSettings:
    tiny = {"architecture": NETWORK, "steps": 2, "n_dis": 1, "batch_size": 8, "query_budget": 40}
    found = parse_attack({"kind": "distillation", **tiny, **values})
    assert isinstance(found, DistillationSettings)
    return found


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory, tiny_checkpoint: Callable[..., Path]) -> Any:
    """A target whose codes have five entries."""
    path = tiny_checkpoint(tmp_path_factory.mktemp("target"))
    return CheckpointTarget(checkpoint=str(path)).load(Compute(device="cpu"))


def attack(target: Any, directory: Path, codes: Codes = "client") -> tuple[Path, Store, int]:
    ledger = Ledger(directory / "ledger.sqlite")
    ledger.ensure_account("adversary", 40)
    store = Store(directory / "store", target.identity, "adversary", 3, codes)
    workspace = Workspace(directory, store, Compute())
    metered: Any = meter(target, ledger, "adversary")
    copy = run(metered, settings(pair_weight=3, pair_norm="l2"), Knowledge(), workspace, seed=0)
    assert copy.queries == 40
    return copy.checkpoint, store, ledger.balance("adversary").delivered


def test_it_trains_on_the_bought_images_beside_the_codes_that_it_sent(
    tmp_path: Path, target: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: dict[str, Any] = {}
    train = purchase_training.train_generator

    def spied(images: Tensor, *args: Any, **options: Any) -> Path:
        given.update(options, images=images)
        return train(images, *args, **options)

    monkeypatch.setattr(purchase_training, "train_generator", spied)
    checkpoint, store, bought = attack(target, tmp_path)
    pairs: CodedImages = given["pairs"]
    assert (bought, pairs.weight, pairs.norm) == (40, 3, "l2")
    assert torch.equal(pairs.codes, target.draw_latents(range(40), seed=3))
    assert torch.equal(target.generate(pairs.codes), given["images"])
    assert torch.equal(store.read(40), given["images"])
    assert read_description(checkpoint).provenance["pairs"] == {"weight": 3.0, "norm": "l2"}


def test_a_purchase_that_keeps_no_codes_is_refused_before_it_is_made(tmp_path: Path, target: Any) -> None:
    with pytest.raises(SpecError, match=r"learns from the codes that it sends, .* keeps none. Set codes"):
        attack(target, tmp_path, "provider")
    assert Ledger(tmp_path / "ledger.sqlite").balance("adversary").reserved == 0


def test_it_needs_codes_and_knows_nothing_else() -> None:
    assert settings().needs() == Needs(purchase=40, codes=True)
    assert settings().needs().knows() == ()
    said = {name: value for name, value in settings().said().items() if not name.startswith("pair_")}
    assert settings().from_scratch() == parse_attack({**said, "kind": "fidelity"}).from_scratch()


def with_(target: Any, **changed: Any) -> Any:
    """A target that is another one in some respect."""
    names = ("identity", "image_shape", "latent_dim", "draw_latents", "generate", "sample")
    return type("Changed", (), {name: getattr(target, name) for name in names} | changed)()


def test_a_target_without_codes_in_common_is_refused(target: Any, ramp: Callable[..., Any]) -> None:
    black_box = type("BlackBox", (), {"identity": "b", "image_shape": (1, 8, 8), "sample": None})()
    classes = Conditions(kind="classes", names=("a", "b"))
    longer = settings(architecture={**NETWORK, "latent_dim": 6})
    refused = [
        (black_box, settings(), "sends codes, and this target takes none"),
        (
            with_(target, prior=UniformPrior()),
            settings(),
            r"copy's are N\(0, I\), and this target's are uniform",
        ),
        (with_(target, conditions=classes), settings(), "takes no condition. Give it `classes`"),
        (
            target,
            longer,
            r"codes have 5 entries, those of this sngan 6. Set the architecture's latent_dim to 5",
        ),
    ]
    for asked, said, why in refused:
        with pytest.raises(InputError, match=why):
            require_attackable(asked, said)
    require_attackable(target, settings())


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"architecture": "flow", "n_dis": None}, "flow has no D, and distillation trains against one"),
        ({"pair_weight": 0}, "pair_weight"),
        ({"pair_norm": "l3"}, "pair_norm"),
    ],
)
def test_settings_that_make_no_sense_are_refused(values: dict[str, Any], said: str) -> None:
    with pytest.raises(SpecError, match=said):
        settings(**values)
