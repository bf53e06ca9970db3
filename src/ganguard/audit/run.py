"""An audit from spec to report: the one call behind `ganguard audit`."""

import fcntl
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from ganguard.audit.assemble import assemble
from ganguard.audit.execute_local import Execution, default_processes, execute
from ganguard.audit.perform import Listener
from ganguard.audit.plan import Plan, make_plan
from ganguard.audit.report import write_report
from ganguard.audit.results import AuditResults, read_results, write_results
from ganguard.audit.spec import Spec
from ganguard.audit.step_cache import Done
from ganguard.base.cache import code_version, content_key, remove_temporaries
from ganguard.base.errors import DataError, SpecError, StepError

_ASSEMBLED = ".assembled"


def audit(name: str, spec: Spec, directory: Path, *, processes: int | None = None, listener: Listener) -> AuditResults:
    """Run what is not done yet of an audit in `directory`, and write report.html, results.json, results.parquet, sample grids
    and checkpoints there.

    processes: None takes one for each core and thread. A copy that failed leaves its reason in the results, and the others are
    measured. Raises SpecError where another audit is at work in `directory`, StepError where no copy could be measured.
    """
    plan = make_plan(spec)
    processes = processes or default_processes(spec.compute)
    directory.mkdir(parents=True, exist_ok=True)
    with _alone(directory):
        remove_temporaries(directory)
        execution = execute(plan, directory, spec.compute, processes=processes, listener=listener)
        done = execution.done
        _require_copies(plan, execution)
        key = content_key(
            name=name,
            spec=spec.model_dump(mode="json"),
            steps={step: found.digests for step, found in done.items()},
            failed=execution.failed,
            code=code_version("ganguard.audit"),
        )
        marker = directory / _ASSEMBLED
        if marker.is_file() and marker.read_text() == key and (standing := _standing(directory, done)):
            return standing
        results = assemble(name, spec, plan, execution, directory, processes)
        write_results(results, directory)
        write_report(results, directory)
        marker.write_text(key)
    return results


def _require_copies(plan: Plan, execution: Execution) -> None:
    """Raise StepError where there is nothing to report: the ground failed that every copy stands on, or each copy did."""
    if not any(substitute.measure in execution.done for substitute in plan.substitutes):
        step, reason = next(iter(execution.failed.items()))
        raise StepError(f"{step}: {reason} What was finished is kept: the same command goes on from here.")


def _standing(directory: Path, done: dict[str, Done]) -> AuditResults | None:
    """The results of an earlier run, if all that it wrote is still there."""
    try:
        results = read_results(directory)
    except DataError:
        return None
    checkpoints = sum((step.directory / "checkpoint").is_dir() for step in done.values())
    wanted = ["report.html", "results.parquet", "features/features.json", *(picture.file for picture in results.pictures)]
    copied = len(list((directory / "checkpoints").glob("*/checkpoint.json")))
    return results if copied >= checkpoints and all((directory / file).is_file() for file in wanted) else None


@contextmanager
def _alone(directory: Path) -> Generator[None]:
    with (directory / ".lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SpecError(f"{directory}: another audit is at work here. Wait for it, or choose another --out.") from None
        yield
