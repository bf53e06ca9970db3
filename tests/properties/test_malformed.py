"""Whatever file is carried to a door: it is read, or refused in one line that names it. Nothing in it runs,
no traceback comes out, and no memory or time is spent on what it only claims."""

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from malformed_corpus import DOORS
from malformed_mutations import pickles

LEAST = 1000  # cases of the default run
MOST_MEGABYTES = 1024  # of the whole process, torch's own 300 among them
EVERY = 8  # of the cases that are damaged at random, the default run takes one in so many
FEED = Path(__file__).with_name("malformed_feed.py")


def feed(directory: Path, every: int) -> dict[str, Any]:
    """Carry the corpus to its doors in a process of its own, and return what happened and what it said on
    standard error."""
    work, out = directory / "work", directory / "out.json"
    work.mkdir()
    command = [sys.executable, "-W", "default", str(FEED), str(work), str(out), str(every)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=1200, check=False)
    last = (work / "last").read_text() if (work / "last").exists() else "none"
    assert done.returncode == 0, f"the process ended with {done.returncode} at {last}: {done.stderr[-2000:]}"
    return json.loads(out.read_text()) | {"said": done.stderr}


@pytest.fixture(scope="module")
def fed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return feed(tmp_path_factory.mktemp("fed"), EVERY)


def test_the_corpus_is_large_and_every_door_gets_its_share(fed: dict[str, Any]) -> None:
    assert sum(fed["counts"].values()) >= LEAST
    assert fed["counts"].keys() == DOORS.keys()
    assert min(fed["counts"].values()) >= 15


@pytest.mark.parametrize("door", DOORS)
def test_every_case_is_read_or_refused_by_name_in_one_line(fed: dict[str, Any], door: str) -> None:
    assert [wrong for wrong in fed["wrong"] if wrong.startswith(f"{door}: ")] == []


def test_nothing_is_run(fed: dict[str, Any]) -> None:
    assert [wrong for wrong in fed["wrong"] if "ran code" in wrong] == []


def test_the_pickles_are_live(tmp_path: Path) -> None:
    """Or it would prove nothing that they are not run."""
    for number, (name, content) in enumerate(pickles(str(tmp_path / "ran"))):
        if name.startswith("protocol") or name == "in text":
            pickle.loads(content)
            os.rename(tmp_path / "ran", tmp_path / str(number))


def test_memory_stays_below_a_gigabyte(fed: dict[str, Any]) -> None:
    assert fed["peak_megabytes"] < MOST_MEGABYTES


def test_no_door_hangs(fed: dict[str, Any]) -> None:
    assert [wrong for wrong in fed["wrong"] if "no answer within" in wrong] == []


def test_nothing_is_said_on_standard_error(fed: dict[str, Any]) -> None:
    """Only libtiff, deep in Pillow, writes there itself."""
    assert [line for line in fed["said"].splitlines() if "TIFF" not in line] == []


@pytest.mark.slow
def test_the_whole_corpus(tmp_path: Path) -> None:
    fed = feed(tmp_path, 1)
    assert sum(fed["counts"].values()) > 3 * LEAST
    assert fed["wrong"] == []
    assert fed["peak_megabytes"] < MOST_MEGABYTES
