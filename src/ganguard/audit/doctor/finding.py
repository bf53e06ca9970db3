"""What the doctor says of one thing."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

AGAIN = "Run the same command again: it is written again."


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        severity: "ok", a "note" that asks for nothing or little, or something "wrong".
        what: what is the case, without a full stop.
        where: the file or directory.
        advice: what to do; "" if nothing.
    """

    severity: Literal["ok", "note", "wrong"]
    what: str
    where: Path
    advice: str = ""


def ok(what: str, where: Path) -> Finding:
    """Return the finding that something is whole."""
    return Finding("ok", what, where)


def note(what: str, where: Path, advice: str = "") -> Finding:
    """Return a finding that asks for nothing or little."""
    return Finding("note", what, where, advice)


def wrong(what: str, where: Path, advice: str) -> Finding:
    """Return the finding that something is wrong."""
    return Finding("wrong", what, where, advice)
