"""Finished steps on disk: found by the key of everything that their result depends on.

A step works in `work/<kind>-<key>` and is renamed into `steps/<kind>-<key>` when it is whole. One that was
killed finds what it left there and goes on.
"""

import shutil
import time
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ganguard import __version__
from ganguard.architectures import ARCHITECTURES
from ganguard.attacks import ATTACKS
from ganguard.attacks.subsampling.density_ratio import RATIOS
from ganguard.audit.plan.plan import Plan
from ganguard.audit.plan.step import Step
from ganguard.base.cache import (
    code_version,
    content_key,
    file_digest,
    library_version,
    publish_directory,
    write_json,
)
from ganguard.base.compute import Compute
from ganguard.base.errors import DataError
from ganguard.base.settings import read_json
from ganguard.data import DATASETS
from ganguard.defences import DEFENCES
from ganguard.metrics.features import FEATURES
from ganguard.metrics.features.network import library_versions, parse_features
from ganguard.targets import TARGETS

RECORD = "step.json"
LIBRARIES = (
    "torch",
    "numpy",
    "scipy",
    "scikit-learn",
    "pillow",
    "simplejpeg",
    "kornia",
)  # whose versions may change a result
_GROUND = ("ganguard.base", "ganguard.data")
_MAKES_GANS = (*_GROUND, "ganguard.architectures", "ganguard.training")
_DEFENDS = ("ganguard.defences", "ganguard.metrics.features")
_MEASURES = (
    *_GROUND,
    "ganguard.architectures",
    "ganguard.targets",
    "ganguard.metrics",
    "ganguard.audit.steps.yardsticks",
    "ganguard.comparison.compare",
    "ganguard.comparison.embedding",
)
CODE: dict[str, tuple[str, ...]] = {
    "real": _GROUND,
    "ready": (*_GROUND, "ganguard.architectures", "ganguard.attacks", "ganguard.audit.steps.preflight"),
    "train_target": _MAKES_GANS,
    "open_target": (*_GROUND, "ganguard.architectures", "ganguard.targets"),
    "fit": (
        *_GROUND,
        "ganguard.architectures",
        "ganguard.targets",
        "ganguard.attacks",
        *_DEFENDS,
        "ganguard.audit.steps.preflight",
        "ganguard.audit.steps.substitute",
    ),
    "features": (
        *_GROUND,
        "ganguard.metrics.features",
        "ganguard.training.supervised",
        "ganguard.training.loop",
    ),
    "yardsticks": (*_MEASURES, "ganguard.queries"),
    "known": (*_MEASURES, "ganguard.audit.steps.substitute"),
    "direction": (*_MEASURES, *_DEFENDS, "ganguard.audit.steps.utility", "ganguard.comparison.directions"),
    "defend": (*_GROUND, "ganguard.architectures", "ganguard.targets", *_DEFENDS),
    "utility": (*_MEASURES, "ganguard.queries", *_DEFENDS, "ganguard.audit.steps.utility"),
    "purchase": (*_GROUND, "ganguard.architectures", "ganguard.targets", "ganguard.queries", *_DEFENDS),
    "replay": (*_MEASURES, "ganguard.queries", *_DEFENDS),
    "substitute": (*_MAKES_GANS, *_DEFENDS, "ganguard.attacks", "ganguard.audit.steps.substitute"),
    "measure": _MEASURES,
    "domain": (*_MEASURES, "ganguard.audit.steps.transfer"),
    "measure_transfer": (*_MEASURES, "ganguard.audit.steps.transfer"),
}
"""Which rooms' source code the result of a kind of step depends on, beside that of the step itself."""


@dataclass(frozen=True)
class Done:
    """A finished step: where its files are, digests of its parts, and the wall time that it took, in
    seconds."""

    directory: Path
    digests: dict[str, str]
    seconds: float


def step_key(step: Step, done: dict[str, Done], compute: Compute) -> str:
    """The key of a step whose inputs are done: 64 hex digits."""
    return content_key(
        kind=step.kind,
        settings=step.settings,
        inputs={i.role: done[i.step].digests[i.part] for i in step.inputs},
        code=code_version(
            *_rooms(step),
            "ganguard.audit.steps.target",
            "ganguard.audit.steps.purchase",
            "ganguard.base.grids",
            *_plugin_packages(step),
        ),
        compute={"device": compute.torch_device().type, "threads": compute.threads},
        libraries=_libraries() | _accountant(step) | _of_features(step) | _of_defences(step),
    )


@cache
def _libraries() -> dict[str, str]:
    return {name: version(name) for name in LIBRARIES}


def _accountant(step: Step) -> dict[str, str]:
    """What says how much noise keeps a training private."""
    return (
        {"opacus": version("opacus")}
        if step.settings.get("differential_privacy") and find_spec("opacus")
        else {}
    )


