"""Put sample grids, checkpoints and fitted directions where a person finds them."""

import re
from collections.abc import Container, Mapping
from itertools import chain, count
from pathlib import Path

from ganguard.audit.engine.cache import Done
from ganguard.audit.plan.parts import Copy, DirectionPlan, Plan, SubstitutePlan
from ganguard.audit.plan.step import Step
from ganguard.audit.steps.by_class import BY_CLASS, MOST_ROWS, REAL_BY_CLASS
from ganguard.audit.steps.by_class import COLUMNS as CLASS_COLUMNS
from ganguard.base.cache import content_key, copy_directory, copy_file
from ganguard.base.grids import COLUMNS, DROPPED_FILE, GRID_FILE, KEPT_FILE
from ganguard.comparison.directions import AMOUNTS, STRIP_FILE
from ganguard.results.records import Depicted, Picture
from ganguard.results.target_record import TargetRecord
from ganguard.results.whose import Whose

LONGEST_SLUG = 120  # characters: file names hold 255, with what comes around it
REFINED_GRIDS: dict[Depicted, str] = {"kept": KEPT_FILE, "dropped": DROPPED_FILE}


def fitted_directions(plan: Plan, done: dict[str, Done]) -> list[DirectionPlan]:
    """Return the directions that were fitted."""
    return [direction for direction in plan.ground.directions if direction.step.name in done]


def pictures(plan: Plan, done: dict[str, Done], audit: Path, target: TargetRecord) -> list[Picture]:
    """Copy the grids to audit/grids, and return their records.

    They show the real data, the target, directions, defended images, and the first copy of each attack that
    was measured, beside the bought images that it kept and dropped.

    Args:
        plan: the plan of the audit.
        done: its finished steps, by name.
        audit: its directory.
        target: what was audited.
    """
    grids = _Grids(done, audit, target)
    ground = plan.ground
    grids.add(ground.real, "real", "real")
    grids.add(ground.yardsticks, "target", "target")
    grids.add_by_class(ground.yardsticks, "real-by-class", "real", source=REAL_BY_CLASS)
    grids.add_by_class(ground.yardsticks, "target-by-class", "target")
    for direction in fitted_directions(plan, done):
        grids.add_strip(direction)
    for defended in ground.defended:
        if defended.utility.name in done:
            label = str(defended.scenario.defence)
            grids.add(defended.utility, f"defended-{_slug(label)}", "defended", Whose(defence=label))
    for substitute in _first_of_each(plan, done):
        name, whose = _copy_slug(substitute.copy), substitute.copy.whose()
        grids.add(substitute.measure, name, "substitute", whose)
        grids.add_by_class(substitute.measure, f"{name}-by-class", "substitute", whose)
        for subject, file in REFINED_GRIDS.items():
            if (done[substitute.train.name].directory / file).is_file():
                grids.add(substitute.train, f"{name}-{subject}", subject, whose, file)
    return grids.added


class _Grids:
    """Grids that are copied to an audit's directory, and their records."""

    def __init__(self, done: dict[str, Done], audit: Path, target: TargetRecord) -> None:
        self._done, self._audit, self._tile = done, audit, target.image_shape[1:]
        self._rows = target.conditions.names[:MOST_ROWS] if target.conditions else ()
        self.added: list[Picture] = []

    def add(
        self, step: Step, name: str, subject: Depicted, whose: Whose | None = None, source: str = GRID_FILE
    ) -> None:
        """Copy a grid of a step to grids/<name>.png."""
        fields = (whose or Whose()).model_dump()
        self._copy(step, name, source, {"subject": subject, "columns": COLUMNS, **fields})

    def add_by_class(
        self, step: Step, name: str, subject: Depicted, whose: Whose | None = None, source: str = BY_CLASS
    ) -> None:
        """Copy a picture by class of a step, if it drew one."""
        if (self._done[step.name].directory / source).is_file():
            fields = (whose or Whose()).model_dump()
            by_class = {"subject": subject, "columns": CLASS_COLUMNS, "rows": self._rows}
            self._copy(step, name, source, {**by_class, **fields})

    def add_strip(self, direction: DirectionPlan) -> None:
        """Copy the strip of a fitted direction."""
        fields = {"subject": "direction", "columns": len(AMOUNTS), "attribute": direction.attribute}
        self._copy(direction.step, _slug(direction.step.name), STRIP_FILE, fields)

    def _copy(self, step: Step, name: str, source: str, fields: Mapping[str, object]) -> None:
        file = f"grids/{_untaken(name, {Path(picture.file).stem for picture in self.added})}.png"
        copy_file(self._done[step.name].directory / source, self._audit / file)
        self.added.append(Picture.model_validate({**fields, "file": file, "tile": self._tile}))


def _first_of_each(plan: Plan, done: dict[str, Done]) -> list[SubstitutePlan]:
    """Return the first measured copy of each attack at each budget in each scenario, whatever its seed."""
    found: dict[Whose, SubstitutePlan] = {}
    for substitute in plan.substitutes:
        if substitute.measure.name in done:
            whatever_seed = substitute.copy.whose().model_copy(update={"seed": None})
            found.setdefault(whatever_seed, substitute)
    return list(found.values())


def copy_checkpoints(plan: Plan, done: dict[str, Done], audit: Path) -> None:
    """Copy checkpoints to audit/checkpoints, and fitted directions to audit/directions.

    The checkpoint of a copy is called <attack>-<budget>-seed<seed>, with a number after it if that is taken.
    """
    directions = set[str]()
    for direction in fitted_directions(plan, done):
        name = _untaken(_slug(direction.attribute), directions)
        directions.add(name)
        copy_directory(done[direction.step.name].directory, audit / "directions" / name)
    checkpoints = {"target": plan.ground.target}
    for substitute in plan.substitutes:
        name = f"{_copy_slug(substitute.copy)}-seed{substitute.copy.seed}"
        checkpoints[_untaken(name, checkpoints)] = substitute.train
    for name, step in checkpoints.items():
        if step.name in done and (done[step.name].directory / "checkpoint").is_dir():
            copy_directory(done[step.name].directory / "checkpoint", audit / "checkpoints" / name)


def _copy_slug(copy: Copy) -> str:
    """Return a part of a file's name that stands for a copy under any seed."""
    return f"{_slug(f'{copy.label}{copy.scenario}')}-{copy.settings.query_budget}"


def _untaken(name: str, taken: Container[str]) -> str:
    """Return a name of a file or, if that is taken, the same with a number: two labels may make one name."""
    names = chain([name], (f"{name}-{number}" for number in count(2)))
    return next(each for each in names if each not in taken)


def _slug(label: str) -> str:
    """Return a part of a file's name that a person recognises a label by."""
    words = label.replace("#", "").replace("%", "percent").lower()
    slug = re.sub(r"[^a-z0-9._]+", "-", words).strip("-")
    return slug if len(slug) <= LONGEST_SLUG else f"{slug[:LONGEST_SLUG]}-{content_key(label=label)[:8]}"
