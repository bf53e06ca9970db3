"""`ganguard attack distillation`: it sends the codes that it learns from, and says what does not fit."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from test_attack_classes import KNOWING, gan

from ganguard.architectures.checkpoint import read_description
from ganguard.base.compute import Compute
from ganguard.queries.store import Store
from ganguard.targets.checkpoint import CheckpointTarget

Cli = Callable[..., tuple[int, str, str]]
SHORT = ("--query-budget", "20", "--set", "steps=1", "--set", "batch_size=8", "--set", "n_dis=1")


def network(latent_dim: int) -> tuple[str, str]:
    return "--set", f"architecture={{kind: sngan, width: 4, latent_dim: {latent_dim}}}"


def test_the_purchase_holds_the_codes_that_were_sent(
    cli: Cli, tmp_path: Path, tiny_checkpoint: Callable[..., Path]
) -> None:
    target = tiny_checkpoint(tmp_path / "gan")
    code, out, err = cli("attack", "distillation", str(target), "--out", "copy", *SHORT, *network(5))
    assert code == 0, err
    assert "Substitute from 20 queries" in out
    store = Store.open(tmp_path / "copy" / "purchase")
    opened = CheckpointTarget(checkpoint=str(target)).load(Compute(device="cpu", threads=1))
    assert store.codes == "client"
    assert torch.equal(opened.generate(store.read_codes(20)), store.read(20))


def test_a_copy_of_a_conditional_target_learns_codes_and_classes(cli: Cli, tmp_path: Path) -> None:
    target = str(gan(tmp_path / "gan"))
    code, _, err = cli("attack", "distillation", target, "--out", "copy", *SHORT, "--set", KNOWING)
    assert code == 0, err
    said = read_description(tmp_path / "copy" / "checkpoint")
    assert said.provenance["pairs"] == {"weight": 3.0, "norm": "l1"}
    assert said.class_names == ("cat", "dog", "owl")


@pytest.mark.parametrize(
    ("target", "latent_dim", "said"),
    [
        ("plain", 6, "codes have 5 entries, those of this sngan 6. Set the architecture's latent_dim to 5"),
        ("classes", 5, "takes no condition. Give it `classes`, or use fidelity."),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line_before_a_purchase(
    cli: Cli,
    tmp_path: Path,
    tiny_checkpoint: Callable[..., Path],
    target: str,
    latent_dim: int,
    said: str,
) -> None:
    make = tiny_checkpoint if target == "plain" else gan
    place = str(make(tmp_path / "gan"))
    code, _, err = cli("attack", "distillation", place, "--out", "copy", *SHORT, *network(latent_dim))
    assert code == 2
    assert said in " ".join(err.split())
    assert not (tmp_path / "copy").exists()