def _of_features(step: Step) -> dict[str, str]:
    """What else the feature networks run on that a step names: its own, or those of defences."""
    settings = step.settings
    named = [settings] if step.kind == "features" else []
    named += [d["network"] for d in _defences(step) if d.get("network")]
    return {
        name: found for network in named for name, found in library_versions(parse_features(network)).items()
    }


def _of_defences(step: Step) -> dict[str, str]:
    """What defences, also guessed ones, stand on."""
    return {
        name: library_version(name) for d in _defences(step) for name in DEFENCES.load(d["kind"]).libraries
    }


def _defences(step: Step) -> list[dict[str, Any]]:
    """The settings of all defences that a step names, also guessed ones."""
    chains = [
        step.settings.get("defences", []),
        step.settings.get("guess", []),
        *step.settings.get("guesses", []),
    ]
    return [defence for chain in chains for defence in chain]


def _rooms(step: Step) -> tuple[str, ...]:
    judged = any(i.role == "known" for i in step.inputs)  # a substitute whose training a metric stops
    return (*CODE[step.kind], *(_MEASURES if judged else ()))


def _plugin_packages(step: Step) -> list[str]:
    """Other people's packages whose code the step runs through."""
    settings = step.settings
    trained: dict[str, Any] = settings.get("attack", settings)
    named = [
        (DATASETS, settings.get("kind") if step.kind == "real" else None),
        (FEATURES, settings.get("kind") if step.kind == "features" else None),
        (ATTACKS, trained.get("kind") if step.kind == "substitute" else None),
        (RATIOS, trained.get("refining", {}).get("ratio")),
        (ARCHITECTURES, trained.get("architecture", {}).get("kind")),
        *((TARGETS, kind) for kind in settings.get("target", {})),
        (DATASETS, settings.get("target", {}).get("images", {}).get("kind")),
    ]
    for defence in _defences(step):
        named += [(DEFENCES, defence["kind"]), (FEATURES, defence.get("network", {}).get("kind"))]
    packages = {table.package(kind) for table, kind in named if kind in table.table()}
    return sorted(packages - {"ganguard"})


def step_directory(audit: Path, step: Step, key: str, state: str) -> Path:
    """Where a step is when it is "work" in progress, or among the finished "steps"."""
    return audit / state / f"{step.kind}-{key[:20]}"


def find(audit: Path, step: Step, key: str) -> Done | None:
    """A finished step, or None."""
    directory = step_directory(audit, step, key, "steps")
    try:
        record = read_record(directory)
        whole = all(
            (directory / file).stat().st_size == said["bytes"] for file, said in record["files"].items()
        )
        return Done(directory, record["digests"], record["seconds"]) if whole else None
    except (OSError, ValueError, KeyError, TypeError):  # absent, or damaged: do it again
        return None


def read_record(directory: Path) -> dict[str, Any]:
    """What a finished step's step.json says. Raises OSError where it is absent, ValueError or KeyError where
    it is damaged."""
    record: Any = read_json(directory / RECORD)
    if not isinstance(record, dict) or record.pop("checksum") != content_key(**record):
        raise ValueError(f"{directory / RECORD}: its checksum is another")
    return record  # pyright: ignore[reportUnknownVariableType]


@cache
def require_whole(directory: Path) -> None:
    """Raise DataError where a file of a finished step, which another is to read, is not the one that was
    written. A process looks at each step once."""
    for file, said in read_record(directory)["files"].items():
        if file_digest(directory / file) != said["sha256"]:
            raise DataError(
                f"{directory / file}: damaged: its SHA-256 is another. Remove {directory}: it is then done "
                "again."
            )


def finish(audit: Path, step: Step, key: str, digests: dict[str, str], seconds: float) -> Done:
    """Record a step and rename it into its place."""
    work = step_directory(audit, step, key, "work")
    (work / RECORD).unlink(missing_ok=True)  # of a run that was stopped here
    files = {
        file.relative_to(work).as_posix(): {"bytes": file.stat().st_size, "sha256": file_digest(file)}
        for file in sorted(work.rglob("*"))
        if file.is_file()
    }
    record: dict[str, Any] = {
        "name": step.name,
        "key": key,
        "digests": digests,
        "seconds": seconds,
        "finished": time.time(),
    }
    record |= {"ganguard": __version__, "files": files}
    write_json(work / RECORD, {**record, "checksum": content_key(**record)})
    directory, before = step_directory(audit, step, key, "steps"), find(audit, step, key)
    if directory.exists() and (before is None or (step.volatile and before.digests != digests)):
        shutil.rmtree(directory)
    publish_directory(work, directory)
    return Done(directory, digests, seconds)


def find_all(plan: Plan, audit: Path, compute: Compute) -> dict[str, Done]:
    """The steps of a plan that are finished already, by name. A volatile one is taken to give again what it
    gave last."""
    done: dict[str, Done] = {}
    for step in plan.steps:
        if all(i.step in done for i in step.inputs):
            found = find(audit, step, step_key(step, done, compute))
            if found:
                done[step.name] = found
    return done
