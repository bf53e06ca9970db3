"""Write and read the file of a step that gives a target, and open the target behind its defences."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from ganguard.base.cache import content_key, write_json
from ganguard.base.compute import Compute
from ganguard.base.errors import DataError, TargetError
from ganguard.base.settings import Plain, Positive, Settings, read_record
from ganguard.defences.defended_target import defend
from ganguard.defences.input_semantic_interpolation import SemanticInterpolation
from ganguard.defences.protocol import Defence, parse_chain
from ganguard.defences.tools import tools_for
from ganguard.targets.checkpoint import CheckpointTarget
from ganguard.targets.conditions import Conditions, conditions_of
from ganguard.targets.load import load_target, parse_target
from ganguard.targets.protocol import BlackBoxTarget, notes_of

# Unknown to an audit's adversaries, and fixed, so that equal specs meet equal noise.
SECRET = b"the secret of every audit"
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
        notes: remarks on the target from when it was opened.
        conditions: what it can be asked for; None if it is not conditional.
    """

    description: str
    settings: Plain | None = None
    shield: DefendedFile | None = None
    identity: str = ""
    image_shape: tuple[Positive, Positive, Positive] | None = None
    notes: tuple[str, ...] = ()
    conditions: Conditions | None = None


def write_target(directory: Path, said: TargetFile, target: BlackBoxTarget) -> str:
    """Write target.json, so that later steps need not open the target, and return its digest.

    said: all but the identity, the shape of the images and the notes, which the opened target tells.
    """
    found = said.model_copy(
        update={
            "identity": target.identity,
            "image_shape": target.image_shape,
            "notes": notes_of(target),
            "conditions": conditions_of(target),
        }
    )
    write_json(directory / _FILE, found.model_dump(mode="json"))
    return content_key(identity=target.identity)


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
        open_defended(shield, directory, compute, client)
        if shield
        else open_undefended(said, directory, compute)
    )
    if target.identity != said.identity:
        raise TargetError(
            "the target differs each time it is opened. Let its factory load weights, or seed them."
        )
    return target


def open_undefended(said: TargetFile, directory: Path, compute: Compute) -> BlackBoxTarget:
    """Open a user's target, or the one that was trained in a step's directory."""
    settings = parse_target(said.settings) if said.settings else trained_here(directory)
    return load_target(settings, compute)


def trained_here(directory: Path) -> CheckpointTarget:
    """Return the target that a step trained, from its directory."""
    return CheckpointTarget(checkpoint=str(directory / "checkpoint"))


def open_defended(shield: DefendedFile, directory: Path, compute: Compute, client: str) -> BlackBoxTarget:
    """Open a target behind a chain of defences. directory: that of the step which put the chain there."""
    steps = directory.parent.parent / "steps"  # `directory` may be that of a step in progress
    inner = open_target(steps / shield.inner, compute)
    fitted = {attribute: steps / name for attribute, name in shield.directions.items()}
    chain = along_fitted(parse_chain(shield.chain), fitted)
    return defend(inner, chain, secret=SECRET, client=client, tools=tools_for(inner.image_shape[0], compute))


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


FILES = "ganguard.audit.steps.target_files"
OPENS_CHECKPOINT = (
    "ganguard.architectures",
    "ganguard.targets.ask",
    "ganguard.targets.batching",
    "ganguard.targets.checkpoint",
    "ganguard.targets.conditions",
    "ganguard.targets.discriminator",
    "ganguard.targets.foreign.code",
    "ganguard.targets.foreign.conditional",
    "ganguard.targets.foreign.fitted",
    "ganguard.targets.foreign.made",
    "ganguard.targets.foreign.network",
    "ganguard.targets.foreign.process_state",
    "ganguard.targets.foreign.purity",
    "ganguard.targets.foreign.ranges",
    "ganguard.targets.foreign.settings",
    "ganguard.targets.load",
    "ganguard.targets.module",
    "ganguard.targets.prior",
)
"""Code that the images of a GAN that was trained here depend on."""
OPENS = (
    "ganguard.base",
    "ganguard.architectures",
    "ganguard.data.crops",
    "ganguard.data.opacity",
    "ganguard.targets",
    FILES,
)
"""Code that the images of any target depend on, beside what its identity tells."""
IDENTITY_TELLS = {
    f"{FILES}:open_defended": "the identity of a defended target holds the version of its defences' code",
    "ganguard.targets.images:ImagesTarget": "the identity of such a target is the digest of its images",
}
"""Where the walk ends for steps that read a target: the digest of their input tells what lies behind."""
