"""What checks add to the list of findings."""

from pathlib import Path

import pytest

from ganguard.base.errors import DataError
from ganguard.base.findings import Finding, Findings

HERE = Path("here")


def test_an_error_ends_the_body_and_becomes_a_finding() -> None:
    found = Findings()
    with found.unless(DataError, "not read ({kind}: {problem})", HERE, "Remove it."):
        raise DataError("two\nlines.")
    assert found == [Finding("wrong", "not read (DataError: two lines)", HERE, "Remove it.")]


def test_another_error_is_raised() -> None:
    with pytest.raises(KeyError), Findings().unless(DataError, "not read", HERE, "Remove it."):
        raise KeyError


def test_what_is_whole_is_so_only_if_nothing_was_found() -> None:
    found = Findings()
    with found.whole("sound", HERE):
        pass
    with found.whole("also sound", HERE):
        found.add("wrong", "damaged", HERE, "Remove it.")
    assert [finding.what for finding in found] == ["sound", "damaged"]
