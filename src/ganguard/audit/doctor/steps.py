"""Checks of steps, checkpoints and trainings: every file against its recorded digest."""

from collections.abc import Mapping
from pathlib import Path

from ganguard.architectures.checkpoint import DESCRIPTION, read_description
from ganguard.audit.engine.cache import RECORD, read_step
from ganguard.audit.outcome.directory import OWNER
from ganguard.base.cache import TEMPORARY, file_digest
from ganguard.base.errors import CheckpointError
from ganguard.base.findings import Findings
from ganguard.training.state import saved_step

STATE = "training.safetensors"


def inside(directory: Path) -> list[Path]:
    """Return what lies in a directory and is not hidden, by name; nothing if there is no directory."""
    found = directory.iterdir() if directory.is_dir() else []
    return sorted(path for path in found if not path.name.startswith("."))


def check_digests(directory: Path, digests: Mapping[str, str], advice: str, found: Findings) -> None:
    """Find each file that is not as its SHA-256 says. digests: by path in the directory."""
    for file, digest in digests.items():
        path = directory / file
        with found.unless(OSError, "absent, or it cannot be read", path, advice):
            if file_digest(path) != digest:
                found.add("wrong", "damaged: it is not as it was written", path, advice)


def check_steps(directory: Path, found: Findings) -> None:
    """Check the finished steps, and those that a run had not finished when it ended."""
    if finished := inside(directory / "steps"):
        with found.whole(f"{len(finished)} finished steps", directory / "steps"):
            for step in finished:
                _check_step(step, found)
    for step in inside(directory / "work"):
        if _saved_step(step, found) is not None:
            advice = "The next run goes on from it; remove it if no run will."
            found.add("note", "a step that was not finished", step, advice)


def _check_step(step: Path, found: Findings) -> None:
    again = "run the same command again: the step is done again."
    with found.unless((OSError, ValueError), "absent or damaged", step / RECORD, again.capitalize()):
        record = read_step(step)
        advice = f"Remove {step} and {again}"
        if step.name != f"{step.name.rpartition('-')[0]}-{record.key[:20]}":
            found.add("wrong", "another step's files lie here", step, advice)
        else:
            check_digests(step, {file: said.sha256 for file, said in record.files.items()}, advice, found)


def check_checkpoint(directory: Path, found: Findings) -> None:
    """Check a checkpoint's weights against the digests in its JSON."""
    advice = "Copy the checkpoint again, or remove it and run the command that made it again."
    what, path = "not a checkpoint that can be read ({problem})", directory / DESCRIPTION
    with found.unless((CheckpointError, OSError), what, path, advice):
        description = read_description(directory)
        digests = {f"{network}.safetensors": digest for network, digest in description.digests.items()}
        with found.whole(f"a checkpoint of {description.architecture.kind}", directory):
            check_digests(directory, digests, advice, found)


def check_training(directory: Path, found: Findings) -> None:
    """Check the saved state of a training, if there is one."""
    if step := _saved_step(directory, found):
        found.add("ok", f"a training's state, step {step:,}", directory)


def _saved_step(directory: Path, found: Findings) -> int | None:
    """Return the step of a training's state, 0 if there is no state, or None if it is damaged."""
    advice = "Remove it: the training begins again."
    what = "damaged: no training can go on from it"
    with found.unless((CheckpointError, OSError), what, directory / STATE, advice):
        return saved_step(directory / STATE)


def check_leftovers(directory: Path, found: Findings, *, below: bool = True) -> None:
    """Find what a killed process was writing. below: in the directories below, too."""
    by_hand = "Remove it, if nothing is at work here; a harvest removes its own."
    advice = "The next run removes it." if (directory / OWNER).exists() else by_hand
    left = f".*{TEMPORARY}"
    for path in sorted(directory.rglob(left) if below else directory.glob(left)):
        if not any(parent.name.endswith(TEMPORARY) for parent in path.parents):
            found.add("note", "half written when a run was killed", path, advice)
