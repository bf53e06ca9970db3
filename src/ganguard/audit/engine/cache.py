"""Finished steps on disk, found by a key made of everything that their result depends on.

A step works in `work/<kind>-<key>`, which is renamed to `steps/<kind>-<key>` when the step is done. A step
that was killed goes on from what it left there.
"""

import shutil
import time
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path

from ganguard import __version__
from ganguard.audit.plan.parts import Plan
from ganguard.audit.plan.step import Step
from ganguard.audit.steps.kinds import KINDS
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
from ganguard.base.settings import NonNegative, Settings, read_json
from ganguard.defences import DEFENCES
from ganguard.metrics.features import FEATURES
from ganguard.metrics.features.network import FeatureSettings, library_versions, parse_features

RECORD = "step.json"
LIBRARIES = ("torch", "numpy", "scipy", "scikit-learn", "pillow", "simplejpeg", "kornia")
"""Libraries whose version may change the result of any step."""

CHANGES_NO_RESULT = {
    "ganguard": "tells the version, and files repeat it",
    "ganguard.audit.plan.adversary_work": "holds a step's settings, which are part of its key as they are",
    "ganguard.audit.plan.code_work": "holds a step's settings, which are part of its key as they are",
    "ganguard.audit.plan.ground_work": "holds a step's settings, which are part of its key as they are",
    "ganguard.audit.plan.independent_work": "holds a step's settings, which are part of its key as they are",
    "ganguard.audit.plan.step": "holds a step's settings, which are part of its key as they are",
    "ganguard.audit.spec.adversary": "holds settings of a step, which are part of its key as they are",
    "ganguard.audit.spec.judge": "holds a setting of a step, which is part of its key as it is",
    "ganguard.audit.steps.call": "hands settings and places to a step",
    "ganguard.base.errors": "names and words of errors; the code that raises one is counted",
    "ganguard.base.grids": "draws pictures that no step reads; another layout needs another file name",
    "ganguard.base.locks": "keeps processes apart",
    "ganguard.base.progress": "tells how far a step has come",
    "ganguard.queries.ledger": "keeps accounts: it allows or refuses a purchase, and gives no image",
    "ganguard.queries.reservation": "names purchases in the ledger",
    "ganguard.training.pace": "tells how fast a training is",
    "ganguard.training.reporting": "tells how far a training has come",
    "ganguard.training.tensorboard": "notes what a training tells",
}
"""Modules that steps reach, but whose code is part of no key; and why."""


class WrittenFile(Settings):
    """The size and the digest of a file that a step wrote."""

    bytes: NonNegative
    sha256: str


class StepFile(Settings):
    """The content of step.json, beside its checksum.

    Attributes:
        name: the step's name.
        key: the step's key.
        digests: of the parts of its output, by the part's name.
        seconds: wall time that it took.
        finished: when it was finished, in seconds since 1970.
        ganguard: version of the package.
        files: every file that it wrote, by its path in the directory.
    """

    name: str
    key: str
    digests: dict[str, str]
    seconds: float
    finished: float
    ganguard: str
    files: dict[str, WrittenFile]


@dataclass(frozen=True)
class Done:
    """A finished step.

    Attributes:
        directory: where its files are.
        digests: of the parts of its output, by the part's name.
        seconds: wall time that it took.
    """

    directory: Path
    digests: dict[str, str]
    seconds: float


def step_key(step: Step, done: dict[str, Done], compute: Compute) -> str:
    """Return the key of a step, 64 hex digits: a digest of everything that its result depends on.

    done: the finished steps by name; at least those that it reads.
    """
    networks = _networks_of(step)
    return content_key(
        kind=step.kind,
        settings=step.settings.said(),
        inputs={role: done[i.step.name].digests[i.part] for role, i in step.inputs.by_role().items()},
        code=code_version(
            *code_of(step), *_plugin_packages(step, networks), but=frozenset(CHANGES_NO_RESULT)
        ),
        compute={"device": compute.torch_device().type, "threads": compute.threads},
        libraries=_libraries_of(step, networks),
    )


def code_of(step: Step) -> tuple[str, ...]:
    """Return our packages and modules that the result of a step depends on."""
    kind, roles = KINDS[step.kind], step.inputs.by_role().keys()
    parts = [part for part in kind.code_with if part in roles or getattr(step.settings, part, None)]
    return (*kind.code, *(name for part in parts for name in kind.code_with[part]))


