"""Run several audits, one after the other, and write the page that shows them side by side.

They are those that a spec lists, and those of the targets that a spec's `target_seeds` train.
"""

from collections.abc import Iterable, Mapping
from itertools import combinations
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

from torch import Tensor

from ganguard.audit.engine.cache import find_all
from ganguard.audit.engine.run_step import Listener
from ganguard.audit.outcome.directory import OWNER, require_ours, take
from ganguard.audit.plan.pairs import improvements
from ganguard.audit.plan.plan import make_plan
from ganguard.audit.run import audit
from ganguard.audit.spec.spec import Spec
from ganguard.audit.steps.yardstick_files import Yardsticks
from ganguard.base.cache import copy_directory, write_bytes, write_json
from ganguard.base.errors import SpecError
from ganguard.base.locks import alone
from ganguard.metrics import frechet_distance
from ganguard.report.beside import render_beside
from ganguard.results.records import AuditResults, Knows
from ganguard.results.side_by_side import OfTarget, Pair, Placebo, SideBySide, shared_by, side_by_side
from ganguard.results.side_by_side.accuracy import RELATIONS
from ganguard.results.side_by_side.files import FILE
from ganguard.results.side_by_side.records import shared_by_targets

OF_NO_TARGET = ("real", "features", "independent")
"""Kinds of steps whose results depend on no target."""


class Planned(NamedTuple):
    """One audit of several.

    Attributes:
        source: where its spec came from (see `spec.reading.source_of`).
        spec: its settings.
        target: the spec that its target is one of several of, and the target's seed; None for an only target.
    """

    source: str
    spec: Spec
    target: OfTarget | None


def planned_audits(specs: Mapping[str, tuple[str, Spec]]) -> dict[str, Planned]:
    """Return the audits of all specs by their names: one of each, or of each target that it trains."""
    found: dict[str, Planned] = {}
    for name, (source, spec) in specs.items():
        of_targets = spec.of_targets()
        if not of_targets:
            found[name] = Planned(source, spec, None)
        for seed, its_own in of_targets.items():
            own = f"{name}-target-seed-{seed}"
            if own in specs:
                raise SpecError(f"{own} is the name of an audit of {name}, and of a spec. Rename the latter.")
            found[own] = Planned(source, its_own, OfTarget(name, seed))
    return found


def run_several(
    name: str,
    specs: Mapping[str, tuple[str, Spec]],
    directory: Path,
    *,
    processes: int | None = None,
    listener: Listener,
) -> tuple[SideBySide, dict[str, AuditResults]]:
    """Run audits, each in a directory of its own below `directory`.

    Writes side-by-side.json and report.html there. What was finished is kept, and the same call goes on from
    there.

    Args:
        name: of them all together.
        specs: by name, where each spec came from (see `spec.reading.source_of`), and the spec. There may be
            one, if it has `target_seeds`.
        directory: where they work.
        processes: how many steps run at once; None takes one for each core and thread.
        listener: is told what happens to each step.

    Raises SpecError if they cannot be compared, and what `audit` raises.
    """
    require_comparable(name, specs)
    if (directory / OWNER).exists():
        raise SpecError(f"{directory}: holds an audit of its own. Choose another --out.")
    found: dict[str, AuditResults] = {}
    planned = planned_audits(specs)
    for each, (source, spec, target) in planned.items():
        here = directory / each
        if target:
            lend_steps([directory / other for other in found], here, name=each, source=source)
        found[each] = audit(each, spec, here, processes=processes, listener=listener, source=source)
    together = side_by_side(
        name,
        found,
        targets={each: plan.target for each, plan in planned.items() if plan.target},
        pairs=_pairs(spec for _, spec in specs.values()),
        placebos=placebos(planned, directory),
    )
    write_json(directory / FILE, together.model_dump(mode="json"))
    write_page(together, directory)
    return together, found


def _pairs(specs: Iterable[Spec]) -> tuple[Pair, ...]:
    found = [pair for spec in specs for pair in improvements(spec.labelled_attacks(), spec.ask)]
    return tuple(Pair.model_validate(vars(pair)) for pair in dict.fromkeys(found))


