"""Finished steps are found whole or not at all, whatever the clock says."""

import json
import time
from importlib.metadata import PackageNotFoundError
from itertools import count
from pathlib import Path

import pytest
from plan_samples import features_step, plan_of, real_step

from ganguard.attacks.protocol import parse_attack
from ganguard.audit.engine.cache import Done, finish, read_step, require_whole, step_directory, step_key
from ganguard.audit.engine.execute import Execution, execute
from ganguard.audit.engine.run_step import Event
from ganguard.audit.plan.adversary_work import SubstituteInputs, SubstituteSettings
from ganguard.audit.plan.ground_work import (
    DefendInputs,
    DefendSettings,
    FitInputs,
    FitSettings,
    NoInputs,
    OpenTargetSettings,
)
from ganguard.audit.plan.step import Input, Step
from ganguard.audit.spec.chains import Chain
from ganguard.base import cache
from ganguard.base.compute import Compute
from ganguard.base.errors import DataError
from ganguard.defences.output_jpeg import Jpeg
from ganguard.defences.protocol import parse_chain
from ganguard.metrics.features import network
from ganguard.metrics.features.network import library_versions, parse_features
from ganguard.targets.load import TargetSettings

REAL = real_step()
STEPS = (REAL, features_step(REAL))
TARGET = Step("target", OpenTargetSettings(target=TargetSettings(), codes="provider"), NoInputs())
MISLEADS = parse_chain(
    {"kind": "adversarial_noise", "budget": 8, "network": {"kind": "huggingface", "model": "x"}}
)


def defend(kind: str, **settings: object) -> Step:
    chain = parse_chain({"kind": kind, **settings})
    return Step("d", DefendSettings(chain=chain, fingerprints=(None,)), DefendInputs(Input(TARGET)))


def substitute(guess: Chain = ()) -> Step:
    attack = parse_attack({"kind": "fidelity", "architecture": "sngan", "query_budget": 9})
    settings = SubstituteSettings(attack=attack, fingerprint=None, codes="provider", seed=0, guess=guess)
    return Step("s", settings, SubstituteInputs(Input(TARGET)))


def fit(*guesses: Chain) -> Step:
    settings = FitSettings(attacks=(), fingerprints=(), guesses=guesses)
    return Step("f", settings, FitInputs(Input(REAL), Input(TARGET)))


def run(audit: Path, steps: tuple[Step, ...] = STEPS) -> tuple[Execution, list[str]]:
    """What came of the steps, and which were done anew."""
    events: list[Event] = []
    execution = execute(plan_of(*steps), audit, Compute(), processes=1, listener=events.append)
    return execution, [event.step for event in events if event.what == "begins"]


@pytest.fixture
def audit(tmp_path: Path) -> Path:
    assert run(tmp_path)[1] == ["real", "features"]
    return tmp_path


def step_of(audit: Path, kind: str) -> Path:
    (found,) = (audit / "steps").glob(f"{kind}-*")
    return found


def test_images_that_may_have_changed_are_read_again_and_nothing_more_where_they_are_the_same(
    audit: Path,
) -> None:
    touched = real_step("y")
    assert run(audit, (touched, features_step(touched)))[1] == ["real"]


def test_every_file_of_a_step_is_recorded(audit: Path) -> None:
    record = read_step(step_of(audit, "real"))
    assert record.name == "real"
    assert sorted(record.files) == ["counts.json", "grid.png", "real.safetensors"]


def test_a_record_with_a_flipped_bit_is_no_record(audit: Path) -> None:
    path = step_of(audit, "features") / "step.json"
    sound = path.read_bytes()
    for place in range(0, 250, 7):
        path.write_bytes(sound[:place] + bytes([sound[place] ^ 1 << place % 8]) + sound[place + 1 :])
        with pytest.raises((ValueError, KeyError)):
            read_step(path.parent)


def test_what_is_no_record_has_the_step_done_again(audit: Path) -> None:
    first = run(audit)[0].done
    for content in (b"", b"3", b"[]", b"null", b"{}", b'{"checksum": "0"}'):
        (step_of(audit, "features") / "step.json").write_bytes(content)
        execution, begun = run(audit)
        assert begun == ["features"]
        assert execution.done["features"].digests == first["features"].digests


