"""Codes that a client draws by another law than the target's own prior."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from scipy import stats

from ganguard.base.compute import Compute
from ganguard.base.errors import DataError, InputError, SpecError, TargetError
from ganguard.queries.harvest import harvest
from ganguard.queries.ledger import Ledger
from ganguard.queries.metered_target import meter
from ganguard.queries.sent_codes import codes_to_send
from ganguard.queries.store import Store
from ganguard.targets.ask import Ask, ask_of
from ganguard.targets.checkpoint import CheckpointTarget

WIDE = {"kind": "uniform", "low": -2, "high": 3}


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory, tiny_checkpoint: Callable[..., Path]) -> Any:
    """A target whose codes have five entries."""
    path = tiny_checkpoint(tmp_path_factory.mktemp("target"))
    return CheckpointTarget(checkpoint=str(path)).load(Compute(device="cpu"))


def asking(prior: object) -> Ask:
    return ask_of({"prior": prior})


@pytest.mark.parametrize(
    ("prior", "law"),
    [
        (WIDE, stats.uniform(-2, 5)),
        ({"kind": "truncated", "bound": 0.5}, stats.truncnorm(-0.5, 0.5)),
        ({"kind": "truncated", "bound": 2, "std": 0.5}, stats.truncnorm(-2, 2, scale=0.5)),
        ({"kind": "normal", "std": 0.7}, stats.norm(scale=0.7)),
    ],
)
def test_codes_follow_the_law_that_was_named(target: Any, prior: object, law: Any) -> None:
    codes = codes_to_send(target, asking(prior), range(4000), seed=1)
    assert codes.shape == (4000, 5) and codes.dtype == torch.float32
    assert stats.kstest(codes.flatten().numpy(), law.cdf).pvalue > 0.01
    assert torch.equal(codes[90:200], codes_to_send(target, asking(prior), range(90, 200), seed=1))
    assert not torch.equal(codes, codes_to_send(target, asking(prior), range(4000), seed=2))


def test_without_another_law_codes_are_the_targets_own(target: Any) -> None:
    own = target.draw_latents(range(9), seed=4)
    for ask in (None, Ask(), asking("normal")):  # this target's own prior is N(0, I)
        assert torch.equal(codes_to_send(target, ask, range(9), seed=4), own)


def test_a_purchase_holds_the_codes_and_their_images_however_it_was_cut(tmp_path: Path, target: Any) -> None:
    ledger, ask = Ledger(tmp_path / "ledger.sqlite"), asking("truncated")
    ledger.ensure_account("us", 30)

    def store(name: str) -> Store:
        return Store(tmp_path / name, target.identity, "us", 6, "client", ask=ask)

    for count in (4, 4, 30):
        images = harvest(meter(target, ledger, "us"), store("cut"), count)
    assert ledger.balance("us").delivered == 30
    codes = codes_to_send(target, ask, range(30), seed=6)
    assert torch.equal(store("cut").read_codes(30), codes) and torch.equal(images, target.generate(codes))
    assert torch.equal(harvest(target, store("whole"), 30), images)
    assert Store.open(tmp_path / "cut").ask == ask
    other = Store(tmp_path / "cut", target.identity, "us", 6, "client", ask=asking(WIDE))
    with pytest.raises(DataError, match="holds another harvest"):
        harvest(target, other, 3)


def test_it_is_refused_where_the_client_sends_no_codes(tmp_path: Path, ramp: Any) -> None:
    ledger = Ledger(tmp_path / "ledger.sqlite")
    ledger.ensure_account("us", 30)
    ask, bought = asking("truncated"), ramp(latent=True)
    refused: list[tuple[Any, Any, type[InputError], str]] = [
        (bought, "provider", SpecError, "prior is of codes that the client sends.* Set codes: client"),
        (ramp(), "client", TargetError, "this target takes no"),
    ]
    for inner, codes, error, said in refused:
        store = Store(tmp_path / codes, inner.identity, "us", 0, codes, ask=ask)
        with pytest.raises(error, match=said):
            harvest(meter(inner, ledger, "us"), store, 3)
    assert ledger.balance("us").reserved == 0 and not bought.asked and not list(tmp_path.glob("*/data"))
