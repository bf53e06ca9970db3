"""Carry the corpus to its doors in one process, and write down what happened.

    python malformed_feed.py WORK RESULTS EVERY

A process of its own can be measured for memory, its standard error can be read, and its crash does not take
pytest down.
"""

import faulthandler
import json
import os
import re
import resource
import signal
import sys
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from malformed_corpus import DOORS, Case, corpus

from ganguard.base.errors import InputError

LONGEST = 500  # characters of a refusal, without the path
# Seconds of processor time after which a door counts as hanging. The largest sound image takes less than one
# second on a quiet machine, and five on a busy one.
PATIENCE = 30
MOST_ADDRESSES = 16 << 30  # bytes of address space
# matches the names of the cases that are damaged at random
AT_RANDOM = re.compile(
    r"bits flipped|stirred|truncated to| = | nested \d+ deep| is absent| at \d+$|depth \d| is "
)
# audit events of Python that mean that code in a file has run
RUNS_CODE = (
    "os.system",
    "os.exec",
    "os.posix_spawn",
    "os.spawn",
    "subprocess.Popen",
    "pickle.find_class",
    "socket.connect",
)


class Hanging(BaseException):
    """A case took longer than `PATIENCE`. No door catches it, as a door may catch any other exception."""


class Watch:
    """Records the audit events of `RUNS_CODE` while it is on."""

    def __init__(self) -> None:
        self.on = False
        self.seen: list[str] = []
        sys.addaudithook(self)

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.on and event in RUNS_CODE:
            self.seen.append(f"{event} {arguments!r:.100}")


def problem_of(case: Case, directory: Path) -> str:
    """Return what is wrong with how a door treats a case; empty if nothing is."""
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        try:
            DOORS[case.door](directory, case.given)
        except InputError as refusal:
            return _problem_of_refusal(str(refusal), case, directory) or "; ".join(
                f"warned: {w.message}" for w in warned
            )
        except Hanging:
            return f"no answer within {PATIENCE} s of processor time"
        except Exception as problem:  # noqa: BLE001 - no door may raise this
            import traceback

            place = traceback.extract_tb(problem.__traceback__)[-1]
            where = f"{place.filename.rpartition('/')[2]}:{place.lineno}"
            return f"raised {type(problem).__name__}: {str(problem)[:200]} ({where})"
        return "; ".join(f"warned: {w.message}" for w in warned)


def _problem_of_refusal(message: str, case: Case, directory: Path) -> str:
    if len(message.replace(str(directory), "")) > LONGEST:
        return f"the refusal has {len(message)} characters: {message[:300]}"
    if len(message.splitlines()) != 1 or not message.replace(case.given, "").isprintable():
        return f"the refusal is not one plain line: {message!r:.400}"
    if not any(name in message for name in case.blames):
        return f"the refusal names none of {case.blames}: {message}"
    return ""


def _give_up(_number: int, _frame: FrameType | None) -> None:
    raise Hanging


def thinned(cases: Iterator[Case], every: int) -> Iterator[Case]:
    """Yield every case damaged on purpose, and for each door one in `every` of those damaged at random."""
    at_random: Counter[str] = Counter()
    for case in cases:
        if AT_RANDOM.search(case.name):
            at_random[case.door] += 1
        if not AT_RANDOM.search(case.name) or at_random[case.door] % every == 0:
            yield case


class Feeding:
    """Carries cases to their doors, and keeps what happened so far."""

    def __init__(self, work: Path) -> None:
        self.directory, self.marker, self.last = work / "case", work / "it-ran", work / "last"
        self.watch = Watch()
        self.counts: Counter[str] = Counter()
        self.times: list[tuple[float, str]] = []
        self.wrong: list[str] = []

    def feed(self, case: Case) -> None:
        """Carry one case to its door."""
        name = f"{case.door}: {case.name}"
        case.lay_out(self.directory)
        self.last.write_text(name)  # if this process crashes, the file names the case
        # The first case of a door is sound, and is not watched: the door's imports may start programs.
        self.watch.on = self.counts[case.door] > 0
        signal.setitimer(signal.ITIMER_PROF, PATIENCE)
        begun = time.process_time()
        problem = problem_of(case, self.directory)
        self.times.append((time.process_time() - begun, name))
        signal.setitimer(signal.ITIMER_PROF, 0)
        self.watch.on = False
        self.counts[case.door] += 1
        if self.watch.seen or self.marker.exists():
            problem = f"ran code: {self.watch.seen} {problem}"
            self.watch.seen.clear()
        if problem:
            self.wrong.append(f"{name}: {problem}")


def peak_megabytes() -> float:
    """Return the most memory that this process held. getrusage would include the process that started it."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split(maxsplit=1)[0]) / 1024


def main(work: Path, out: Path, every: int) -> None:
    """Feed the corpus in the directory `work`, and write what happened to `out` as JSON."""
    faulthandler.enable()
    torch.set_num_threads(1)
    # A decompression bomb then ends this process instead of the machine.
    resource.setrlimit(resource.RLIMIT_AS, (MOST_ADDRESSES, MOST_ADDRESSES))
    signal.signal(signal.SIGPROF, _give_up)
    os.chdir(work)
    feeding = Feeding(work)
    for case in thinned(corpus(str(feeding.marker)), every):
        feeding.feed(case)
    outcome = {
        "counts": feeding.counts,
        "wrong": feeding.wrong,
        "slowest": sorted(feeding.times)[-5:],
        "seconds": {
            door: sum(t for t, name in feeding.times if name.startswith(f"{door}: "))
            for door in feeding.counts
        },
        "peak_megabytes": peak_megabytes(),
        "processor_seconds": time.process_time(),
    }
    out.write_text(json.dumps(outcome))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