def lend_steps(lenders: Iterable[Path], directory: Path, *, name: str, source: str) -> None:
    """Copy what does not depend on the target from other audits of the same spec: nothing is done twice.

    A step's key tells whether it is the one that is wanted, so that others do no harm.
    """
    lent = [
        step
        for lender in lenders
        for kind in OF_NO_TARGET
        for step in sorted((lender / "steps").glob(f"{kind}-*"))
    ]
    if not lent:
        return
    directory.mkdir(parents=True, exist_ok=True)
    require_ours(directory, name, source)
    with alone(directory):
        take(directory, name, source)
        for step in lent:
            if not (directory / "steps" / step.name).exists():
                copy_directory(step, directory / "steps" / step.name)


def placebos(planned: Mapping[str, Planned], directory: Path) -> tuple[Placebo, ...]:
    """Return how far the targets of each spec are apart that differ only in their seed.

    Each pair's distance is the mean over two pairs of draws, which its audits measured with already.
    """
    specs: dict[str, list[str]] = {}
    for name, one_audit in planned.items():
        if one_audit.target:
            specs.setdefault(one_audit.target.of, []).append(name)
    draws = {
        name: found
        for names in specs.values()
        for name in names
        if (found := _draws(planned[name].spec, directory / name))
    }
    return tuple(
        Placebo(
            one=one,
            other=other,
            distance=fmean(frechet_distance(*pair) for pair in zip(draws[one], draws[other], strict=True)),
        )
        for names in specs.values()
        for one, other in combinations(filter(draws.__contains__, names), 2)
    )


def _draws(spec: Spec, directory: Path) -> tuple[Tensor, ...]:
    """Return the features (N, D) of each of the auditor's draws of a target; nothing if it has none."""
    plan = make_plan(spec)
    yardsticks = find_all(plan, directory, spec.compute).get(plan.ground.yardsticks.name)
    return tuple(balls.points for balls in Yardsticks.read(yardsticks.directory).draws) if yardsticks else ()


def require_comparable(name: str, specs: Mapping[str, tuple[str, Spec]]) -> None:
    """Raise SpecError if audits of these specs have nothing in common that could be compared.

    They must share the real images, the features, the samples, and the settings of the attacks that a page
    shows side by side.
    """
    every = [spec for _, spec in specs.values()]
    if len(every) == 1 and every[0].target_seeds:
        shared_by_targets(name, [_attacks_of(every[0])])
        return
    of_targets = {spec.target_seeds for spec in every}
    if len(of_targets) > 1:
        raise SpecError(
            f"{name}: its audits must have the same target_seeds, or none: what is compared is paired by "
            "them."
        )
    labelled = [dict(spec.labelled_attacks()) for spec in every]
    shared = shared_by(name, [_attacks_of(spec) for spec in every])
    for key in ("real", "features", "samples"):
        if any(getattr(spec, key) != getattr(every[0], key) for spec in every):
            raise SpecError(f"{name}: its audits must have the same {key} to lie side by side.")
    for label in shared.attacks:
        settings = [
            next(each for each in one[label] if each.query_budget == shared.query_budget) for one in labelled
        ]
        if any(each != settings[0] for each in settings):
            raise SpecError(f"{name}: {label!r} must have the same settings in all of its audits.")
    asked = {
        pair.relation
        for spec, one in zip(every, labelled, strict=True)
        for pair in improvements(list(one.items()), spec.ask)
    }
    if shared.question == "accuracy" and not asked & RELATIONS.keys():
        raise SpecError(
            f"{name}: no two attacks of its audits differ in real images, or in subsampling, alone."
        )


def _attacks_of(spec: Spec) -> dict[str, tuple[tuple[Knows, ...], list[int]]]:
    """Return a spec's attacks by label: what their adversaries know, and the query budgets."""
    return {
        label: (by_budget[0].needs().knows(), [each.query_budget for each in by_budget])
        for label, by_budget in spec.labelled_attacks()
    }


def write_page(together: SideBySide, directory: Path) -> Path:
    """Write the page that shows all of them, and return its path."""
    path = directory / "report.html"
    write_bytes(path, render_beside(together).encode())
    return path
