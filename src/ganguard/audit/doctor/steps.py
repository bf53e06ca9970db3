"""The steps of an audit, and checkpoints: every file against the digest that was recorded when it was
written."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ganguard.architectures.checkpoint import DESCRIPTION, read_description
from ganguard.audit.doctor.finding import Finding
from ganguard.audit.engine.cache import RECORD, read_record
from ganguard.audit.outcome.directory import OWNER
from ganguard.base.cache import TEMPORARY, file_digest
from ganguard.base.errors import CheckpointError
from ganguard.training.state import saved_step

STATE = "training.safetensors"


def check_steps(directory: Path) -> list[Finding]:
    """The finished steps, and those that a run was at when it ended."""
    found: list[Finding] = []
    finished = _below(directory / "steps")
    for step in finished:
        found += _check_step(step)
    if finished and not found:
        found = [Finding("ok", f"{len(finished)} finished steps", directory / "steps")]
    for step in _below(directory / "work"):
        advice = "The next run goes on from it; remove it if no run will."
        found += _check_state(step) or [Finding("note", "a step that was not finished", step, advice)]
    return found


def _check_step(step: Path) -> list[Finding]:
    advice = f"Remove {step} and run the same command again: the step is done again."
    try:
        record = read_record(step)
        named, files = (
            f"{step.name.rpartition('-')[0]}-{record['key'][:20]}",
            dict[str, dict[str, Any]](record["files"]),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return [
            Finding(
                "wrong",
                "absent or damaged",
                step / RECORD,
                "Run the same command again: the step is done again.",
            )
        ]
    if named != step.name:
        return [Finding("wrong", "another step's files lie here", step, advice)]
    digests = {file: str(said["sha256"]) for file, said in files.items()}
    return [Finding("wrong", what, file, advice) for file, what in _differing(step, digests)]


def check_checkpoint(directory: Path) -> list[Finding]:
    """A checkpoint's weights against the digests in its JSON."""
    try:
        description = read_description(directory)
    except (CheckpointError, OSError) as problem:
        return [
            Finding("wrong", f"not a checkpoint that can be read ({problem})", directory / DESCRIPTION, _COPY)
        ]
    digests = {f"{network}.safetensors": digest for network, digest in description.digests.items()}
    differing = [Finding("wrong", what, file, _COPY) for file, what in _differing(directory, digests)]
    return differing or [Finding("ok", f"a checkpoint of {description.architecture.kind}", directory)]


_COPY = "Copy the checkpoint anew, or remove it and run the command that made it again."


def check_training(directory: Path) -> list[Finding]:
    """The saved state of a training."""
    if not (directory / STATE).exists():
        return []
    return _check_state(directory) or [
        Finding("ok", f"a training's state, step {saved_step(directory / STATE):,}", directory)
    ]


def _check_state(directory: Path) -> list[Finding]:
    try:
        saved_step(directory / STATE)
    except (CheckpointError, OSError):
        return [
            Finding(
                "wrong",
                "damaged: no training can go on from it",
                directory / STATE,
                "Remove it: the training begins anew.",
            )
        ]
    return []


def check_leftovers(directory: Path) -> list[Finding]:
    """What a process that was killed was writing."""
    audited = (directory / OWNER).exists()
    advice = (
        "The next run removes it."
        if audited
        else "Remove it, if nothing is at work here; a harvest removes its own."
    )
    left = sorted(directory.rglob(f".*{TEMPORARY}"))
    outermost = [path for path in left if not any(parent.name.endswith(TEMPORARY) for parent in path.parents)]
    return [Finding("note", "half written when a run was killed", path, advice) for path in outermost]


def _below(directory: Path) -> list[Path]:
    return (
        sorted(path for path in directory.iterdir() if not path.name.startswith("."))
        if directory.is_dir()
        else []
    )


def _differing(directory: Path, digests: dict[str, str]) -> Iterable[tuple[Path, str]]:
    for file, digest in digests.items():
        try:
            if file_digest(directory / file) != digest:
                yield directory / file, "damaged: it is not as it was written"
        except OSError:
            yield directory / file, "absent, or it cannot be read"
