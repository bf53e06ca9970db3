"""Reading a spec: a file or a preset, one laid over another, and changes from the command line."""

from collections.abc import Callable
from pathlib import Path

import pytest

from ganguard.audit.spec.reading import audits_listed, read_spec
from ganguard.audit.spec.target import TrainTarget
from ganguard.base.errors import SpecError


def test_a_spec_like_a_preset_says_only_what_differs(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("like: digits-accuracy-good\ntarget: {train: {steps: 7}}\nsamples: 60\n")
    _, mine = read_spec(str(file), ["seeds=[4]"])
    _, preset = read_spec("digits-accuracy-good", [])
    assert isinstance(mine.target, TrainTarget) and isinstance(preset.target, TrainTarget)
    assert (mine.target.steps, mine.samples, mine.seeds, mine.attacks) == (7, 60, (4,), preset.attacks)
    assert mine.target.model_copy(update={"steps": preset.target.steps}) == preset.target


def test_a_spec_like_several_audits_names_them(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("like: digits-accuracy\n")
    with pytest.raises(
        SpecError, match=r"like: digits-accuracy lists audits: digits-accuracy-good, .*\. Name one of them\.$"
    ):
        read_spec(str(file), [])


def test_a_spec_like_no_preset_names_the_known_ones(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    for like in ("digist", "[1]"):
        file.write_text(f"like: {like}\n")
        with pytest.raises(SpecError, match="like: unknown preset"):
            read_spec(str(file), [])


def test_a_target_of_another_kind_takes_the_place_of_the_presets(
    tmp_path: Path, tiny_checkpoint: Callable[..., Path]
) -> None:
    checkpoint, file = tiny_checkpoint(tmp_path / "copy"), tmp_path / "mine.yaml"
    file.write_text(
        f"like: digits\ntarget: {{checkpoint: {checkpoint}}}\nreal: {{kind: digits, classes: [1, 2]}}\n"
    )
    _, mine = read_spec(str(file), [])
    assert not isinstance(mine.target, TrainTarget)


def test_an_unknown_preset_names_the_nearest() -> None:
    with pytest.raises(
        SpecError,
        match=r"unknown preset 'digit'; did you mean 'digits'\? "
        r"Known: .*, digits, .*digits-full, .*digits-transfer",
    ):
        read_spec("digit", [])


def test_a_missing_file_is_no_preset() -> None:
    with pytest.raises(SpecError, match=r"absent\.yaml: no such spec file"):
        read_spec("absent.yaml", [])


@pytest.mark.parametrize(
    "text",
    ["a: [", "- 1", "just words", "", "a: 1\na: 2", "a: &x [1]\nb: [*x, *x]", "a: 2020-99-99", "[" * 3000],
    ids=["open", "list", "words", "empty", "key twice", "alias", "no such day", "deep"],
)
def test_a_file_that_is_no_spec(tmp_path: Path, text: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(SpecError, match=r"mine\.yaml"):
        read_spec(str(path), [])


def test_set_reaches_nested_keys_and_lists() -> None:
    _, spec = read_spec(
        "digits-full", ["target.train.steps=7", "attacks.1.architecture=sngan", "seeds=[3, 4]"]
    )
    assert isinstance(spec.target, TrainTarget)
    assert spec.target.steps == 7
    assert {attack.architecture.kind for attack in spec.attacks} == {"sngan"}
    assert spec.seeds == (3, 4)


@pytest.mark.parametrize("change", ["steps", "=3", "attacks.9.steps=1", "real.kind=digits", "a..b=1"])
def test_set_refuses_what_leads_nowhere(change: str) -> None:
    with pytest.raises(SpecError):
        read_spec("digits", [change])


def test_a_spec_lists_audits_or_is_one() -> None:
    assert audits_listed("pairs") == ("pairs", ["pairs-sngan", "pairs-pggan", "pairs-stylegan2"])
    assert audits_listed("digits") == ("digits", [])


@pytest.mark.parametrize(
    "said", ["[digits]", "digits", "[digits, 3]", "[digits, digits]", "[a, b]\nseeds: [0]"]
)
def test_a_list_of_audits_that_is_none_is_refused(tmp_path: Path, said: str) -> None:
    (tmp_path / "mine.yaml").write_text(f"audits: {said}")
    with pytest.raises(SpecError, match="audits must be a list of two or more"):
        audits_listed(str(tmp_path / "mine.yaml"))
