"""A change of code changes the keys of just those steps whose result depends on it.

The package is copied, one constant of a module is changed at a time, and the copy says which keys differ.
"""

import ast
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import ganguard

GAN = {"architecture": "sngan", "query_budget": 20}
SPEC: dict[str, Any] = {
    "target": {"train": {"dataset": "digits", "architecture": "sngan", "steps": 10}},
    "real": "digits",
    "features": "random_network",
    "codes": "client",
    "attacks": [
        {"kind": "fidelity", **GAN},
        {"kind": "distillation", **GAN},
        {"kind": "accuracy_white_box", **GAN},
        {"kind": "transfer", **GAN, "domain": {"kind": "digits", "size": 8}},
    ],
    "defences": [
        "none",
        {"kind": "semantic_interpolation", "attribute": "slant", "amount": 1},
        {"kind": "jpeg", "quality": 20},
    ],
    "adversaries": ["naive", "through_defence"],
}
CHAINS = [
    {"kind": "jpeg", "quality": 20},
    {"kind": "adversarial_noise", "budget": 1, "network": "random_network"},
]
KEYS = """
import functools, json, sys
from pathlib import Path

import ganguard
from ganguard.audit.engine import cache
from ganguard.audit.plan.plan import make_plan
from ganguard.audit.spec.spec import Spec
from ganguard.base import cache as base_cache
from ganguard.base.cache import code_version
from ganguard.base.compute import Compute
from ganguard.base.settings import parse
from ganguard.defences import version
from ganguard.defences.defended_target import Shield
from ganguard.defences.protocol import Tools, parse_chain
from ganguard.metrics.features.network import version_of

base_cache.file_digest = functools.cache(base_cache.file_digest)
told = json.load(sys.stdin)
plans = [make_plan(parse(Spec, spec, "")) for spec in told["specs"]]
assert Path(ganguard.__file__).is_relative_to(Path.cwd()), ganguard.__file__

class Anything(dict):
    def __missing__(self, name):
        return "0"

done = {step.name: cache.Done(Path(), Anything(), 0.0) for plan in plans for step in plan.steps}

def label(step):
    read = step.inputs.by_role()
    parts = [part for part in ("known", "guess") if part in read or getattr(step.settings, part, None)]
    return f"{step.kind} with {', '.join(parts)}" if parts and step.kind == "substitute" else step.kind

def keys():
    code_version.cache_clear()
    base_cache.file_digest.cache_clear()
    version.source_version.cache_clear()
    found = {}
    for plan in plans:
        for step in plan.steps:
            found.setdefault(label(step), []).append(cache.step_key(step, done, Compute()))
    for chain in told["chains"]:
        shield = Shield(parse_chain(chain), b"secret", "", Tools(None, version_of))
        found[f"identity behind {chain['kind']}"] = shield.digest()
    return found

before, changed = keys(), {}
for file, text in told["changes"].items():
    place = Path("ganguard", file)
    sound = place.read_text()
    place.write_text(text)
    changed[file] = [name for name, found in keys().items() if found != before[name]]
    place.write_text(sound)
assert keys() == before
json.dump({"names": sorted(before), **changed}, sys.stdout)
"""
"""Program that says, for each changed file, which keys change. A step's inputs count as unchanged."""

