"""`ganguard check`: what it opens, finds, keeps and prints."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from ganguard.architectures.checkpoint import save_checkpoint
from ganguard.architectures.networks import build_networks, parse_architecture
from ganguard.audit.check import pace
from ganguard.base.codecs import decode_image
from ganguard.base.errors import StepError

Cli = Callable[..., tuple[int, str, str]]

FACTORY = """
import torch
from torch import nn

print("imported", flush=True)

class G(nn.Module):
    latent_dim = 4
    def __init__(self, far):
        super().__init__()
        torch.manual_seed(0)
        self.f, self.far = nn.Linear(4, 64), far
    def forward(self, z):
        return (self.f(z).tanh() * (0.05 if self.far else 1)).view(-1, 1, 8, 8)

def good():
    return G(False)

def narrow():
    return G(True)
"""
ATTACK = {"kind": "fidelity", "architecture": {"kind": "dcgan", "width": 4}, "query_budget": [10, 30]}
PUBLISHED = {"kind": "sngan", "width_factor": 1}
SMALL = {"steps": 2, "batch_size": 8}
CONDITIONAL = {"kind": "sngan", "width": 4, "latent_dim": 4, "classes": 10}


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """One step tells enough of the speed."""
    monkeypatch.setattr(pace, "LONG_ENOUGH", 0.0)
    monkeypatch.setattr(pace, "COMPARED", 50)


@pytest.fixture
def write(tmp_path: Path, tiny_checkpoint: Callable[..., Path]) -> Callable[..., None]:
    """Write mine.yaml, the spec of an audit of an untrained GAN."""

    def spec(**values: Any) -> None:
        said: dict[str, Any] = {
            "target": {"checkpoint": "there"},
            "real": "digits",
            "features": "random_network",
            "attacks": [{**ATTACK, **SMALL}],
            "samples": 60,
            **values,
        }
        if said["target"] == {"checkpoint": "there"}:
            tiny_checkpoint(tmp_path / "there")
        (tmp_path / "factory_of_check.py").write_text(FACTORY)
        (tmp_path / "mine.yaml").write_text(yaml.safe_dump(said))

    return spec


def test_everything_is_opened_looked_at_and_estimated(
    cli: Cli, write: Callable[..., None], tmp_path: Path
) -> None:
    write(price=0.5)
    code, out, err = cli("check", "mine.yaml")
    assert (code, "Traceback" in err) == (0, False)
    for said in (
        "Real: 1,797 images of 1×8×8",
        "Target: 64 images of 1×8×8.",
        "Range: target ",
        "Purity: the same alone, in part and twice.",
        " images a second.",
        "Distance: target → real ",
        "noise → real ",
        "Memory: this check took at most ",
        "Time: about ",
        " GB in all.",
        "Images: 150 are left to buy; at 0.5 each they cost 75.00, of which the adversaries pay 15.00.",
        "The audit can begin.",
    ):
        assert said in out, said
    picture = decode_image(tmp_path / "audits" / "mine" / "check.png", "check.png")
    assert picture.shape == (1, 8 * 9 - 1, 2 * (8 * 9 - 1) + 9)


def test_nothing_is_bought_or_trained_and_the_audit_goes_on_from_there(
    cli: Cli, write: Callable[..., None], tmp_path: Path
) -> None:
    write(even_if="target_broken")
    assert cli("check", "mine.yaml")[0] == 0
    there = tmp_path / "audits" / "mine"
    assert not (there / "ledger.sqlite").exists()
    kinds = {path.name.rpartition("-")[0] for path in (there / "steps").iterdir()}
    assert kinds == {"real", "ready", "open_target", "fit"}
    code, _, err = cli("audit", "mine.yaml", "--processes", "1")
    assert code == 0, err
    assert "4 steps were done before and were not repeated." in err
    code, out, _ = cli("check", "mine.yaml")
    assert code == 0
    assert "Images: 0 are left to buy" in out
    assert "Time: about 0 s" in out
    assert cli("doctor", str(there))[0] == 0


def test_every_problem_is_named_not_only_the_first(cli: Cli, write: Callable[..., None]) -> None:
    """The attack needs a D, and the defence larger images."""
    white = {"kind": "accuracy_white_box", "architecture": "dcgan", "query_budget": 60, "real_fraction": 0.1}
    write(
        target={"python": "factory_of_check:good"},
        attacks=[white],
        defences=["none", {"kind": "median_filter", "size": 9}],
    )
    code, out, err = cli("check", "mine.yaml")
    assert code == 2
    problems = [line for line in out.splitlines() if line.startswith("✗")]
    assert any("accuracy_white_box needs the target's discriminator" in line for line in problems), out
    assert any("median_filter: size must be at most" in line for line in problems), out
    assert "error: 2 things are wrong, named above. Nothing was trained." in err


def test_a_target_that_is_to_be_trained_is_stood_in_for(cli: Cli, write: Callable[..., None]) -> None:
    """Misfits that the audit would only find after the training are found before it."""
    trained = {"dataset": "digits", "architecture": {"kind": "dcgan", "width": 4}, "steps": 9_000_000}
    write(target={"train": trained}, defences=["none", {"kind": "median_filter", "size": 9}])
    code, out, err = cli("check", "mine.yaml")
    assert code == 2, out + err
    assert "an untrained one stood in" in out
    assert "✗ target behind " in out
    write(target={"train": trained})
    code, out, _ = cli("check", "mine.yaml", "--out", "again")
    assert code == 0
    assert re.search(r"Time: about .*(min|h) .*training", out)


def test_a_narrow_range_and_a_target_like_noise_are_said(cli: Cli, write: Callable[..., None]) -> None:
    write(target={"python": "factory_of_check:narrow"})
    code, out, err = cli("check", "mine.yaml", "--images", "16")
    assert code == 0
    assert "! the target's pixels lie in " in out
    assert "Target: 16 images" in out
    noted = [line.removeprefix("! target: ") for line in err.splitlines() if line.startswith("! target: ")]
    assert noted  # what the target says of itself when it is opened is said with the rest
    assert all(f"! {note}" in out for note in noted)


def test_one_line_says_what_cannot_even_be_planned(cli: Cli, write: Callable[..., None]) -> None:
    write(real={"kind": "image_folder", "path": "nowhere", "size": 8})
    for arguments in (("check", "mine.yaml"), ("check", "absent.yaml"), ("check", "nonsense")):
        code, out, err = cli(*arguments)
        assert (code, out) == (2, "")
        assert err.count("\n") == 1
        assert err.startswith("error: ")


def test_a_directory_of_another_audit_is_refused(cli: Cli, write: Callable[..., None]) -> None:
    write()
    assert cli("check", "mine.yaml", "--out", "there")[0] == 2  # the target's checkpoint lies there


def test_each_of_several_audits_is_checked(cli: Cli, write: Callable[..., None], tmp_path: Path) -> None:
    write()
    (tmp_path / "other.yaml").write_text((tmp_path / "mine.yaml").read_text())
    (tmp_path / "both.yaml").write_text("audits: [mine.yaml, other.yaml]\n")
    code, out, err = cli("check", "both.yaml")
    assert code == 0, err
    assert out.count("The audit can begin.") == 2
    assert (tmp_path / "audits" / "both" / "mine" / "check.png").is_file()


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"attacks": [{**ATTACK, **SMALL, "architecture": PUBLISHED}]}, "published widths are for images of"),
        ({"target": {"python": "no_such_module:make"}}, "no module 'no_such_module'"),
        ({"real": {"kind": "digits", "size": 16}}, "the real ones are (1, 16, 16)"),
    ],
)
def test_what_does_not_open_is_named_beside_what_does(
    cli: Cli, write: Callable[..., None], changed: dict[str, Any], said: str
) -> None:
    write(**changed)
    code, out, err = cli("check", "mine.yaml")
    assert code == 2
    assert any(said in line for line in out.splitlines() if line.startswith("✗")), out
    assert "Real: 1,797 images" in out
    assert "Picture: " in out
    assert err.splitlines()[-1].startswith("error: ")


def test_of_a_remote_target_with_a_reference_nothing_is_bought(
    cli: Cli, write: Callable[..., None], tmp_path: Path
) -> None:
    """The auditor draws from the reference, and so does a check: here the target does not even answer."""
    write()  # for the checkpoint
    write(target={"url": "http://127.0.0.1:9"}, reference={"checkpoint": "there"})
    _, out, _ = cli("check", "mine.yaml")
    assert "Target: 64 images" in out
    assert "were bought" not in out
    assert not (tmp_path / "audits" / "mine" / "ledger.sqlite").exists()


def test_a_machine_that_fails_is_no_bad_input(
    cli: Cli, write: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    def silent(*_: object) -> None:
        raise StepError("the gateway gave up. Run the same command again.")

    write()
    monkeypatch.setattr("ganguard.audit.steps.target.open_undefended", silent)
    code, out, _ = cli("check", "mine.yaml")
    assert code == 1
    assert "✗ target: the gateway gave up." in out


def test_the_conditional_audit_that_comes_with_ganguard_can_begin(cli: Cli) -> None:
    code, out, err = cli("check", "digits-conditional")
    assert (code, "Traceback" in err) == (0, False), out + err
    assert "an untrained one stood in" in out
    assert "The audit can begin." in out


@pytest.mark.parametrize("kind", ["acgan", "biggan", "flow", "sngan", "stylegan2"])
def test_a_conditional_target_that_is_to_be_trained_is_stood_in_for(
    cli: Cli, write: Callable[..., None], kind: str
) -> None:
    latent = {} if kind == "flow" else {"latent_dim": 4}
    architecture = {"kind": kind, "width": 4, "classes": 10, **latent}
    trained = {"dataset": "digits", "architecture": architecture, **SMALL}
    write(target={"train": trained}, attacks=[{**ATTACK, **SMALL, "architecture": {**architecture}}])
    code, out, err = cli("check", "mine.yaml")
    assert code == 0, out + err
    assert "an untrained one stood in" in out


def test_a_target_of_other_classes_than_its_images_is_found_before_it_is_trained(
    cli: Cli, write: Callable[..., None]
) -> None:
    trained = {"dataset": "digits", "architecture": {**CONDITIONAL, "classes": 9}, **SMALL}
    write(target={"train": trained})
    code, out, _ = cli("check", "mine.yaml")
    assert code == 2
    assert "✗ target: sngan has 9 classes, and the images have 10. Set classes: 10." in out


@pytest.mark.parametrize("domain", [None, "digits"])
def test_conditional_attacks_on_a_conditional_checkpoint_are_timed(
    cli: Cli, write: Callable[..., None], tmp_path: Path, domain: str | None
) -> None:
    architecture = parse_architecture(CONDITIONAL)
    networks = build_networks(architecture, (1, 8, 8))
    names = tuple(str(digit) for digit in range(10))
    save_checkpoint(tmp_path / "asked", networks, architecture, (1, 8, 8), {}, class_names=names)
    attack = {**ATTACK, **SMALL, "architecture": CONDITIONAL}
    if domain:
        attack |= {"kind": "transfer", "domain": domain, "domain_images": 10}
    write(target={"checkpoint": "asked"}, attacks=[attack])
    code, out, err = cli("check", "mine.yaml")
    assert code == 0, out + err
    assert "timing sngan" in err
    assert "Time: about " in out


def test_a_flow_has_no_discriminator_and_can_be_checked(cli: Cli, write: Callable[..., None]) -> None:
    flow = {"kind": "flow", "width": 4}
    write(
        target={"train": {"dataset": "digits", "architecture": flow, **SMALL}},
        attacks=[{**ATTACK, **SMALL, "architecture": {**flow}}],
    )
    code, out, err = cli("check", "mine.yaml")
    assert code == 0, out + err
    assert "The audit can begin." in out
