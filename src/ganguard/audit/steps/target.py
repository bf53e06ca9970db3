"""Train the target, or open the user's, and put defences before it."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from ganguard.audit.plan.work import (
    DefendInputs,
    DefendSettings,
    NoInputs,
    OpenTargetSettings,
    TrainTargetInputs,
    TrainTargetSettings,
)
from ganguard.audit.steps.call import Digests, Kind, StepCall
from ganguard.audit.steps.real import load_real
from ganguard.base.cache import content_key, write_json
from ganguard.base.compute import Compute
from ganguard.base.errors import DataError, TargetError
from ganguard.base.image_rows import ImageRows
from ganguard.base.settings import Plain, Positive, Settings, read_record
from ganguard.defences.defended_target import DefendedTarget, defend
from ganguard.defences.input_semantic_interpolation import SemanticInterpolation
from ganguard.defences.protocol import Defence, Tools, parse_chain
from ganguard.metrics.features.network import differentiable, version_of
from ganguard.targets import TARGETS
from ganguard.targets.checkpoint import CheckpointTarget
from ganguard.targets.load import TargetSettings, load_target, parse_target
from ganguard.targets.protocol import BlackBoxTarget, LatentTarget
from ganguard.training.loop import train_gan

SECRET = (
    b"an audit's own"  # unknown to an audit's adversaries, and fixed, so that equal specs meet equal noise
)
_FILE = "target.json"


class DefendedFile(Settings):
    """A chain of defences before a target.

    Attributes:
        inner: name of the directory of the undefended target's step.
        chain: settings of the defences.
        directions: names of the directories of fitted directions, by attribute.
    """

    inner: str
    chain: tuple[Plain, ...]
    directions: dict[str, str]


class TargetFile(Settings):
    """The content of target.json.

    Attributes:
        description: describes the target to a person.
        settings: settings of a user's target; None for a checkpoint beside this file.
        shield: the defences before another target; it takes the place of `settings`.
        identity: identity of the target when it was opened.
        image_shape: (C, H, W) of its images.
    """

    description: str
    settings: Plain | None = None
    shield: DefendedFile | None = None
    identity: str = ""
    image_shape: tuple[Positive, Positive, Positive] | None = None


def run_train_target(call: StepCall[TrainTargetSettings, TrainTargetInputs[Path]]) -> Digests:
    """Train the target on the train split of its data."""
    training, real = call.settings.training, load_real(call.inputs.real)
    images = ImageRows(real.images, real.train)
    train_gan(
        images,
        training,
        call.directory,
        seed=call.settings.seed,
        compute=call.compute,
        progress=call.progress,
    )
    (call.directory / "training.safetensors").unlink()
    description = (
        f"{training.architecture.kind} trained here, {training.steps:,} steps on {len(images):,} images"
    )
    if privacy := training.differential_privacy:
        bound = f"({privacy.epsilon:g}, {privacy.delta:g})-" if privacy.epsilon else "not "
        description += f", {bound}differentially private"
    said = TargetFile(description=description)
    return _describe(call, said, _trained_here(call.directory).load(call.compute))


def run_open_target(call: StepCall[OpenTargetSettings, NoInputs[Path]]) -> Digests:
    """Open the user's target, and check that it takes codes if the adversary sends them."""
    target = call.settings.target
    said = TargetFile(description=_description(target), settings=target.model_dump(mode="json"))
    opened = _undefended(said, call.directory, call.compute)
    if call.settings.codes == "client" and not isinstance(opened, LatentTarget):
        raise TargetError("codes: client, but this target takes no codes. Set codes: provider.")
    return _describe(call, said, opened)


def _description(target: TargetSettings) -> str:
    """Return the kind of a target and its place. One of its fields is named after the kind, and holds it."""
    said = target.model_dump(mode="json")
    kind = next(key for key in said if key in TARGETS.table())
    return f"{kind}: {said[kind] if isinstance(said[kind], str) else said[kind]['kind']}"


def run_defend(call: StepCall[DefendSettings, DefendInputs[Path]]) -> Digests:
    """Put defences before the target, and check that they fit it."""
    shield = DefendedFile(
        inner=call.inputs.target.name,
        chain=tuple(defence.model_dump(mode="json") for defence in call.settings.chain),
        directions={attribute: path.name for attribute, path in call.inputs.directions.items()},
    )
    target = _defended(shield, call.directory, call.compute, client="")
    if isinstance(target, DefendedTarget):
        target.rehearse()
    return _describe(call, TargetFile(description="", shield=shield), target)


