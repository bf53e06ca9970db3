"""`ganguard train` and `ganguard attack` that go on from what lies in OUT, or begin with a checkpoint."""

from collections.abc import Callable
from pathlib import Path

from ganguard.architectures.checkpoint import read_description

Cli = Callable[..., tuple[int, str, str]]
NARROW = ("--set", "architecture={kind: dcgan, width: 4}", "--device", "cpu")


def test_steps_raised_and_other_threads_go_on(cli: Cli, tmp_path: Path) -> None:
    train = ("train", "digits", "--out", "mine", *NARROW)
    assert cli(*train, "--steps", "2")[0] == 0
    code, out, err = cli(*train, "--steps", "4", "--threads", "2")
    assert (code, out.startswith("Checkpoint: mine/checkpoint")) == (0, True), err
    assert "Its steps up to 2 were computed in another way: device cpu, threads 1, steps 2." in err
    training = read_description(tmp_path / "mine" / "checkpoint").provenance
    assert [part["how"]["threads"] for part in training["parts"]] == [1, 2]
    code, out, err = cli(*train, "--steps", "3")
    assert (code, out) == (2, "")
    assert "has come to step 4, and steps is 3" in err


def test_a_training_and_a_copy_begin_with_a_checkpoint(cli: Cli, tmp_path: Path) -> None:
    assert cli("train", "digits", "--out", "mine", *NARROW, "--steps", "1")[0] == 0
    begun, cpu = "mine/checkpoint", ("--device", "cpu")
    code, _, err = cli("train", "digits", "--out", "on", "--beginning", begun, "--steps", "1", *cpu)
    assert code == 0, err
    code, _, err = cli(
        "attack", "fidelity", begun, "--out", "copy", "--query-budget", "70", *cpu,
        "--set", f"beginning.checkpoint={begun}", "--set", "steps=1",
    )  # fmt: skip
    assert code == 0, err
    architectures = {
        read_description(tmp_path / name / "checkpoint").architecture for name in ("mine", "on", "copy")
    }
    assert len(architectures) == 1
    code, _, err = cli("train", "digits", "--out", "x", "--beginning", begun, "--architecture", "sngan")
    assert (code, "another architecture than the network to train: dcgan width 4" in err) == (2, True), err
