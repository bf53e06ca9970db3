"""Two processes of one training, which Fabric joins by gloo, beside one process with the whole batch."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import of_several
import pytest
import torch
from safetensors.torch import load_file

from ganguard.base.cache import file_digest
from ganguard.base.errors import SpecError
from ganguard.training.differential_privacy import PrivateTraining
from ganguard.training.processes import AnotherProcess, Devices, Processes, launched
from ganguard.training.state import saved_step

FILES = ("generator.safetensors", "discriminator.safetensors")
# float32 sums in another order, six updates on; a learning rate is 1e-3, and weights differ by 1e-2 and more
SUMS = 2e-5


def _free_port() -> str:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return str(found.getsockname()[1])


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict[str, Any]]]:
    """Where two processes trained, and what each said."""
    directory, port = tmp_path_factory.mktemp("together"), _free_port()
    told = {
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": port,
        "WORLD_SIZE": "2",
        "NODE_RANK": "0",
        "OMP_NUM_THREADS": "1",
    }
    command = [sys.executable, str(Path(of_several.__file__)), str(directory)]
    running = [
        subprocess.Popen(
            command, env={**os.environ, **told, "LOCAL_RANK": str(rank)}, stdout=subprocess.PIPE, text=True
        )
        for rank in range(2)
    ]
    outputs = [process.communicate(timeout=300)[0] for process in running]
    assert [process.returncode for process in running] == [0, 0]
    return directory, [json.loads(output.splitlines()[-1]) for output in outputs]


Together = tuple[Path, list[dict[str, Any]]]


@pytest.mark.parametrize("name", ["grown", "whole", "flow", "pairs"])
def test_two_processes_train_what_one_trains(together: Together, tmp_path: Path, name: str) -> None:
    options = of_several.OPTIONS.get(name, {})
    alone = of_several.train(tmp_path, of_several.settings(name), **options)
    brief = of_several.settings(name, steps=1, learning_rate=1e-9)
    started = of_several.train(tmp_path / "start", brief, **options)
    for file in FILES[:1] if name == "flow" else FILES:
        one, two, start = (
            load_file(path / file) for path in (alone, together[0] / name / "checkpoint", started)
        )
        assert one.keys() == two.keys()
        for key in one:
            assert torch.allclose(one[key], two[key], atol=SUMS, rtol=SUMS), key
        assert any((one[key] - start[key]).abs().max() > 100 * SUMS for key in one)  # it moved far


def test_every_process_has_the_same_weights(together: Together) -> None:
    first, second = (said["weights"] for said in together[1])
    assert first == second
    assert set(first) == set(of_several.TRAININGS)


def test_a_killed_training_of_two_goes_on_to_the_same_bits(together: Together) -> None:
    whole, cut = (together[0] / name for name in ("grown", "cut"))
    assert all(
        file_digest(whole / "checkpoint" / file) == file_digest(cut / "checkpoint" / file) for file in FILES
    )
    before, after = (load_file(path / "training.safetensors") for path in (whole, cut))
    assert all(torch.equal(before[key], after[key]) for key in before)
    assert together[1][0]["progress"] == [4, 6]


def test_the_first_process_alone_reports_judges_and_writes(together: Together) -> None:
    directory, (first, second) = together
    assert (second["progress"], second["looks"]) == ([], [])
    assert first["looks"] == [5] * 3
    assert [step for step, _ in json.loads((directory / "watched" / "judged.json").read_text())] == [0, 3, 6]
    assert not (directory / "x").exists()


def test_what_the_first_process_fails_at_ends_all(together: Together) -> None:
    first, second = (said["a judge that fails"] for said in together[1])
    assert first == "GanguardError: the judge is ill"
    assert second == "AnotherProcess: the first process of this training failed."


def test_what_cannot_be_shared_out_is_refused_with_the_reason(together: Together) -> None:
    for said in together[1]:
        assert "sngan has BatchNorm, which torch synchronises between GPUs only" in said["BatchNorm"]
        assert (
            "groups of 4, and each group must lie in one process. Make batch_size a multiple of 8; got 12, "
            "6 for each process." in said["groups"]
        )
        assert "see different images or labels. Give them all the same" in said["other labels"]
        assert said["odd"] == "SpecError: batch_size must be a multiple of devices x nodes, 2; got 9."


def test_the_checkpoint_says_how_many_trained_it(together: Together) -> None:
    said = json.loads((together[0] / "grown" / "checkpoint" / "checkpoint.json").read_text())
    assert said["provenance"]["devices"] == {"devices": 2, "nodes": 1}


def test_whole_batches_are_needed_for_privacy(tmp_path: Path) -> None:
    architecture = {"kind": "dcgan", "discriminator_norm": "group"}
    private = PrivateTraining.model_validate(
        {"architecture": architecture, "differential_privacy": {"epsilon": 10.0}}
    )
    with pytest.raises(SpecError, match="devices: differentially private training needs whole batches"):
        of_several.train(tmp_path, private, devices=of_several.TWO)


def test_machines_must_be_started_together(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(
        SpecError, match=r"nodes: 2 machines must be started together\. Run the command on each with torchrun"
    ):
        launched("cpu", "32-true", Devices(nodes=2))
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "none")
    monkeypatch.setenv("WORLD_SIZE", "4")
    with pytest.raises(SpecError, match="torchrun started 4 processes, and devices x nodes is 1"):
        launched("cpu", "32-true", Devices())


@pytest.mark.parametrize(
    ("told", "first"), [({}, True), ({"LOCAL_RANK": "1"}, False), ({"NODE_RANK": "1"}, False)]
)
def test_a_process_knows_whether_it_is_the_first(
    monkeypatch: pytest.MonkeyPatch, told: dict[str, str], first: bool
) -> None:
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    assert Devices(devices=2).is_first() is first
    assert Devices().is_first()  # whatever launcher this process has from elsewhere


def test_a_lost_process_is_said_in_one_line() -> None:
    class Broken:
        global_rank, world_size = 0, 2

        def broadcast(self, value: object) -> object:
            raise RuntimeError("Connection closed by peer")

    with pytest.raises(
        AnotherProcess, match=r"lost each other \(Connection closed by peer\). Run the same command again"
    ):
        Processes(Broken()).told(1)


@pytest.mark.slow
def test_the_command_starts_its_processes_and_goes_on_after_a_kill(tmp_path: Path) -> None:
    """Killed by SIGKILL, all of them, once a state is saved; the same command then ends at the same bits."""
    script = tmp_path / "ganguard"  # which Fabric starts again, as it does the one that pip installs
    script.write_text("from ganguard.cli.main import main; main()")
    network = "architecture={kind: pggan, width: 4, latent_dim: 4}"
    settings = ["--set", network, "--set", "batch_size=8", "--set", "checkpoint_every=10", "--steps", "100"]

    def start(out: str) -> subprocess.Popen[str]:
        arguments = [
            "train",
            "digits",
            "--out",
            str(tmp_path / out),
            "--device",
            "cpu",
            "--devices",
            "2",
            *settings,
        ]
        return subprocess.Popen(
            [sys.executable, str(script), *arguments],
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    cut = start("cut")
    state = tmp_path / "cut" / "training.safetensors"
    while not state.exists() and cut.poll() is None:
        time.sleep(0.02)
    os.killpg(cut.pid, signal.SIGKILL)
    cut.communicate()
    assert saved_step(state) < 100
    for out in ("cut", "whole"):
        assert f"Checkpoint: {tmp_path}/{out}/checkpoint" in start(out).communicate(timeout=600)[0]
    for file in FILES:
        assert file_digest(tmp_path / "whole" / "checkpoint" / file) == file_digest(
            tmp_path / "cut" / "checkpoint" / file
        )


@pytest.mark.slow
def test_a_refusal_is_said_by_the_first_process_alone(tmp_path: Path) -> None:
    script = tmp_path / "ganguard"
    script.write_text("from ganguard.cli.main import main; main()")
    arguments = ["train", "digits", "--out", str(tmp_path / "out"), "--device", "cpu", "--devices", "2"]
    ended = subprocess.run(
        [sys.executable, str(script), *arguments], capture_output=True, text=True, check=False, timeout=300
    )
    assert ended.returncode == 2
    assert ended.stderr.count("sngan has BatchNorm") == 1
