"""Findings in files that ganguard wrote, and the list that checks add them to."""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ganguard.base.settings import one_line

Severity = Literal["ok", "note", "wrong"]
LONGEST_REASON = 300  # characters of an error's message that a finding repeats


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        severity: "ok", a "note" that asks for nothing or little, or something "wrong".
        what: what is the case, without a full stop.
        where: the file or directory.
        advice: what to do; "" if nothing.
    """

    severity: Severity
    what: str
    where: Path
    advice: str = ""


class Findings(list[Finding]):
    """What was found, in the order in which it was looked at."""

    def add(self, severity: Severity, what: str, where: Path, advice: str = "") -> None:
        """Add a finding; see `Finding` for what is said."""
        self.append(Finding(severity, what, where, advice))

    @contextmanager
    def unless(
        self, errors: type[Exception] | tuple[type[Exception], ...], what: str, where: Path, advice: str
    ) -> Generator[None]:
        """Make an error that ends the body a finding that something is wrong.

        what: "{problem}" in it stands for the error's message, "{kind}" for its class.
        """
        try:
            yield
        except errors as problem:
            reason = one_line(problem, LONGEST_REASON).rstrip(".")
            self.add("wrong", what.format(problem=reason, kind=type(problem).__name__), where, advice)

    @contextmanager
    def whole(self, what: str, where: Path) -> Generator[None]:
        """Find that something is whole if the body finds nothing."""
        before = len(self)
        yield
        if len(self) == before:
            self.add("ok", what, where)
