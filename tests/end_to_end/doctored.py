"""A tiny audit, and how to damage what it wrote."""

import json
import sqlite3
from pathlib import Path

from ganguard.audit.doctor import Finding, examine
from ganguard.audit.run import audit
from ganguard.audit.spec.spec import Spec
from ganguard.base.settings import parse

NETWORK = {"architecture": {"kind": "dcgan", "width": 4}, "steps": 4, "batch_size": 16}
SPEC = {
    "target": {"train": {"dataset": "digits", **NETWORK}},
    "real": "digits",
    "features": "random_network",
    "attacks": [{"kind": "fidelity", "query_budget": 40, **NETWORK}],
    "samples": 60,
    "even_if": "target_broken",
}


def run(directory: Path, **changes: object) -> None:
    audit("tiny", parse(Spec, SPEC | changes, "spec"), directory, processes=1, listener=lambda event: None)


def everything(directory: Path) -> dict[str, bytes | None]:
    return {str(path): path.read_bytes() if path.is_file() else None for path in directory.rglob("*")}


def wrong(directory: Path) -> list[Finding]:
    return [finding for finding in examine(directory) if finding.severity == "wrong"]


def notes(directory: Path) -> list[Finding]:
    return [finding for finding in examine(directory) if finding.severity == "note"]


def one(directory: Path, pattern: str) -> Path:
    """Return the first file that a pattern names below a directory."""
    return sorted(directory.glob(pattern))[0]


def flip(file: Path, place: float = 0.5) -> None:
    content = bytearray(file.read_bytes())
    content[int(place * (len(content) - 1))] ^= 4
    file.write_bytes(content)


def truncate(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-1])


def change(file: Path, **values: object) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | values))


def sql(directory: Path, statement: str) -> None:
    connection = sqlite3.connect(directory / "ledger.sqlite")
    with connection:
        connection.execute(statement)
    connection.close()


SHARD = "purchases/*adversary*/data/*.parquet"
