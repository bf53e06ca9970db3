"""Finished steps are found whole or not at all, whatever the clock says."""

import json
import time
from importlib.metadata import PackageNotFoundError
from itertools import count
from pathlib import Path

import pytest

from ganguard.audit.engine.cache import Done, read_record, step_key
from ganguard.audit.engine.execute import Execution, execute
from ganguard.audit.engine.run_step import Event
from ganguard.audit.plan.plan import Plan
from ganguard.audit.plan.step import Input, Step
from ganguard.base import cache
from ganguard.base.compute import Compute
from ganguard.defences.output_jpeg import Jpeg
from ganguard.metrics.features import network
from ganguard.metrics.features.network import library_versions, parse_features

STEPS = (
    Step("real", "real", {"kind": "digits", "fingerprint": "x"}),
    Step("features", "features", {"kind": "random_network"}, (Input("real", "real"),)),
)


def run(audit: Path, steps: tuple[Step, ...] = STEPS) -> tuple[Execution, list[str]]:
    """What came of the steps, and which were done anew."""
    events: list[Event] = []
    execution = execute(Plan(steps, ()), audit, Compute(), processes=1, listener=events.append)
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
    touched = Step("real", "real", {"kind": "digits", "fingerprint": "y"})
    assert run(audit, (touched, STEPS[1]))[1] == ["real"]


def test_every_file_of_a_step_is_recorded(audit: Path) -> None:
    record = read_record(step_of(audit, "real"))
    assert record["name"] == "real"
    assert sorted(record["files"]) == ["grid.png", "real.safetensors"]


def test_a_record_with_a_flipped_bit_is_no_record(audit: Path) -> None:
    path = step_of(audit, "features") / "step.json"
    sound = path.read_bytes()
    for place in range(0, 250, 7):
        path.write_bytes(sound[:place] + bytes([sound[place] ^ 1 << place % 8]) + sound[place + 1 :])
        with pytest.raises((ValueError, KeyError)):
            read_record(path.parent)


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
    done = {"real": Done(Path(), {"result": "0"}, 0.0)}
    return step_key(step, done, Compute())


@pytest.mark.parametrize(
    ("step", "changes"),
    [
        (Step("features", "features", {"kind": "huggingface", "model": "x"}, (Input("real", "real"),)), True),
        (
            Step(
                "d",
                "defend",
                {"defences": [{"kind": "adversarial_noise", "network": {"kind": "huggingface"}}]},
            ),
            True,
        ),
        (
            Step(
                "s",
                "substitute",
                {"guess": [{"kind": "adversarial_noise", "network": {"kind": "huggingface"}}]},
            ),
            True,
        ),
        (STEPS[1], False),
        (STEPS[0], False),
    ],
    ids=["features", "a defence", "a guess", "other features", "no features"],
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
    step = Step("d", "defend", {"defences": [{"kind": "jpeg", "quality": 50}]})
    before = _key(step)
    monkeypatch.setattr(Jpeg, "libraries", ("simplejpeg", "pydantic"))
    assert _key(step) != before
