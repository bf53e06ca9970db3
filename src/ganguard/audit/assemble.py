"""From the finished steps of a plan to the audit's results."""

import json
import platform
import re
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ganguard import __version__
from ganguard.audit.execute_local import Execution
from ganguard.audit.measuring import read_measurements
from ganguard.audit.pairs import improvements
from ganguard.audit.pictures import COLUMNS, DROPPED_FILE, GRID_FILE, KEPT_FILE
from ganguard.audit.plan import Plan, Step, SubstitutePlan, replay_name
from ganguard.audit.refined_sets import refinement_records
from ganguard.audit.results import (
    AccountRecord,
    AttackRecord,
    AuditResults,
    Depicted,
    Environment,
    FailureRecord,
    FeatureRecord,
    Measurement,
    Picture,
    StepRecord,
    TargetRecord,
    UseRecord,
)
from ganguard.audit.spec import Spec
from ganguard.audit.step_cache import Done
from ganguard.audit.steps import adversary_store, auditor_store, load_real, open_target
from ganguard.audit.verdicts import verdicts
from ganguard.base.cache import copy_directory, copy_file
from ganguard.base.compute import Compute, cores
from ganguard.queries.ledger import Ledger

REFINED_GRIDS: dict[Depicted, str] = {"kept": KEPT_FILE, "dropped": DROPPED_FILE}


def assemble(name: str, spec: Spec, plan: Plan, execution: Execution, audit: Path, processes: int) -> AuditResults:
    """Collect everything the steps found into one record, and copy sample grids, checkpoints and the feature network
    beside it."""
    done = execution.done
    measurements = _measurements(plan, done)
    real = load_real(done["real"].directory)
    target = open_target(done["target"].directory, spec.compute)
    described = json.loads((done["target"].directory / "target.json").read_text())
    features = json.loads((done["features"].directory / "features.json").read_text())
    _copy_checkpoints(plan, done, audit)
    copy_directory(done["features"].directory, audit / "features")
    return AuditResults(
        name=name,
        spec=spec.model_dump(mode="json"),
        environment=environment(spec.compute, processes),
        target=TargetRecord(
            description=described["description"],
            identity=target.identity,
            image_shape=target.image_shape,
            codes=spec.codes,
        ),
        real=spec.real.kind,
        real_images={"train": len(real.train), "reference": len(real.reference)},
        features=FeatureRecord(
            kind=spec.features.kind,
            dimensions=features["dimensions"],
            held_out_accuracy=features["held_out_accuracy"],
        ),
        attacks=tuple(_attack_records(spec)),
        measurements=tuple(measurements),
        failures=tuple(_failures(plan, execution)),
        refinements=tuple(refinement_records(plan, done)),
        verdicts=tuple(verdicts(measurements, improvements(spec.labelled_attacks()))),
        accounts=tuple(_accounts(spec, audit, done)),
        used=tuple(
            UseRecord(attack=s.label, query_budget=s.settings.query_budget, seed=s.seed, used=_queries(done[s.step]))
            for s in plan.substitutes
            if s.step in done
        ),
        steps=tuple(
            StepRecord(name=s.name, kind=s.kind, seconds=round(done[s.name].seconds, 3)) for s in plan.steps if s.name in done
        ),
        pictures=tuple(_pictures(plan, done, audit, (target.image_shape[1], target.image_shape[2]))),
    )


def _measurements(plan: Plan, done: dict[str, Done]) -> list[Measurement]:
    found = read_measurements(done["yardsticks"].directory)
    for seed in plan.bought:
        if replay_name(seed) in done:
            found += read_measurements(done[replay_name(seed)].directory)
    for step in plan.steps:
        if step.kind in ("known", "domain") and step.name in done:
            found += read_measurements(done[step.name].directory)
    for substitute in plan.substitutes:
        if substitute.measure not in done:
            continue
        whose = {"attack": substitute.label, "query_budget": substitute.settings.query_budget, "seed": substitute.seed}
        found += [m.model_copy(update=whose) for m in read_measurements(done[substitute.measure].directory)]
    return found


def _failures(plan: Plan, execution: Execution) -> list[FailureRecord]:
    steps = {step.name: step for step in plan.steps}

    def cause(step: Step) -> str | None:
        """The failed step that is behind the absence of this one."""
        if step.name in execution.failed:
            return step.name
        needed = [*(i.step for i in step.inputs), *step.after]
        return next(filter(None, (cause(steps[name]) for name in needed)), None)

    def record(substitute: SubstitutePlan) -> FailureRecord | None:
        failed = None if substitute.measure in execution.done else cause(steps[substitute.measure])
        if failed is None:
            return None
        return FailureRecord(
            attack=substitute.label,
            query_budget=substitute.settings.query_budget,
            seed=substitute.seed,
            step=failed,
            reason=execution.failed[failed],
        )

    return list(filter(None, map(record, plan.substitutes)))