WITH_KNOWN = {"substitute with known", "substitute with known, guess"}
WITH_GUESS = {"substitute with guess", "substitute with known, guess"}
SUBSTITUTES = {"substitute", *WITH_KNOWN, *WITH_GUESS}
MEASURING = {
    "measure_independent",
    "yardsticks",
    "eyesight",
    "utility",
    "known",
    "replay",
    "measure",
    "domain",
    "measure_transfer",
    "codes",
    "measure_codes",
}
MEASURED_COPIES = {"measure", "measure_independent", "measure_transfer", "measure_codes"}
BUYING = {"purchase", "yardsticks", "eyesight", "utility", "codes"}
OPENING = {"open_target", "defend", "direction", "fit", *BUYING}
ASKING = {"ready", "fit"}
TRAINING = {"train_target", "independent"}
IDENTITIES = {"identity behind jpeg", "identity behind adversarial_noise"}
EVERY_STEP = {"real", "features", "rework", *TRAINING, *OPENING, *MEASURING, *ASKING, *SUBSTITUTES}
ROOMS = {
    "base/seeds.py": EVERY_STEP | IDENTITIES,
    "base/settings.py": EVERY_STEP | {"sound"},
    "base/grids.py": set(),
    "data/splits.py": {
        "real",
        *ASKING,
        "open_target",
        "defend",
        "yardsticks",
        "known",
        "domain",
        "measure_transfer",
        "independent",
    }
    | SUBSTITUTES,
    "data/lsun_lmdb.py": {"real", *ASKING, "open_target", "defend"},
    "architectures/sngan.py": {
        "ready",
        *TRAINING,
        *MEASURED_COPIES,
        *OPENING,
        *SUBSTITUTES,
    },
    "training/losses.py": {*ASKING, *TRAINING, *SUBSTITUTES},
    "training/pace.py": set(),
    "training/denoiser.py": {*ASKING, *TRAINING, *SUBSTITUTES},
    "attacks/fidelity.py": {*ASKING, *SUBSTITUTES},
    "training/pairs.py": {*ASKING, *TRAINING, *SUBSTITUTES},
    "attacks/reweighting.py": {"rework", *ASKING, *SUBSTITUTES},
    "attacks/subsampling/metropolis_hastings.py": {*ASKING, *SUBSTITUTES},
    "metrics/frechet.py": MEASURING,
    "metrics/kernel.py": MEASURING | WITH_KNOWN,
    "metrics/features/classifier.py": {
        "features",
        "fit",
        "direction",
        "defend",
        "rework",
        *MEASURING,
        *WITH_KNOWN,
        *WITH_GUESS,
    }
    | {"identity behind adversarial_noise"},
    "comparison/compare.py": {"ready", *MEASURING},
    "comparison/measure_sets.py": set(),
    "queries/harvest.py": {*ASKING, *BUYING, *SUBSTITUTES},
    "queries/ledger_rows.py": set(),
    "targets/checkpoint.py": {"ready", *TRAINING, *MEASURED_COPIES, *OPENING, *SUBSTITUTES},
    "targets/http.py": OPENING,
    "defences/output_jpeg.py": {"fit", "defend", *WITH_GUESS, *IDENTITIES},
    "report/words.py": set(),
    "results/verdicts.py": set(),
    "results/records.py": {"sound", *MEASURING},
    "results/direction_record.py": {"direction"},
    "results/soundness.py": {"sound"},
    "gateway/watch/risk.py": set(),
    "audit/spec/spec.py": set(),
    "audit/plan/adversary_work.py": set(),
    "audit/plan/code_work.py": set(),
    "audit/plan/ground_work.py": set(),
    "audit/plan/independent_work.py": set(),
    "audit/steps/purchase.py": BUYING | SUBSTITUTES,
    "audit/steps/codes.py": {"codes", "measure_codes"},
    "audit/steps/measure.py": {"measure"},
    "audit/steps/independent.py": {"independent"},
    "audit/steps/measure_independent.py": {"measure_independent"},
    "audit/engine/execute.py": set(),
    "audit/outcome/assemble.py": set(),
    "cli/audit.py": set(),
}
"""Module -> the steps whose keys a change of one of its constants changes."""


def with_another_constant(file: Path) -> str:
    """The source of a module, the first number in its code greater by 1, or one more if there is none."""
    source = file.read_text()
    constants = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Constant)]
    numbers = [node for node in constants if type(node.value) in (int, float)]
    if not numbers:
        return f"{source}\nANOTHER = 1\n"
    first = min(numbers, key=lambda node: (node.lineno, node.col_offset))
    lines = source.encode().splitlines(keepends=True)
    line = lines[first.lineno - 1]
    new = str(first.value + 1).encode()
    lines[first.lineno - 1] = line[: first.col_offset] + new + line[first.end_col_offset :]
    return b"".join(lines).decode()


@pytest.fixture(scope="module")
def changed(
    tmp_path_factory: pytest.TempPathFactory, tiny_checkpoint: Callable[..., Path]
) -> dict[str, set[str]]:
    """The steps whose keys differ, for each changed file."""
    place = tmp_path_factory.mktemp("copied")
    package = shutil.copytree(Path(ganguard.__file__).parent, place / "ganguard")
    opened = {"checkpoint": str(tiny_checkpoint(place / "target"))}
    changes = {file: with_another_constant(package / file) for file in ROOMS}
    # Copies that learn codes need images as they were bought, so that nobody makes others of these there.
    reworked = [attack for attack in SPEC["attacks"] if attack["kind"] != "distillation"]
    adversaries = ["naive", "through_defence", {"kind": "reweighting", "elsewhere": "skip"}]
    other = {**SPEC, "attacks": reworked, "adversaries": adversaries}
    told = {"specs": [SPEC, {**SPEC, "target": opened}, other], "changes": changes, "chains": CHAINS}
    found = subprocess.run(
        [sys.executable, "-c", KEYS],
        input=json.dumps(told),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        cwd=place,
        env={**os.environ, "PYTHONPATH": str(place)},
    )
    answer: dict[str, list[str]] = json.loads(found.stdout)
    assert (
        set(answer.pop("names")) == EVERY_STEP | {"sound"} | IDENTITIES
    )  # so that no kind of step is left out
    return {file: set(names) for file, names in answer.items()}


@pytest.mark.parametrize("file", ROOMS)
def test_a_change_in_a_room_changes_the_keys_of_just_the_steps_that_depend_on_it(
    changed: dict[str, set[str]], file: str
) -> None:
    assert changed[file] == ROOMS[file]


def test_every_room_is_among_them() -> None:
    rooms = {
        folder.name
        for folder in Path(ganguard.__file__).parent.iterdir()
        if (folder / "__init__.py").exists()
    }
    assert {file.partition("/")[0] for file in ROOMS} == rooms


def test_what_measures_tells_or_counts_trains_no_copy_again_that_has_no_judge(
    changed: dict[str, set[str]],
) -> None:
    """The judge of an adversary that holds real images measures, and so does what it watches."""
    rooms = ("metrics/", "comparison/", "report/", "results/", "queries/ledger")
    trained = {file: names & {*TRAINING, "substitute"} for file, names in changed.items()}
    assert not any(names for file, names in trained.items() if file.startswith(rooms))
