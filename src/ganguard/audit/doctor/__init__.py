"""What is wrong in a directory that ganguard wrote, and what to do. Everything there is read, and nothing is
written."""

from collections.abc import Callable
from pathlib import Path

from ganguard.architectures.checkpoint import DESCRIPTION as CHECKPOINT
from ganguard.audit.doctor.finding import Finding, wrong
from ganguard.audit.doctor.outputs import check_outputs, check_owner, results_in
from ganguard.audit.doctor.purchases import check_accounts, check_ledger, check_store, stores_in
from ganguard.audit.doctor.several import audits_below, check_leftovers_beside, check_together
from ganguard.audit.doctor.steps import STATE, check_checkpoint, check_leftovers, check_steps, check_training
from ganguard.audit.outcome.directory import OWNER
from ganguard.base.errors import DataError
from ganguard.base.locks import LOCK
from ganguard.results.side_by_side.files import FILE

__all__ = ["Finding", "examine"]

_LEDGER = "ledger.sqlite"


def examine(directory: Path) -> list[Finding]:
    """Look at all that an audit, several audits side by side, an attack, a harvest or a training wrote.

    A damaged file is a finding, never an error. Raises DataError if none of these wrote the directory.
    """
    audited = directory.is_dir() and _is_audit(directory)
    checkpoints = [path for path in (directory, directory / "checkpoint") if (path / CHECKPOINT).exists()]
    own = audited or bool(checkpoints) or bool(stores_in(directory)) or (directory / STATE).exists()
    together = not audited and (directory / FILE).exists()
    below = audits_below(directory, _is_audit) if together or not own else []
    if not (own or together or below):
        raise DataError(
            f"{directory}: not a directory that ganguard wrote. Give the --out of an audit, a harvest, an "
            "attack or a training."
        )
    found = _look_at(directory, audited, checkpoints) if own else _guarded(check_leftovers_beside, directory)
    found += [finding for each in below for finding in examine(each)]
    return found + (_guarded(check_together, directory) if together or below else [])


def _look_at(directory: Path, audited: bool, checkpoints: list[Path]) -> list[Finding]:
    """Look at what an audit, an attack, a harvest or a training wrote right there."""
    checks = [check_owner, check_outputs, check_steps] if audited else [check_training]
    found = [finding for check in checks for finding in _guarded(check, directory)]
    found += [finding for path in checkpoints for finding in _guarded(check_checkpoint, path)]
    return found + _guarded(_check_purchases, directory) + _guarded(check_leftovers, directory)


def _is_audit(directory: Path) -> bool:
    begun = (directory / LOCK).exists() and (directory / "steps").is_dir()
    return begun or (directory / OWNER).exists() or (directory / "results.json").exists()


def _check_purchases(directory: Path) -> list[Finding]:
    audited = _is_audit(directory)
    looked_at = [check_store(path, audited=audited) for path in stores_in(directory)]
    found = [finding for findings, _ in looked_at for finding in findings]
    stores = [stored for _, stored in looked_at if stored is not None]
    findings, ledger = check_ledger(directory / _LEDGER, stores, audited=audited)
    results = results_in(directory)
    if ledger is not None and results is not None:
        findings += check_accounts(results, ledger, stores, directory)
    return found + findings


def _guarded(check: Callable[[Path], list[Finding]], directory: Path) -> list[Finding]:
    try:
        return check(directory)
    except Exception as problem:  # noqa: BLE001 - what nobody foresaw is a finding too: the rest is still looked at
        what = f"it could not be looked at ({type(problem).__name__}: {problem})"
        return [wrong(what, directory, "Check that it can be read, and report this line if it can.")]
