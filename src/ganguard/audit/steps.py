"""The work of each kind of step. A runner writes its files to its own directory and returns digests of what
it made."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field
from safetensors.torch import load_file
from torch import Tensor

from ganguard.attacks.protocol import AttackSettings, parse_attack
from ganguard.audit.pictures import TILES, save_grid
from ganguard.audit.skipped import write_skipped
from ganguard.base.cache import content_key, tensor_digest, write_json, write_tensors
from ganguard.base.compute import Compute
from ganguard.base.errors import MetricError, TargetError
from ganguard.base.image_rows import ImageRows
from ganguard.base.images import to_float
from ganguard.base.progress import Progress
from ganguard.base.settings import Plain, Positive, Settings
from ganguard.data.dataset import load_dataset, parse_dataset
from ganguard.data.splits import split
from ganguard.defences.defended_target import DefendedTarget, defend
from ganguard.defences.input_semantic_interpolation import SemanticInterpolation
from ganguard.defences.protocol import Defence, Tools, parse_chain
from ganguard.metrics.features.classifier import WEIGHTS, Classifier, accuracy
from ganguard.metrics.features.network import (
    Standardisation,
    differentiable,
    extract,
    load_features,
    parse_features,
    require_side,
    version_of,
)
from ganguard.targets import TARGETS
from ganguard.targets.load import load_target, parse_target
from ganguard.targets.protocol import BlackBoxTarget, LatentTarget
from ganguard.training.differential_privacy import PrivateTraining
from ganguard.training.loop import seeded_weights, train_gan
from ganguard.training.supervised import train_classifier


@dataclass(frozen=True)
class StepCall:
    """What a runner is given: its step's settings, the directories of its inputs by role, its own directory,
    the directory of the whole audit (where the ledger and the purchases are), how to compute, and how often a
    training saves its state."""

    settings: dict[str, Any]
    inputs: dict[str, Path]
    directory: Path
    audit: Path
    compute: Compute
    progress: Progress
    checkpoint_every: int | None = None

    def trained_as(self, settings: dict[str, Any]) -> dict[str, Any]:
        """The settings of a training, with how often it saves its state."""
        return (
            settings
            if self.checkpoint_every is None
            else {**settings, "checkpoint_every": self.checkpoint_every}
        )


KNOWN = "known.safetensors"
SECRET = b"an audit's own"  # no adversary of an audit uses it, and equal specs meet equal noise


class FeatureDescription(Settings):
    """What features.json says of a feature network. channels: of its images. dimensions: D.
    held_out_accuracy: of a classifier on the reference split."""

    settings: Plain
    channels: Positive
    dimensions: Positive
    held_out_accuracy: Annotated[float, Field(ge=0, le=1)] | None


Digests = dict[str, str]


@dataclass(frozen=True)
class Real:
    """The real step's output: images (N, C, H, W) uint8, labels (N,) or None, row indices of the two splits,
    groups (N,) or None."""

    images: Tensor
    labels: Tensor | None
    train: Tensor
    reference: Tensor
    groups: Tensor | None = None


def run_real(call: StepCall) -> Digests:
    """Decode the real images once, and split them."""
    settings = {key: value for key, value in call.settings.items() if key != "fingerprint"}
    real = load_dataset(parse_dataset(settings), call.progress)
    splits = split(real)
    tensors = {"images": real.images, "train": splits.train, "reference": splits.reference}
    tensors |= {
        name: part for name, part in (("labels", real.labels), ("groups", real.groups)) if part is not None
    }
    write_tensors(call.directory / "real.safetensors", tensors)
    save_grid(real.images[splits.train[:TILES]], call.directory)
    if real.skipped:
        write_skipped(call.directory, real.skipped.count, real.skipped.listed)
    return {"result": tensor_digest(tensors)}


def load_real(directory: Path) -> Real:
    """Read a real step's output."""
    tensors = load_file(directory / "real.safetensors")
    return Real(
        tensors["images"],
        tensors.get("labels"),
        tensors["train"],
        tensors["reference"],
        tensors.get("groups"),
    )


def read_known(directory: Path) -> tuple[Tensor, Tensor]:
    """What a known step chose: real images (m, C, H, W) uint8 to train with, and those that the adversary's
    judge holds out."""
    tensors = load_file(directory / KNOWN)
    return tensors["own"], tensors["judged"]


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


def attack_of(said: dict[str, Any], checkpoint_every: int | None = None) -> AttackSettings:
    """The attack that a step's settings say."""
    known = {key: value for key, value in said.items() if key != "fingerprint"}
    return parse_attack(
        known if checkpoint_every is None else {**known, "checkpoint_every": checkpoint_every}
    )


def run_features(call: StepCall) -> Digests:
    """Train the feature network if it is a classifier, and fit the scale of the features on the real train
    split."""
    real = load_real(call.inputs["real"])
    settings = parse_features(call.settings)
    require_side(real.images)
    held_out: float | None = None
    if isinstance(settings, Classifier):
        held_out = _train_classifier(settings, real, call)
    network = load_features(settings, call.directory, real.images.shape[1])
    scale = Standardisation.fit(extract(network, real.images[real.train], call.compute))
    write_tensors(call.directory / "scale.safetensors", {"mean": scale.mean, "std": scale.std})
    said = FeatureDescription(
        settings=call.settings,
        channels=real.images.shape[1],
        dimensions=len(scale.mean),
        held_out_accuracy=held_out,
    )
    write_json(call.directory / "features.json", said.model_dump(mode="json"))
    digest = tensor_digest({**network.state_dict(), "scale/mean": scale.mean, "scale/std": scale.std})
    return {"result": digest}


def _train_classifier(settings: Classifier, real: Real, call: StepCall) -> float:
    if real.labels is None:
        raise MetricError(
            "features: classifier learns from labels, and the real data has none. Put every image, and not "
            "just most, into the subfolder of its class, or set features: random_network."
        )
    labels = real.labels
    with seeded_weights(0):
        network = settings.untrained(real.images.shape[1], int(labels.max()) + 1)
    train_classifier(
        network,
        real.images[real.train],
        labels[real.train],
        steps=settings.steps,
        seed=0,
        compute=call.compute,
        progress=call.progress,
    )
    write_tensors(call.directory / WEIGHTS, network.cpu().state_dict())
    return accuracy(network, to_float(real.images[real.reference]), labels[real.reference])


Runner = Callable[[StepCall], Digests]
