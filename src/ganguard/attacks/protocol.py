"""What an attack is, what its adversary knows, and what comes out."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast

from torch import Tensor

from ganguard.architectures.networks import require_buildable
from ganguard.attacks import ATTACKS
from ganguard.base.compute import Compute
from ganguard.base.progress import Progress, silent
from ganguard.base.settings import Positive, parse
from ganguard.queries.store import Store
from ganguard.targets.protocol import BlackBoxTarget
from ganguard.training.settings import TrainingSettings


class AttackSettings(TrainingSettings):
    """Base of an attack's settings: its name in the table, how many images it may buy, and how it trains its substitute."""

    kind: str
    query_budget: Positive


@dataclass(frozen=True)
class Knowledge:
    """What this adversary knows beyond the API.

    real_images: some of the target's training images, (N, C, H, W) uint8, or None.
    """

    real_images: Tensor | None = None


@dataclass(frozen=True)
class Workspace:
    """What an attack works with.

    directory: where the substitute is trained; a run that was killed goes on there.
    store: where bought images are kept; images that lie there already are not bought again.
    """

    directory: Path
    store: Store
    compute: Compute
    progress: Progress = silent


@dataclass(frozen=True)
class Substitute:
    """The adversary's GAN: its checkpoint directory, and how many queries it was made from."""

    checkpoint: Path
    queries: int


class Run(Protocol):
    """The function of an attack."""

    def __call__(
        self, target: BlackBoxTarget, settings: Any, knowledge: Knowledge, workspace: Workspace, *, seed: int
    ) -> Substitute: ...


@dataclass(frozen=True)
class Attack:
    """An entry of the attack table: the type of its settings, and its function."""

    settings: Callable[..., AttackSettings]
    run: Run


def parse_attack(value: Mapping[str, Any]) -> AttackSettings:
    """A mapping with `kind` to the settings of that attack. Raises SpecError."""
    attack = cast(Attack, ATTACKS.load(value.get("kind")))
    return parse(cast(type[AttackSettings], attack.settings), value, str(value.get("kind")))


def run_attack(
    target: BlackBoxTarget, settings: AttackSettings, knowledge: Knowledge, workspace: Workspace, *, seed: int
) -> Substitute:
    """Run the attack that `settings` are of. Raises SpecError, before an image is bought, where its architecture cannot make
    the target's images."""
    require_buildable(settings.architecture, target.image_shape)
    attack = cast(Attack, ATTACKS.load(settings.kind))
    return attack.run(target, settings, knowledge, workspace, seed=seed)
