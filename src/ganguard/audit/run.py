"""Run an audit from spec to report: the one call behind `ganguard audit`."""

from pathlib import Path

from ganguard.audit.engine.execute import Execution, default_processes, execute
from ganguard.audit.engine.run_step import Listener
from ganguard.audit.outcome.assemble import assemble
from ganguard.audit.outcome.directory import (
    ASSEMBLED,
    changed_files,
    copies_in,
    read_assembled,
    remove_stale,
    require_ours,
    take,
    write_assembled,
)
from ganguard.audit.outcome.shareable import shareable, write_private_spec
from ganguard.audit.plan.parts import Plan
from ganguard.audit.plan.plan import make_plan
from ganguard.audit.spec.spec import Spec
from ganguard.base.cache import code_version, content_key, remove_temporaries
from ganguard.base.errors import DataError, SpecError, StepError
from ganguard.base.locks import alone
from ganguard.report import write_report
from ganguard.results.records import AuditResults, read_results, write_results


def audit(
    name: str,
    spec: Spec,
    directory: Path,
    *,
    processes: int | None = None,
    listener: Listener,
    source: str | None = None,
) -> AuditResults:
    """Run the steps of an audit that are not done yet, and write all that comes of it to `directory`.

    That is report.html, results.json, results.parquet, sample grids and checkpoints. None of these holds a
    path of this machine; the whole spec is in spec.yaml, which is private. A copy that fails leaves
    its reason in the results, and the others are measured.

    Args:
        name: the audit's name, which its directory is marked with.
        spec: the settings of the audit.
        directory: where it works. What was finished there is not done again.
        processes: how many steps run at once; None takes one for each core and thread.
        listener: is told what happens to each step.
        source: where the spec came from, as `spec.reading.source_of` returns it; None if that is not known.

    Raises:
        SpecError: another run is at work in `directory`, or it belongs to an audit of another name or source,
            or holds other files.
        StepError: no copy could be measured.
    """
    if spec.target_seeds:
        raise SpecError("target_seeds makes several audits: run them with `audit.several.run_several`.")
    plan = make_plan(spec)
    processes = processes or default_processes(spec.compute)
    directory.mkdir(parents=True, exist_ok=True)
    require_ours(directory, name, source)
    with alone(directory):
        take(directory, name, source)
        try:
            remove_temporaries(directory)  # of a run that was killed
            execution = execute(plan, directory, spec.compute, processes=processes, listener=listener)
        except BaseException:
            remove_temporaries(directory)  # of processes that were stopped while they wrote or cleaned up
            raise
        done = execution.done
        _require_findings(plan, execution)
        key = content_key(
            name=name,
            spec=spec.model_dump(mode="json"),
            steps={step: found.digests for step, found in done.items()},
            failed=execution.failed,
            code=code_version("ganguard.audit", "ganguard.report", "ganguard.results"),
        )
        if standing := _standing(directory, key):
            return standing
        (directory / ASSEMBLED).unlink(missing_ok=True)
        before = copies_in(directory)
        results = shareable(assemble(name, spec, plan, execution, directory, processes), directory)
        write_private_spec(spec, directory)
        write_results(results, directory)
        write_report(results, directory)
        remove_stale(directory, before)
        write_assembled(directory, key)
    return results


def _require_findings(plan: Plan, execution: Execution) -> None:
    """Raise StepError if there is nothing to report.

    That is if a step failed and no copy was measured or, in an audit without attacks, no defence's utility.
    """
    copies = [substitute.measure for substitute in plan.substitutes]
    wanted = copies or [defended.utility for defended in plan.ground.defended]
    if execution.failed and not any(step.name in execution.done for step in wanted):
        honest = {step.name for model in plan.honest for step in (model.train, model.measure)}
        step = min(execution.failed, key=lambda name: name in honest)  # the first, a copy's before others
        reason = execution.failed[step]
        raise StepError(f"{step}: {reason} What was finished is kept: the same command goes on from here.")


def _standing(directory: Path, key: str) -> AuditResults | None:
    """Return the results of an earlier run of the same steps, if all files that it wrote are unchanged."""
    assembled = read_assembled(directory)
    if assembled is None or assembled.key != key or changed_files(directory, assembled):
        return None
    try:
        return read_results(directory)
    except DataError:
        return None
