"""What an attack is, what its adversary knows, and what comes out."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast

from torch import Tensor

from ganguard.architectures.networks import require_buildable
from ganguard.attacks import ATTACKS
from ganguard.base.compute import Compute
from ganguard.base.errors import TargetError
from ganguard.base.progress import Progress, silent
from ganguard.base.settings import Positive, parse
from ganguard.queries.store import Store
from ganguard.targets.protocol import BlackBoxTarget, WhiteBoxTarget
from ganguard.training.guess import Guess
from ganguard.training.settings import TrainingSettings


class AttackSettings(TrainingSettings):
    """Base of an attack's settings: its name in the table, how many images it may buy, and how it trains its
    substitute."""

    kind: str
    query_budget: Positive

    def label(self) -> str:
        """What the attack is called in results and reports, whatever its budget."""
        return f"{self.kind.replace('_', ' ')} {self.architecture.kind}"

    def buys(self) -> int:
        """Images that are bought for it."""
        return self.query_budget

    def trains_through(self) -> bool:
        """Whether its adversary can put a guessed defence into the training on what it bought."""
        return False

    def require_known(self, own: int) -> None:
        """Raise SpecError, before anything is bought, where `own` real images to train with do not
        suffice."""


@dataclass(frozen=True)
class Knowledge:
    """What this adversary knows beyond the API.

    real_images: X_r, some of the target's training images, (m, C, H, W) uint8, or None.
    judge: what it tells good images by: (N, C, H, W) uint8 to a number, lower is better; made of other real
        images that it holds, and of nothing that grades it.
    judged_by: tells judges apart: a training that another judge watched is not gone on with.
    domain_images: of another domain that the copy is to be moved to, (n, C, H, W) uint8, or None.
    guessed_defence: what it believes that bought images pass through, or None. Only an attack that
        `trains_through` it makes anything of it.
    """

    real_images: Tensor | None = None
    judge: Callable[[Tensor], float] | None = None
    judged_by: str = ""
    domain_images: Tensor | None = None
    guessed_defence: Guess | None = None


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
    """The function of an attack. Its own signature says which protocol the target must have."""

    def __call__(
        self, target: Any, settings: Any, knowledge: Knowledge, workspace: Workspace, *, seed: int
    ) -> Substitute: ...


class Require(Protocol):
    """Raises InputError where settings do not fit the target: what can be told before an image is bought."""

    def __call__(self, target: Any, settings: Any, /) -> None: ...


def anything(target: Any, settings: Any, /) -> None:
    """Nothing more is required of a target than that its images can be made."""


@dataclass(frozen=True)
class Attack:
    """An entry of the attack table: the type of its settings, its function, whether it needs the target's D,
    and what else it requires."""

    settings: Callable[..., AttackSettings]
    run: Run
    white_box: bool = False
    require: Require = anything


def parse_attack(value: Mapping[str, Any]) -> AttackSettings:
    """A mapping with `kind` to the settings of that attack. Raises SpecError."""
    attack = cast(Attack, ATTACKS.load(value.get("kind")))
    return parse(cast(type[AttackSettings], attack.settings), value, str(value.get("kind")))


def run_attack(
    target: BlackBoxTarget, settings: AttackSettings, knowledge: Knowledge, workspace: Workspace, *, seed: int
) -> Substitute:
    """Run the attack that `settings` are of. Raises InputError, before an image is bought, where it does not
    fit the target."""
    require_attackable(target, settings)
    attack = cast(Attack, ATTACKS.load(settings.kind))
    return attack.run(target, settings, knowledge, workspace, seed=seed)


def require_attackable(target: BlackBoxTarget, settings: AttackSettings) -> None:
    """Raise SpecError where the substitute's architecture cannot make the target's images, TargetError where
    a white-box attack finds no discriminator, or one that does not give what it reads."""
    require_buildable(settings.architecture, target.image_shape)
    attack = cast(Attack, ATTACKS.load(settings.kind))
    if attack.white_box and not isinstance(target, WhiteBoxTarget):
        raise TargetError(
            f"{settings.kind} needs the target's discriminator, and this target has none. Give a "
            "checkpoint, or a factory that returns (G, D)."
        )
    attack.require(target, settings)
