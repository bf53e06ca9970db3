"""Runs `ganguard` again and again on a disk that is full from some moment on: a program, so that nothing else
is starved.

Arguments: the directory to run in. Standard input: JSON, a list of [place, limit, arguments], one for each
run: from the first call of `place` ("module:name") on, no file may grow beyond `limit` bytes. Standard
output: what came of each run, as JSON.
"""

import contextlib
import functools
import importlib
import io
import json
import resource
import sys
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any
from unittest import mock

from comparing import temporaries

from ganguard.audit.doctor import examine
from ganguard.base.errors import DataError
from ganguard.cli.main import main


def run(directory: Path, arguments: list[str]) -> tuple[int, list[str]]:
    """`ganguard` with arguments in `directory`: the exit code, and the lines on standard error."""
    said = io.StringIO()
    with (
        contextlib.chdir(directory),
        contextlib.redirect_stderr(said),
        contextlib.redirect_stdout(io.StringIO()),
        mock.patch.object(sys, "argv", ["ganguard", *arguments]),
    ):
        try:
            main()
        except SystemExit as ended:
            return int(ended.code or 0), said.getvalue().splitlines()
    raise AssertionError("main() returned")


@contextlib.contextmanager
def full_from(place: str, limit: int) -> Generator[None]:
    """The disk is full from the first call of `place` in the body on."""
    module, _, name = place.partition(":")
    *path, last = name.split(".")
    owner: Any = functools.reduce(getattr, path, importlib.import_module(module))
    original: Callable[..., Any] = getattr(owner, last)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def called(*args: Any, **kwargs: Any) -> Any:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
        return original(*args, **kwargs)

    try:
        with mock.patch.object(owner, last, called):
            yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def wrong(out: Path) -> list[str]:
    """What the doctor finds wrong there."""
    try:
        return [f"{finding.where}: {finding.what}" for finding in examine(out) if finding.severity == "wrong"]
    except DataError:  # nothing of an audit is there yet
        return []


def outcome(directory: Path, place: str, limit: int, arguments: list[str]) -> dict[str, Any]:
    """The exit code and the lines of one run; temporary files, and what is wrong, after it."""
    with full_from(place, limit):
        code, lines = run(directory, arguments)
    left = [str(path) for path in temporaries(directory)]
    return {"code": code, "lines": lines, "left": left, "wrong": wrong(directory / "out")}


if __name__ == "__main__":
    json.dump([outcome(Path(sys.argv[1]), *given) for given in json.load(sys.stdin)], sys.stdout)