def _describe(call: StepCall[object, object], said: TargetFile, target: BlackBoxTarget) -> Digests:
    """Write target.json, so that later steps need not open the target, and return its digest."""
    found = said.model_copy(update={"identity": target.identity, "image_shape": target.image_shape})
    write_json(call.directory / _FILE, found.model_dump(mode="json"))
    return {"result": content_key(identity=target.identity)}


def read_target(directory: Path) -> TargetFile:
    """Read target.json of a target step or a defend step. Raises DataError if it is damaged."""
    return read_record(directory / _FILE, TargetFile, DataError)


def open_target(directory: Path, compute: Compute, client: str = "") -> BlackBoxTarget:
    """Open the target of a target step or a defend step.

    Args:
        directory: of the step.
        compute: device type and threads.
        client: who asks it; defences may treat clients differently.

    Raises TargetError if it is not the target that the step opened.
    """
    said = read_target(directory)
    shield = said.shield
    target = (
        _defended(shield, directory, compute, client) if shield else _undefended(said, directory, compute)
    )
    if target.identity != said.identity:
        raise TargetError(
            "the target differs each time it is opened. Let its factory load weights, or seed them."
        )
    return target


def _undefended(said: TargetFile, directory: Path, compute: Compute) -> BlackBoxTarget:
    settings = parse_target(said.settings) if said.settings else _trained_here(directory)
    return load_target(settings, compute)


def _trained_here(directory: Path) -> CheckpointTarget:
    """Return the target that a step trained, from its directory."""
    return CheckpointTarget(checkpoint=str(directory / "checkpoint"))


def _defended(shield: DefendedFile, directory: Path, compute: Compute, client: str) -> BlackBoxTarget:
    steps = directory.parent.parent / "steps"  # `directory` may be that of a step in progress
    inner = open_target(steps / shield.inner, compute)
    fitted = {attribute: steps / name for attribute, name in shield.directions.items()}
    chain = along_fitted(parse_chain(shield.chain), fitted)
    return defend(inner, chain, secret=SECRET, client=client, tools=tools_for(inner, compute))


def along_fitted(chain: Sequence[Defence], fitted: Mapping[str, Path]) -> tuple[Defence, ...]:
    """Return the chain, with defences that name an attribute set to the direction that was fitted to it."""
    return tuple(
        d.along_fitted(fitted[d.attribute]) if isinstance(d, SemanticInterpolation) and d.attribute else d
        for d in chain
    )


def moves_codes(directory: Path) -> bool:
    """Return whether a defended target moves codes: its images are then not those of the codes sent to it."""
    shield = read_target(directory).shield
    return shield is not None and any(d.side == "input" for d in parse_chain(shield.chain))


def tools_for(target: BlackBoxTarget, compute: Compute) -> Tools:
    """Return the tools that defences of a target may need: feature networks for its images."""
    return Tools(lambda settings: differentiable(settings, target.image_shape[0], compute), version_of)


_HERE = "ganguard.audit.steps.target"
OPENS_CHECKPOINT = (
    "ganguard.architectures",
    "ganguard.targets.batching",
    "ganguard.targets.checkpoint",
    "ganguard.targets.load",
    "ganguard.targets.module",
)
"""Code that the images of a GAN depend on that was trained here."""
OPENS = ("ganguard.base", "ganguard.architectures", "ganguard.targets", _HERE)
"""Code that the images of any target depend on, as far as its identity does not tell it."""
IDENTITY_TELLS = {
    f"{_HERE}:_defended": "the identity of a defended target holds the version of its defences' code",
    "ganguard.targets.images:ImagesTarget": "the identity of such a target is the digest of its images",
}
"""What the digest of a target that a step reads tells already."""

TRAIN_TARGET = Kind(
    run_train_target,
    code=("ganguard.base", *OPENS_CHECKPOINT, "ganguard.training", "ganguard.audit.steps.real", _HERE),
)
OPEN_TARGET = Kind(run_open_target, code=(*OPENS, "ganguard.data"))
DEFEND = Kind(run_defend, code=(*OPENS, "ganguard.data", "ganguard.defences", "ganguard.metrics.features"))
