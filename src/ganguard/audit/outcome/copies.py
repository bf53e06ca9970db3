"""What a finished audit puts where a person finds it: sample grids, checkpoints, and fitted directions."""

import re
from pathlib import Path
from typing import Any

from ganguard.audit.engine.cache import Done
from ganguard.audit.plan.plan import Plan, SubstitutePlan
from ganguard.audit.plan.planned import utility_name
from ganguard.base.cache import content_key, copy_directory, copy_file
from ganguard.base.grids import COLUMNS, DROPPED_FILE, GRID_FILE, KEPT_FILE
from ganguard.comparison.directions import AMOUNTS, STRIP_FILE
from ganguard.results.records import Depicted, Picture

LONGEST_SLUG = 120  # characters: the names of files hold 255, with what comes around it
REFINED_GRIDS: dict[Depicted, str] = {"kept": KEPT_FILE, "dropped": DROPPED_FILE}


def fitted_directions(plan: Plan, done: dict[str, Done]) -> list[tuple[str, str]]:
    """The steps that fitted directions, and to which attributes."""
    return [
        (s.name, str(s.settings["attribute"])) for s in plan.steps if s.kind == "direction" and s.name in done
    ]


def pictures(plan: Plan, done: dict[str, Done], audit: Path, tile: tuple[int, int]) -> list[Picture]:
    """Grids of the real data, the target, and each attack's copies under the first seed that has one, beside
    what it kept and dropped of the bought images."""
    found: list[Picture] = []

    def add(
        step: str, name: str, subject: Depicted, source: str = GRID_FILE, columns: int = COLUMNS, **whose: Any
    ) -> None:
        file = audit / "grids" / f"{name}.png"
        copy_file(done[step].directory / source, file)
        found.append(Picture(subject=subject, file=f"grids/{file.name}", columns=columns, tile=tile, **whose))

    add("real", "real", "real")
    add("yardsticks", "target", "target")
    for step, attribute in fitted_directions(plan, done):
        add(step, _slug(step), "direction", STRIP_FILE, attribute=attribute, columns=len(AMOUNTS))
    for situation in plan.defended:
        if (utility := utility_name(situation)) in done:
            add(utility, f"defended-{_slug(str(situation.defence))}", "defended", defence=situation.defence)
    for s in _first_of_each(plan, done):
        name = f"{_slug(s.label + s.situation.suffix)}-{s.settings.query_budget}"
        add(s.measure, name, "substitute", **s.whose())
        for subject, file in REFINED_GRIDS.items():
            if (done[s.step].directory / file).is_file():
                add(s.step, f"{name}-{subject}", subject, file, **s.whose())
    return found


def _first_of_each(plan: Plan, done: dict[str, Done]) -> list[SubstitutePlan]:
    """Of each attack at each budget in each situation, the first copy that was measured."""
    found: dict[tuple[str, int, str], SubstitutePlan] = {}
    for s in plan.substitutes:
        if s.measure in done:
            found.setdefault((s.label, s.settings.query_budget, s.situation.suffix), s)
    return list(found.values())


def copy_checkpoints(plan: Plan, done: dict[str, Done], audit: Path) -> None:
    """Put the checkpoints where a person finds them: checkpoints/target,
    checkpoints/<attack>-<budget>-seed<seed>; and directions/<attribute>."""
    for step, attribute in fitted_directions(plan, done):
        copy_directory(done[step].directory, audit / "directions" / _slug(attribute))
    wanted = {
        f"{_slug(s.label + s.situation.suffix)}-{s.settings.query_budget}-seed{s.seed}": done[
            s.step
        ].directory
        for s in plan.substitutes
        if s.step in done
    }
    wanted["target"] = done["target"].directory
    for name, directory in wanted.items():
        if (directory / "checkpoint").is_dir():
            copy_directory(directory / "checkpoint", audit / "checkpoints" / name)


def _slug(label: str) -> str:
    """An attack's label as part of a file's name."""
    slug = re.sub(r"[^a-z0-9._]+", "-", label.replace("#", "").replace("%", "percent").lower()).strip("-")
    return slug if len(slug) <= LONGEST_SLUG else f"{slug[:LONGEST_SLUG]}-{content_key(label=label)[:8]}"
