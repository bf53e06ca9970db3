"""Train the target, or open the user's, and put defences before it."""

from pathlib import Path

from ganguard.architectures.networks import classes_of
from ganguard.audit.plan.ground_work import (
    DefendInputs,
    DefendSettings,
    NoInputs,
    OpenTargetSettings,
    TrainTargetInputs,
    TrainTargetSettings,
)
from ganguard.audit.steps.call import Digests, Kind, StepCall
from ganguard.audit.steps.real import load_real
from ganguard.audit.steps.target_files import (
    FILES,
    OPENS,
    OPENS_CHECKPOINT,
    DefendedFile,
    TargetFile,
    open_defended,
    open_undefended,
    trained_here,
    write_target,
)
from ganguard.base.errors import TargetError
from ganguard.base.image_rows import ImageRows
from ganguard.defences.defended_target import DefendedTarget
from ganguard.targets.load import described
from ganguard.targets.protocol import LatentTarget, notes_of
from ganguard.training.loop import train_generator


def run_train_target(call: StepCall[TrainTargetSettings, TrainTargetInputs[Path]]) -> Digests:
    """Train the target on the train split of its data."""
    training, real = call.settings.training, load_real(call.inputs.real)
    images = ImageRows(real.images, real.train)
    train_generator(
        images,
        training,
        call.directory,
        seed=call.settings.seed,
        compute=call.compute,
        progress=call.progress,
        labels=real.labels_of(real.train) if classes_of(training.architecture) else None,
    )
    (call.directory / "training.safetensors").unlink()
    description = (
        f"{training.architecture.kind} trained here, {training.steps:,} step"
        f"{'' if training.steps == 1 else 's'} on {len(images):,} images"
    )
    if training.beginning:
        description += f", from {training.beginning.name()}"
    if privacy := training.differential_privacy:
        bound = f"({privacy.epsilon:g}, {privacy.delta:g})-" if privacy.epsilon else "not "
        description += f", {bound}differentially private"
    said = TargetFile(description=description)
    return {"result": write_target(call.directory, said, trained_here(call.directory).load(call.compute))}


def run_open_target(call: StepCall[OpenTargetSettings, NoInputs[Path]]) -> Digests:
    """Open the user's target, and check that it takes codes if the adversary sends them."""
    target = call.settings.target
    said = TargetFile(description=described(target), settings=target.model_dump(mode="json"))
    opened = open_undefended(said, call.directory, call.compute)
    if call.settings.codes == "client" and not isinstance(opened, LatentTarget):
        raise TargetError("codes: client, but this target takes no codes. Set codes: provider.")
    for note in notes_of(opened):
        call.say(note)
    return {"result": write_target(call.directory, said, opened)}


def run_defend(call: StepCall[DefendSettings, DefendInputs[Path]]) -> Digests:
    """Put defences before the target, and check that they fit it."""
    shield = DefendedFile(
        inner=call.inputs.target.name,
        chain=tuple(defence.model_dump(mode="json") for defence in call.settings.chain),
        directions={attribute: path.name for attribute, path in call.inputs.directions.items()},
    )
    target = open_defended(shield, call.directory, call.compute, client="")
    if isinstance(target, DefendedTarget):
        target.rehearse()
    return {"result": write_target(call.directory, TargetFile(description="", shield=shield), target)}


_HERE = "ganguard.audit.steps.target"
TRAIN_TARGET = Kind(
    run_train_target,
    code=(
        "ganguard.base",
        *OPENS_CHECKPOINT,
        "ganguard.targets.protocol",
        "ganguard.training",
        "ganguard.audit.steps.real",
        FILES,
        _HERE,
    ),
)
OPEN_TARGET = Kind(run_open_target, code=(*OPENS, "ganguard.data", _HERE))
DEFEND = Kind(
    run_defend, code=(*OPENS, "ganguard.data", "ganguard.defences", "ganguard.metrics.features", _HERE)
)