@cache
def _libraries() -> dict[str, str]:
    return {name: version(name) for name in LIBRARIES}


def _libraries_of(step: Step, networks: list[FeatureSettings]) -> dict[str, str]:
    """Return the versions of all libraries that the result of a step depends on."""
    of_defences = [name for defence in step.settings.defences() for name in type(defence).libraries]
    named = [*step.settings.libraries(), *of_defences]
    of_networks = [found for network in networks for found in library_versions(network).items()]
    return _libraries() | {name: library_version(name) for name in named} | dict(of_networks)


def _networks_of(step: Step) -> list[FeatureSettings]:
    """Return the feature networks that the step, or a defence in it, runs."""
    of_defences = [getattr(defence, "network", None) for defence in step.settings.defences()]
    return [*step.settings.networks(), *(parse_features(network) for network in of_defences if network)]


def _plugin_packages(step: Step, networks: list[FeatureSettings]) -> list[str]:
    """Return other people's packages whose code the step runs through."""
    named = step.settings.plugins()
    named += [(DEFENCES, defence.kind) for defence in step.settings.defences()]
    named += [(FEATURES, network.kind) for network in networks]
    packages = {table.package(kind) for table, kind in named if kind in table.table()}
    return sorted(packages - {"ganguard"})


def step_directory(audit: Path, step: Step, key: str, state: str) -> Path:
    """Return the directory of a step. state: "work" while it is in progress, "steps" when it is finished."""
    return audit / state / f"{step.kind}-{key[:20]}"


def find(audit: Path, step: Step, key: str) -> Done | None:
    """Return a finished step, or None if it is absent or not whole."""
    directory = step_directory(audit, step, key, "steps")
    try:
        record = read_step(directory)
        whole = all((directory / file).stat().st_size == said.bytes for file, said in record.files.items())
        if whole and KINDS[step.kind].is_whole(directory, audit):
            return Done(directory, record.digests, record.seconds)
    except (OSError, ValueError, DataError):  # absent or damaged: it is run again
        return None
    return None


def read_step(directory: Path) -> StepFile:
    """Return the content of a finished step's step.json.

    Raises OSError if it is absent, and ValueError if it is damaged.
    """
    said = read_json(directory / RECORD)
    if not isinstance(said, dict) or said.pop("checksum", None) != content_key(**said):
        raise ValueError(f"{directory / RECORD}: its checksum does not fit")
    return StepFile.model_validate(said)


@cache
def require_whole(directory: Path) -> None:
    """Raise DataError if a file of a finished step is not as it was written.

    It is called before another step reads the files. A process checks each step once.
    """
    for file, said in read_step(directory).files.items():
        if file_digest(directory / file) != said.sha256:
            raise DataError(
                f"{directory / file}: damaged: its SHA-256 is not the recorded one. Remove {directory}: "
                "it is then done again."
            )


def finish(audit: Path, step: Step, key: str, digests: dict[str, str], seconds: float) -> Done:
    """Write a step's record, and rename its directory into its place among the finished ones."""
    work = step_directory(audit, step, key, "work")
    (work / RECORD).unlink(missing_ok=True)  # of a run that was stopped here
    files = {
        file.relative_to(work).as_posix(): WrittenFile(bytes=file.stat().st_size, sha256=file_digest(file))
        for file in sorted(work.rglob("*"))
        if file.is_file()
    }
    said = StepFile(
        name=step.name,
        key=key,
        digests=digests,
        seconds=seconds,
        finished=time.time(),
        ganguard=__version__,
        files=files,
    ).model_dump(mode="json")
    write_json(work / RECORD, {**said, "checksum": content_key(**said)})
    directory, before = step_directory(audit, step, key, "steps"), find(audit, step, key)
    if directory.exists() and (before is None or before.digests != digests):
        shutil.rmtree(directory)
    publish_directory(work, directory)
    return Done(directory, digests, seconds)


def find_all(plan: Plan, audit: Path, compute: Compute) -> dict[str, Done]:
    """Return the steps of a plan that are finished, by name.

    A volatile step is assumed to give what it gave last.
    """
    done: dict[str, Done] = {}
    for step in plan.steps:
        if all(i.step.name in done for i in step.inputs.by_role().values()):
            found = find(audit, step, step_key(step, done, compute))
            if found:
                done[step.name] = found
    return done
