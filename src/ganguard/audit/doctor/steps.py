"""The steps of an audit, and checkpoints: every file against the digest that was recorded when it was
written."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from ganguard.architectures.checkpoint import DESCRIPTION, read_description
from ganguard.audit.doctor.finding import Finding, note, ok, wrong
from ganguard.audit.engine.cache import RECORD, read_step
from ganguard.audit.outcome.directory import OWNER
from ganguard.base.cache import TEMPORARY, file_digest
from ganguard.base.errors import CheckpointError
from ganguard.training.state import saved_step

STATE = "training.safetensors"
_COPY = "Copy the checkpoint again, or remove it and run the command that made it again."


def check_steps(directory: Path) -> list[Finding]:
    """Check the finished steps, and those that a run had not finished when it ended."""
    finished = _below(directory / "steps")
    found = [finding for step in finished for finding in _check_step(step)]
    if finished and not found:
        found = [ok(f"{len(finished)} finished steps", directory / "steps")]
    advice = "The next run goes on from it; remove it if no run will."
    for step in _below(directory / "work"):
        found += _check_state(step) or [note("a step that was not finished", step, advice)]
    return found


def _check_step(step: Path) -> list[Finding]:
    try:
        record = read_step(step)
    except (OSError, ValueError):
        advice = "Run the same command again: the step is done again."
        return [wrong("absent or damaged", step / RECORD, advice)]
    advice = f"Remove {step} and run the same command again: the step is done again."
    if step.name != f"{step.name.rpartition('-')[0]}-{record.key[:20]}":
        return [wrong("another step's files lie here", step, advice)]
    digests = {file: said.sha256 for file, said in record.files.items()}
    return [wrong(what, file, advice) for file, what in differing(step, digests)]


def check_checkpoint(directory: Path) -> list[Finding]:
    """Check a checkpoint's weights against the digests in its JSON."""
    try:
        description = read_description(directory)
    except (CheckpointError, OSError) as problem:
        return [wrong(f"not a checkpoint that can be read ({problem})", directory / DESCRIPTION, _COPY)]
    digests = {f"{network}.safetensors": digest for network, digest in description.digests.items()}
    found = [wrong(what, file, _COPY) for file, what in differing(directory, digests)]
    return found or [ok(f"a checkpoint of {description.architecture.kind}", directory)]


def check_training(directory: Path) -> list[Finding]:
    """Check the saved state of a training."""
    state = directory / STATE
    if not state.exists():
        return []
    return _check_state(directory) or [ok(f"a training's state, step {saved_step(state):,}", directory)]


def _check_state(directory: Path) -> list[Finding]:
    try:
        saved_step(directory / STATE)
    except (CheckpointError, OSError):
        what = "damaged: no training can go on from it"
        return [wrong(what, directory / STATE, "Remove it: the training begins again.")]
    return []


def check_leftovers(directory: Path) -> list[Finding]:
    """Find what a killed process was writing."""
    by_hand = "Remove it, if nothing is at work here; a harvest removes its own."
    advice = "The next run removes it." if (directory / OWNER).exists() else by_hand
    left = sorted(directory.rglob(f".*{TEMPORARY}"))
    outermost = [path for path in left if not any(parent.name.endswith(TEMPORARY) for parent in path.parents)]
    return [note("half written when a run was killed", path, advice) for path in outermost]


def _below(directory: Path) -> list[Path]:
    if not directory.is_dir():
        return []
    return sorted(path for path in directory.iterdir() if not path.name.startswith("."))


def differing(directory: Path, digests: Mapping[str, str]) -> Iterable[tuple[Path, str]]:
    """Yield each file that is not as its SHA-256 says, and what is wrong with it.

    digests: SHA-256 by path in the directory.
    """
    for file, digest in digests.items():
        try:
            if file_digest(directory / file) != digest:
                yield directory / file, "damaged: it is not as it was written"
        except OSError:
            yield directory / file, "absent, or it cannot be read"