@pytest.mark.parametrize("damage", ["removed", "truncated"])
def test_a_file_that_is_absent_or_cut_off_has_the_step_done_again(audit: Path, damage: str) -> None:
    path = step_of(audit, "real") / "real.safetensors"
    content = path.read_bytes()
    path.unlink() if damage == "removed" else path.write_bytes(content[:-1])
    assert run(audit)[1] == ["real"]
    assert path.read_bytes() == content


def test_a_step_of_which_a_byte_changed_is_named(tmp_path: Path) -> None:
    step = REAL
    work = step_directory(tmp_path, step, "0" * 64, "work")
    work.mkdir(parents=True)
    (work / "data").write_bytes(b"as it was")
    directory = finish(tmp_path, step, "0" * 64, {}, 0.0).directory
    require_whole(directory)
    require_whole.cache_clear()
    (directory / "data").write_bytes(b"as it is.")
    with pytest.raises(
        DataError,
        match=r"data: damaged: its SHA-256 is not the recorded one\. Remove .* it is then done again",
    ):
        require_whole(directory)


def test_a_clock_that_goes_backwards_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sound = run(tmp_path / "sound")[0].done
    clock = count(2_000_000_000, -86_400)  # a day earlier at every look
    monkeypatch.setattr(time, "time", lambda: float(next(clock)))
    monkeypatch.setattr(time, "time_ns", lambda: next(clock) * 10**9)
    backwards, begun = run(tmp_path / "backwards")
    assert begun == ["real", "features"]
    assert {name: done.digests for name, done in backwards.done.items()} == {
        name: done.digests for name, done in sound.items()
    }
    finished = [
        json.loads((done.directory / "step.json").read_text())["finished"] for done in backwards.done.values()
    ]
    assert finished[0] > finished[1]
    again, begun = run(tmp_path / "backwards")
    assert begun == []
    assert again.done == backwards.done


def _key(step: Step) -> str:
    done = {name: Done(Path(), {"result": "0"}, 0.0) for name in ("real", "target")}
    return step_key(step, done, Compute())


@pytest.mark.parametrize(
    ("step", "changes"),
    [
        (features_step(REAL, {"kind": "huggingface", "model": "x"}), True),
        (Step("d", DefendSettings(chain=MISLEADS, fingerprints=(None,)), DefendInputs(Input(TARGET))), True),
        (substitute(guess=MISLEADS), True),
        (fit(MISLEADS), True),
        (STEPS[1], False),
        (REAL, False),
        (substitute(), False),
        (fit(), False),
        (defend("jpeg", quality=50), False),
    ],
    ids=[
        "features",
        "a defence",
        "a guess",
        "a guess that is tried out",
        "other features",
        "no features",
        "no guess",
        "no guess to try out",
        "another defence",
    ],
)
def test_the_version_of_transformers_counts_where_its_features_are_used(
    step: Step, changes: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = _key(step)
    monkeypatch.setattr(network, "library_version", lambda library: {"transformers": "99.0"}[library])
    assert (_key(step) != before) == changes


def test_libraries_that_are_absent_leave_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """The step itself says what to install."""

    def absent(library: str) -> str:
        raise PackageNotFoundError(library)

    monkeypatch.setattr(cache, "version", absent)
    monkeypatch.setattr(
        network, "library_version", cache.library_version.__wrapped__
    )  # which remembers nothing
    assert library_versions(parse_features("huggingface")) == {"transformers": "absent"}


def test_what_another_packages_defence_stands_on_is_part_of_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a target behind it, the identity holds it, too: a step that was done before would open another
    one."""
    steps = [
        defend("jpeg", quality=50),
        *(make(parse_chain({"kind": "jpeg", "quality": 50})) for make in (substitute, fit)),
    ]
    before = [_key(step) for step in steps]
    without = _key(substitute()), _key(fit())
    monkeypatch.setattr(Jpeg, "libraries", ("simplejpeg", "pydantic"))
    assert all(_key(step) != key for step, key in zip(steps, before, strict=True))
    assert (_key(substitute()), _key(fit())) == without
