"""How `harvest`, `attack` and `check` ask a conditional target, and what they say of it."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from ganguard.architectures.checkpoint import save_checkpoint
from ganguard.architectures.networks import build_networks, parse_architecture
from ganguard.audit.check import pace
from ganguard.cli.options import asked_for
from ganguard.queries.ledger import Ledger
from ganguard.queries.store import Store

Cli = Callable[..., tuple[int, str, str]]
NAMES = ("cat", "dog", "owl")


def conditional(directory: Path, names: tuple[str, ...]) -> Path:
    """Write an untrained SNGAN of three classes."""
    architecture = parse_architecture({"kind": "sngan", "width": 4, "latent_dim": 5, "classes": 3})
    networks = build_networks(architecture, (1, 8, 8))
    return save_checkpoint(directory, networks, architecture, (1, 8, 8), {"steps": 0}, class_names=names)


@pytest.fixture
def gan(tmp_path: Path) -> Path:
    return conditional(tmp_path / "gan", NAMES)


def test_texts_of_the_option_are_names_or_one_mapping() -> None:
    assert asked_for(None) is None
    assert asked_for(["uniform"]) == "uniform"
    assert asked_for(["a cat, and a dog"]) == ["a cat, and a dog"]
    assert asked_for(["cat", "dog"]) == ["cat", "dog"]
    assert asked_for(["spread"]) == "spread"
    assert asked_for(["[cat, dog]"]) == ["cat", "dog"]
    assert asked_for(["{cat: 0.7, dog: 0.3}"]) == {"cat": 0.7, "dog": 0.3}


def test_a_harvest_asks_for_what_it_is_told(cli: Cli, gan: Path, tmp_path: Path) -> None:
    def bought(*options: str) -> Counter[str]:
        out = tmp_path / "-".join(["out", *options]).replace("{", "").replace("}", "")
        code, _, err = cli("harvest", str(gan), "--count", "40", "--out", str(out), *options)
        assert code == 0, err
        return Counter(Store.open(out).read_conditions(40))

    assert set(bought()) == set(NAMES)
    assert bought("--ask", "owl") == {"owl": 40}
    assert set(bought("--ask", "owl", "--ask", "cat")) == {"owl", "cat"}
    assert bought("--ask", "{cat: 0.9, dog: 0.1}")["cat"] > 25


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (["--ask", "cow"], "unknown class 'cow'"),
        (["--ask", "{cat: 0.9}"], "must add up to 1; they add up to 0.9"),
        (["--ask", "cat", "--ask", "cat"], "each once"),
        (["--ask", "{cat: "], "not YAML"),
        (["--ask", "{}"], "must be uniform, spread, coreset, uncertainty, conditions, a list of conditions"),
        (["--ask", "[007]"], "YAML reads '007' here as 7. Put that name in quotes"),
    ],
)
def test_what_cannot_be_asked_is_refused_before_anything_is_bought(
    cli: Cli, gan: Path, tmp_path: Path, asked: list[str], said: str
) -> None:
    for verb in (["harvest"], ["attack", "fidelity"]):
        code, _, err = cli(*verb, str(gan), "--out", str(tmp_path / verb[0]), *asked)
        assert code == 2, err
        (line,) = err.strip().splitlines()
        assert said in line
        assert not (tmp_path / verb[0] / "ledger.sqlite").exists()


@pytest.mark.parametrize(
    ("options", "name"),
    [
        (["--ask", "cat", "--set", "ask=[dog]"], "ask"),
        (["--architecture", "sngan", "--set", "architecture=dcgan"], "architecture"),
        (["--domain", "digits", "--set", "domain=digits"], "domain"),
    ],
)
def test_what_is_said_twice_is_refused(cli: Cli, gan: Path, options: list[str], name: str) -> None:
    code, _, err = cli("attack", "fidelity", str(gan), "--out", "copy", *options)
    said = f"--{name} and --set {name} are both given, and one of them holds. Leave one out."
    assert (code, err.strip()) == (2, f"error: {said}")


def test_a_part_of_what_an_option_says_may_be_set(cli: Cli, gan: Path) -> None:
    code, _, err = cli(
        *("attack", "fidelity", str(gan), "--out", "copy", "--ask", "{judge: spread}"),
        *("--set", "ask.pilot=cat"),
    )
    assert code == 2
    assert "ask.pilot" in err


def test_a_target_without_conditions_is_asked_for_none(
    cli: Cli, tiny_checkpoint: Callable[..., Path], tmp_path: Path
) -> None:
    plain = str(tiny_checkpoint(tmp_path / "plain"))
    for verb in (["harvest"], ["attack", "fidelity"]):
        code, _, err = cli(*verb, plain, "--out", str(tmp_path / verb[0]), "--ask", "cat")
        assert code == 2
        assert "this target takes none" in err
        assert not (tmp_path / verb[0] / "ledger.sqlite").exists()
    uniform = cli("harvest", plain, "--count", "3", "--out", str(tmp_path / "u"), "--ask", "uniform")
    assert uniform[0] == 0
    assert Store.open(tmp_path / "u").ask is None


@pytest.mark.slow
def test_an_attack_asks_for_what_it_is_told(cli: Cli, gan: Path, tmp_path: Path) -> None:
    out = tmp_path / "copy"
    said = ["--query-budget", "24", "--set", "steps=2", "--set", "batch_size=8", "--ask", "owl"]
    said += ["--set", "architecture={kind: sngan, width: 4, classes: 3}"]
    code, _, err = cli("attack", "fidelity", str(gan), "--out", str(out), *said)
    assert code == 0, err
    assert set(Store.open(out / "purchase").read_conditions(24)) == {"owl"}
    with Ledger(out / "ledger.sqlite") as ledger:
        assert ledger.balance("adversary").delivered == 24


@pytest.mark.slow
def test_a_check_says_what_the_target_can_be_asked_for(
    cli: Cli, gan: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pace, "LONG_ENOUGH", 0.0)
    monkeypatch.setattr(pace, "COMPARED", 50)
    classes = [str(digit) for digit in range(3)]
    named = conditional(tmp_path / "digits", tuple(classes))
    attack = {"kind": "fidelity", "architecture": {"kind": "dcgan", "width": 4}, "query_budget": 10}
    said = {"target": {"checkpoint": str(named)}, "real": "digits", "features": "random_network"}
    said |= {"samples": 60, "ask": ["2"], "attacks": [{**attack, "steps": 2, "batch_size": 8}]}
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(said))
    code, shown, err = cli("check", str(tmp_path / "mine.yaml"), "--out", str(tmp_path / "audit"))
    assert code == 0, shown + err
    assert "Can be asked for 3 classes: '0', '1', '2'; the audit asks only 2." in " ".join(shown.split())


def test_an_attack_whose_judge_would_see_no_image_beyond_its_pilot_is_refused(
    cli: Cli, gan: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    code, _, err = cli(
        "attack", "fidelity", str(gan), "--query-budget", "60", "--ask", "spread", "--out", str(out)
    )
    assert code == 2
    assert (
        "spread asks uniformly for its first 200 images, and query_budget of 60 pays for 60. Raise it" in err
    )
    assert len(err.splitlines()) == 1
    assert not out.exists()


def test_a_harvest_that_ends_in_the_pilot_says_that_nothing_was_chosen(
    cli: Cli, gan: Path, tmp_path: Path
) -> None:
    asked = ["--ask", "{judge: spread, pilot: 12}", "--out", str(tmp_path / "out")]
    code, _, err = cli("harvest", str(gan), "--count", "12", *asked)
    assert code == 0
    assert "Nothing was chosen yet: the first 12 are asked for at random" in " ".join(err.split())
    code, _, err = cli("harvest", str(gan), "--count", "16", *asked)
    assert code == 0
    assert "Nothing was chosen" not in err
