"""What `ganguard audit --dry-run` prints."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from ganguard.audit.check import pace
from ganguard.audit.engine.run_step import Event
from ganguard.audit.spec.reading import presets, read_spec
from ganguard.cli.audit_plan import saying_first

Cli = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """One step tells enough of the speed."""
    monkeypatch.setattr(pace, "LONG_ENOUGH", 0.0)
    monkeypatch.setattr(pace, "COMPARED", 50)


def test_dry_run_prints_the_plan_and_does_nothing(cli: Cli, tmp_path: Path) -> None:
    code, out, _ = cli("audit", "digits", "--dry-run", "--out", "there")
    assert code == 0
    for said in ("38 steps, 0 done before", "auditor buys", "16,000", "5,000", "31,000", "18,600"):
        assert said in out
    assert not (tmp_path / "there").exists()


def test_dry_run_counts_the_copies_that_are_made(cli: Cli, tiny_checkpoint: Callable[..., Path]) -> None:
    """A copy that exists already is the same under every seed, and so it is made once."""
    tiny_checkpoint(Path("copy"))
    stolen = "{kind: fidelity, architecture: sngan, query_budget: [10, 20]}"
    given = "{substitute: {checkpoint: copy}, query_budget: 50}"
    attacks = f"attacks=[{stolen}, {given}]"
    code, out, _ = cli("audit", "digits", "--dry-run", "--set", attacks, "--set", "seeds=[0, 1, 2]")
    assert code == 0
    uses = [" ".join(line.split()) for line in out.splitlines() if " uses " in line]
    assert any("fidelity sngan uses 10 + 20, 3 times" in line and "90" in line for line in uses)
    (once,) = [line for line in uses if "given copy" in line]
    assert "times" not in once


def test_dry_run_tells_what_is_left_without_opening_anything(cli: Cli, tmp_path: Path) -> None:
    """Neither the images, which are absent, nor the target, which would say so, nor a network's weights."""
    (tmp_path / "factory_of_dry_run.py").write_text("raise SystemExit('opened')\n")
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "one.png").write_bytes(b"no picture")
    (tmp_path / "spec.yaml").write_text(
        "target: {python: 'factory_of_dry_run:make', latent_dim: 4}\n"
        "real: {kind: image_folder, path: pictures, size: 8, channels: 1}\n"
        "features: random_network\n"
        "attacks: [{kind: fidelity, architecture: {kind: dcgan, width: 4}, query_budget: 30}]\n"
        "price: 0.1\n"
    )
    code, out, err = cli("audit", "spec.yaml", "--dry-run")
    assert code == 0, err
    assert "Time: about " in out
    assert "without target's images, whose speed `ganguard check` measures" in out
    assert "Disk: at most " in out
    assert "Images: 10,030 are left to buy; at 0.1 each they cost 1,003.00, of which the adversaries" in out
    assert not (tmp_path / "audits").exists()


def test_dry_run_says_if_the_size_of_images_is_in_their_files_alone(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "one.png").write_bytes(b"no picture")
    real = "real={kind: image_folder, path: pictures}"
    code, out, _ = cli("audit", "digits", "--dry-run", "--set", real, "--set", "features=random_network")
    assert code == 0
    assert "Time: not known" in out
    assert "31,000 are left to buy" in out


def test_dry_run_repeats_what_a_check_measured(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is timed again, and so the estimate is the same to the second."""
    spec = ("digits", "--out", "there", "--set", "features=random_network")
    code, checked, _ = cli("check", *spec)
    assert code == 0
    monkeypatch.setattr(pace, "_timed", None)
    monkeypatch.setattr(pace, "_seconds", None)
    code, planned, err = cli("audit", *spec, "--dry-run")
    assert code == 0, err
    said, again = (re.findall(r"^Time:.*$", out, re.MULTILINE) for out in (checked, planned))
    assert said == again
    assert said


def test_a_spec_for_a_gpu_says_so_where_there_is_none(cli: Cli, tmp_path: Path) -> None:
    tiny = ("--set", "for_gpu=true", "--device", "cpu")
    said = "This spec is sized for a GPU, and none is used here"
    for arguments in (("audit", "digits", "--dry-run", *tiny), ("check", "digits", *tiny)):
        code, out, _ = cli(*arguments)
        assert code == 0
        assert said in " ".join(out.split())
    code, _, err = cli("audit", "digits", *tiny, "--set", "real=absent")
    assert code == 2
    assert err.count("\n") == 1  # the one line is that of the error


def test_an_audit_says_it_once_before_its_first_step(capsys: pytest.CaptureFixture[str]) -> None:
    heard: list[Event] = []
    for line, said in (("no GPU", "no GPU\n"), ("", "")):
        listener = saying_first(line, heard.append)
        assert capsys.readouterr().err == ""
        for step in ("real", "ready"):
            listener(Event("begins", step))
        assert capsys.readouterr().err == said
    assert [event.step for event in heard] == ["real", "ready"] * 2


def test_presets_for_a_gpu_are_marked() -> None:
    """Each preset whose first lines say that it is for a GPU, and no other."""
    for name, text in presets().items():
        if "audits:" in text:
            continue
        comment = text[: text.index("target:")] if "target:" in text else text
        for_gpu = "or a GPU" in " ".join(comment.replace("#", " ").split())
        assert read_spec(name, [])[1].for_gpu == for_gpu, name