def _attack_records(spec: Spec) -> list[AttackRecord]:
    return [
        AttackRecord(
            label=label,
            kind=by_budget[0].kind,
            architecture=by_budget[0].architecture.kind,
            query_budgets=tuple(settings.query_budget for settings in by_budget),
            settings=by_budget[0].model_dump(mode="json", exclude={"query_budget", "kind"}),
        )
        for label, by_budget in spec.labelled_attacks()
    ]


def images_bought(spec: Spec, audit: Path, done: dict[str, Done]) -> dict[str, int]:
    """Images that the ledger of `audit` holds for this target, by "auditor" and the adversary's seed."""
    found = dict.fromkeys(["auditor", *map(str, spec.seeds)], 0)
    if "target" not in done or not (audit / "ledger.sqlite").is_file():
        return found
    target = open_target(done["target"].directory, spec.compute)
    ledger = Ledger(audit / "ledger.sqlite")
    reserved = {balance.account: balance.reserved for balance in ledger.balances()}
    ledger.close()
    found["auditor"] = sum(reserved.get(auditor_store(audit, target, draw).account, 0) for draw in (0, 1))
    for seed in spec.seeds:
        found[str(seed)] = reserved.get(adversary_store(audit, target, seed, spec.codes).account, 0)
    return found


def _accounts(spec: Spec, audit: Path, done: dict[str, Done]) -> list[AccountRecord]:
    bought = images_bought(spec, audit, done)
    records = [AccountRecord(account="auditor", role="auditor", seed=None, bought=bought["auditor"])]
    for seed in spec.seeds:
        account = f"adversary, seed {seed}"
        records.append(AccountRecord(account=account, role="adversary", seed=seed, bought=bought[str(seed)]))
    return records


def _queries(substitute: Done) -> int:
    return int(json.loads((substitute.directory / "substitute.json").read_text())["queries"])


def _pictures(plan: Plan, done: dict[str, Done], audit: Path, tile: tuple[int, int]) -> list[Picture]:
    """Grids of the real data, the target, and each attack's copies under the first seed that has one, beside what it kept and
    dropped of the bought images."""
    found: list[Picture] = []

    def add(step: str, name: str, subject: Depicted, source: str = GRID_FILE, **whose: Any) -> None:
        file = audit / "grids" / f"{name}.png"
        copy_file(done[step].directory / source, file)
        found.append(Picture(subject=subject, file=f"grids/{file.name}", columns=COLUMNS, tile=tile, **whose))

    add("real", "real", "real")
    add("yardsticks", "target", "target")
    shown: set[tuple[str, int]] = set()
    for s in plan.substitutes:
        budget = s.settings.query_budget
        if s.measure in done and (s.label, budget) not in shown:
            shown.add((s.label, budget))
            name = f"{_slug(s.label)}-{budget}"
            whose: dict[str, Any] = {"attack": s.label, "query_budget": budget, "seed": s.seed}
            add(s.measure, name, "substitute", **whose)
            for subject, file in REFINED_GRIDS.items():
                if (done[s.step].directory / file).is_file():
                    add(s.step, f"{name}-{subject}", subject, file, **whose)
    return found


def _copy_checkpoints(plan: Plan, done: dict[str, Done], audit: Path) -> None:
    """Put the checkpoints where a person finds them: checkpoints/target, checkpoints/<attack>-<budget>-seed<seed>."""
    wanted = {
        f"{_slug(s.label)}-{s.settings.query_budget}-seed{s.seed}": done[s.step].directory
        for s in plan.substitutes
        if s.step in done
    }
    wanted["target"] = done["target"].directory
    for name, directory in wanted.items():
        if (directory / "checkpoint").is_dir():
            copy_directory(directory / "checkpoint", audit / "checkpoints" / name)


def environment(compute: Compute, processes: int) -> Environment:
    """Versions and hardware of this machine."""
    return Environment(
        ganguard=__version__,
        python=platform.python_version(),
        torch=torch.__version__,
        numpy=np.__version__,
        platform=platform.platform(),
        processor=_processor(),
        cores=cores(),
        device=str(compute.torch_device()),
        threads=compute.threads,
        processes=processes,
    )


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _slug(label: str) -> str:
    """An attack's label as part of a file's name."""
    return re.sub(r"[^a-z0-9._]+", "-", label.replace("#", "").replace("%", "percent").lower()).strip("-")
