"""The work of each kind of step. A runner writes its files to its own directory and returns digests of what
it made."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ganguard.audit.steps.call import Digests, StepCall
from ganguard.audit.steps.real import load_real
from ganguard.base.cache import content_key, write_json
from ganguard.base.compute import Compute
from ganguard.base.errors import TargetError
from ganguard.base.image_rows import ImageRows
from ganguard.defences.defended_target import DefendedTarget, defend
from ganguard.defences.input_semantic_interpolation import SemanticInterpolation
from ganguard.defences.protocol import Defence, Tools, parse_chain
from ganguard.metrics.features.network import differentiable, version_of
from ganguard.targets import TARGETS
from ganguard.targets.load import load_target, parse_target
from ganguard.targets.protocol import BlackBoxTarget, LatentTarget
from ganguard.training.differential_privacy import PrivateTraining
from ganguard.training.loop import train_gan

SECRET = b"an audit's own"  # no adversary of an audit uses it, and equal specs meet equal noise


def run_train_target(call: StepCall) -> Digests:
    """Train the target on the train split of its data."""
    seed = int(call.settings["seed"])
    training = {key: value for key, value in call.settings.items() if key != "seed"}
    real = load_real(call.inputs["real"])
    images = ImageRows(real.images, real.train)
    settings = PrivateTraining.model_validate(call.trained_as(training))
    train_gan(images, settings, call.directory, seed=seed, compute=call.compute, progress=call.progress)
    (call.directory / "training.safetensors").unlink()
    description = (
        f"{settings.architecture.kind} trained here, {settings.steps:,} steps on {len(images):,} images"
    )
    if privacy := settings.differential_privacy:
        description += f", {f'({privacy.epsilon:g}, {privacy.delta:g})-' if privacy.epsilon else 'not '}differentially private"
    return _describe_target(call, None, description)


def run_open_target(call: StepCall) -> Digests:
    """Open the user's target, and see that it takes the codes."""
    settings = call.settings["target"]
    kind = next(key for key in settings if key in TARGETS.table())
    where = settings[kind] if isinstance(settings[kind], str) else settings[kind]["kind"]
    return _describe_target(call, settings, f"{kind}: {where}")


def _describe_target(call: StepCall, settings: dict[str, Any] | None, description: str) -> Digests:
    """settings: of the user's target; None for the checkpoint that this step trained."""
    said = {"settings": settings, "description": description}
    write_json(call.directory / "target.json", said)
    target = open_target(call.directory, call.compute)
    write_json(call.directory / "target.json", {**said, "identity": target.identity})
    if call.settings.get("codes") == "client" and not isinstance(target, LatentTarget):
        raise TargetError("codes: client, but this target takes no codes. Set codes: provider.")
    return {"result": content_key(identity=target.identity)}


def open_target(directory: Path, compute: Compute, client: str = "") -> BlackBoxTarget:
    """The target that a target step described, or one before which a defence stands, as `client` meets it."""
    said = json.loads((directory / "target.json").read_text())
    if "defences" in said:
        inner = open_target(_step_beside(directory, said["inner"]), compute)
        fitted = {attribute: _step_beside(directory, name) for attribute, name in said["directions"].items()}
        chain = along_fitted(parse_chain(said["defences"]), fitted)
        target = defend(inner, chain, secret=SECRET, client=client, tools=tools_for(inner, compute))
    else:
        target = load_target(
            parse_target(said["settings"] or {"checkpoint": str(directory / "checkpoint")}), compute
        )
    if said.get("identity", target.identity) != target.identity:
        raise TargetError(
            "the target is another one each time it is opened. Have its factory load weights, or seed them."
        )
    return target


def _step_beside(directory: Path, name: str) -> Path:
    """Another step's directory, by its name on disk. `directory` may be one that is still at work."""
    return directory.parent.parent / "steps" / name


def along_fitted(chain: Sequence[Defence], fitted: Mapping[str, Path]) -> tuple[Defence, ...]:
    """The chain, with the directions that were fitted to attributes, by attribute."""
    return tuple(
        d.along_fitted(fitted[d.attribute]) if isinstance(d, SemanticInterpolation) and d.attribute else d
        for d in chain
    )


def target_identity(directory: Path) -> str:
    """The identity of the target that a target step described; it is not opened."""
    return str(json.loads((directory / "target.json").read_text())["identity"])


def run_defend(call: StepCall) -> Digests:
    """Put defences before the target, and see that they fit it."""
    chain = [
        {key: value for key, value in said.items() if key != "fingerprint"}
        for said in call.settings["defences"]
    ]
    fitted = {
        role.removeprefix("direction "): path.name for role, path in call.inputs.items() if role != "target"
    }
    said = {"inner": call.inputs["target"].name, "defences": chain, "directions": fitted}
    write_json(call.directory / "target.json", said)
    target = open_target(call.directory, call.compute)
    if isinstance(target, DefendedTarget):
        target.rehearse()
    write_json(call.directory / "target.json", {**said, "identity": target.identity})
    return {"result": content_key(identity=target.identity)}


def moves_codes(directory: Path) -> bool:
    """Whether a defended target's step has a defence of codes: then images of a code are not to be compared
    with it."""
    said = json.loads((directory / "target.json").read_text())
    return any(defence.side == "input" for defence in parse_chain(said["defences"]))


def tools_for(target: BlackBoxTarget, compute: Compute) -> Tools:
    """What defences of a target may need: feature networks for its images."""
    return Tools(lambda settings: differentiable(settings, target.image_shape[0], compute), version_of)
