"""Keep the places of this machine out of what an audit is shared by: results.json, its report and its table.

A path below the working directory or the audit's own is written relative to it, so that a spec from a report
runs where it ran before; of any other path the name alone. The whole spec, for whoever runs the audit again,
is in a file for this user alone.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import yaml

from ganguard.audit.spec.spec import Spec
from ganguard.base.cache import write_bytes
from ganguard.results.records import AuditResults

PRIVATE_SPEC = "spec.yaml"
_PATH = re.compile(r"""(?<![\w.:/~-])(?:~|/[^\s/'",;:()\[\]{}<>|]+)(?:/[^\s/'",;:()\[\]{}<>|]+)+/?""")
"""A path within a text: it begins with ~ or /, has two parts or more, and follows no part of a URL."""


def shareable(results: AuditResults, audit: Path, here: Path | None = None) -> AuditResults:
    """Return results without a path of this machine.

    Args:
        results: of the audit.
        audit: its directory.
        here: the working directory; None takes that of this process.
    """
    places = [audit.resolve(), (here or Path.cwd()).resolve()]
    said = results.model_dump(mode="json")
    # Paths in a spec may hold spaces, so that no pattern could tell where they end in a message.
    known = sorted({text for text in _texts(said["spec"]) if Path(text).is_absolute()}, key=len, reverse=True)

    def shared(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: shared(each) for key, each in cast(dict[str, Any], value).items()}
        if isinstance(value, list):
            return [shared(each) for each in cast(list[Any], value)]
        return _shared_text(value, known, places) if isinstance(value, str) else value

    return AuditResults.model_validate(shared(said))


def write_private_spec(spec: Spec, audit: Path) -> None:
    """Write the whole spec, with its paths, where this user alone can read it."""
    path = audit / PRIVATE_SPEC
    text = yaml.safe_dump(spec.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
    first = "# The spec that this audit ran, with the paths of this machine. Share the report instead.\n"
    write_bytes(path, (first + text).encode())
    if os.name == "posix":
        path.chmod(0o600)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        rows = cast(dict[str, Any], value).values() if isinstance(value, dict) else cast(list[Any], value)
        for each in rows:
            yield from _texts(each)


def _shared_text(text: str, known: list[str], places: list[Path]) -> str:
    for path in known:
        text = text.replace(path, _shared_path(path, places))
    return _PATH.sub(lambda found: _shared_path(found[0], places), text) if "/" in text else text


def _shared_path(text: str, places: list[Path]) -> str:
    """Return a path relative to the first of the places that holds it; elsewhere its name alone."""
    path = Path(text)
    for place in places:
        if path.is_relative_to(place) and path != place:
            return path.relative_to(place).as_posix()
    return path.name if path.name else "."
