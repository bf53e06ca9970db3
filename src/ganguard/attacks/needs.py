"""What an attack needs to run, declared so that planning and `ganguard attack` can get it."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from torch import Tensor

from ganguard.data.dataset import DatasetSettings
from ganguard.data.splits import some_of
from ganguard.results.records import Knows

if TYPE_CHECKING:
    from ganguard.attacks.protocol import AttackSettings

Relation = Literal["R4", "R5", "R6"]
"""The paper's relations to an attack that lacks the real images (R4), D (R5) or the stolen copy (R6)."""


@dataclass(frozen=True)
class Domain:
    """Images of another domain that a copy is moved to.

    Attributes:
        dataset: the data set that they belong to.
        images: how many of its training images are used; None takes all.
    """

    dataset: DatasetSettings
    images: int | None

    def choose(self, images: Tensor, train: Tensor, *, seed: int) -> Tensor:
        """Return the images (n, C, H, W) uint8 to train on, out of the rows `train` of the domain's images.

        Raises DataError if there are fewer than `self.images`.
        """
        return images[some_of(train, self.images, seed=seed)]


@dataclass(frozen=True)
class Needs:
    """What an attack needs beside a target that gives images.

    Attributes:
        purchase: images to buy for it.
        real_fraction: share, in (0, 1], of the target's training images that its adversary holds; None if it
            holds none.
        discriminator: whether its adversary holds the target's D.
        domain: another domain that the copy is moved to, or None.
        stolen: settings of a copy that must be trained first, or None. Attacks that need the same copy share
            it.
        copy: checkpoint of a copy that exists already, or None.
    """

    purchase: int = 0
    real_fraction: float | None = None
    discriminator: bool = False
    domain: Domain | None = None
    stolen: "AttackSettings | None" = None
    copy: Path | None = None

    def knows(self) -> tuple[Knows, ...]:
        """Return what the adversary has beside the images that it buys."""
        held: dict[Knows, bool] = {
            "real images": self.real_fraction is not None,
            "discriminator": self.discriminator,
            "another domain": self.domain is not None,
            "a copy": self.copy is not None,
        }
        return tuple(part for part, is_held in held.items() if is_held)
