"""What is wrong in a directory that ganguard wrote, and what to do. Everything there is read, and nothing is
written."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from ganguard.architectures.checkpoint import DESCRIPTION as CHECKPOINT
from ganguard.audit.doctor.outputs import check_outputs, check_owner, check_together
from ganguard.audit.doctor.purchases import (
    LEDGER,
    check_audit_purchases,
    check_gateway,
    check_purchases,
    stores_in,
)
from ganguard.audit.doctor.steps import (
    STATE,
    check_checkpoint,
    check_leftovers,
    check_steps,
    check_training,
    inside,
)
from ganguard.audit.outcome.directory import OWNER
from ganguard.base.errors import DataError
from ganguard.base.findings import Finding, Findings
from ganguard.base.locks import LOCK
from ganguard.results.side_by_side.files import FILE

__all__ = ["Finding", "examine"]

Check = Callable[[Path, Findings], None]
OF_AUDITS: list[Check] = [check_owner, check_outputs, check_steps, check_audit_purchases, check_leftovers]
OF_OTHERS: list[Check] = [check_training, check_purchases, check_leftovers]


def examine(directory: Path) -> list[Finding]:
    """Look at all that an audit, several audits side by side, an attack, a harvest, a training or a gateway
    wrote.

    A damaged file is a finding, never an error. Raises DataError if none of these wrote the directory.
    """
    checks = _checks_of(directory)
    if not checks:
        raise DataError(
            f"{directory}: not a directory that ganguard wrote. Give the --out of an audit, a harvest, an "
            "attack or a training, or the directory of a gateway."
        )
    found = Findings()
    for check, path in checks:
        what = "it could not be looked at ({kind}: {problem})"
        advice = "Check that it can be read, and report this line if it can."
        with found.unless(Exception, what, path, advice):  # the rest is still looked at
            check(path, found)
    return found


def _checks_of(directory: Path) -> list[tuple[Check, Path]]:
    """Return the checks of what lies in a directory, each with what it looks at."""
    audited = _is_audit(directory)
    checkpoints = [path for path in (directory, directory / "checkpoint") if (path / CHECKPOINT).exists()]
    own = audited or checkpoints or stores_in(directory) or (directory / STATE).exists()
    together = not audited and (directory / FILE).exists()
    below = [path for path in inside(directory) if _is_audit(path)] if together or not own else []
    checks = [(check, directory) for check in (OF_AUDITS if audited else OF_OTHERS) if own]
    checks += [(check_checkpoint, path) for path in checkpoints]
    if (together or below) and not own:
        checks.append((partial(check_leftovers, below=False), directory))
    if not own and not together and not below and (directory / LEDGER).exists():
        checks.append((check_gateway, directory))
    checks += [(_examine_also, audit) for audit in below]
    return [*checks, (check_together, directory)] if together or below else checks


def _examine_also(audit: Path, found: Findings) -> None:
    found += examine(audit)


def _is_audit(directory: Path) -> bool:
    begun = (directory / LOCK).exists() and (directory / "steps").is_dir()
    return begun or any((directory / file).exists() for file in (OWNER, "results.json"))
