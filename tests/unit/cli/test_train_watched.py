import json
from collections.abc import Callable
from pathlib import Path

Cli = Callable[..., tuple[int, str, str]]
NARROW = (
    "train",
    "digits",
    "--out",
    "mine",
    "--set",
    "architecture={kind: dcgan, width: 4}",
    "--device",
    "cpu",
)


def test_the_best_of_the_looks_is_kept(cli: Cli, tmp_path: Path) -> None:
    code, out, _ = cli(*NARROW, "--steps", "4", "--watch-every", "2")
    looks = json.loads((tmp_path / "mine" / "judged.json").read_text())
    assert code == 0
    assert [step for step, _ in looks] == [0, 2, 4]
    best = min(looks, key=lambda look: look[1])[0]
    assert f"Checkpoint: mine/checkpoint (step {best}, the best of those watched)" in out


def test_features_that_must_be_trained_first_are_refused(cli: Cli) -> None:
    code, _, err = cli(*NARROW, "--watch-every", "2", "--features", "classifier")
    assert code == 2
    assert "classifier must be trained first" in err
