"""What a feature network sees: distances of a target's images to themselves under known damage.

The table below declares the damage once: its levels from mild to strong, its words, and from which level on
everybody sees it at once. Functions read a ladder of measured distances: which damage the network cannot see,
and which damage is as far from the target as a copy is.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, Literal, NamedTuple

from pydantic import Field

from ganguard.base.settings import GREATEST, Number, Positive, Settings

DamageName = Literal["blur", "jpeg", "checkerboard", "noise", "tint", "resolution", "patches", "modes"]
WIDE = 1.96  # standard errors that an interval of 95 % reaches to both sides
LARGE = 256  # pixels of the shorter side from which on single pixels are not seen at once


@dataclass(frozen=True)
class Damage:
    """One kind of damage.

    Attributes:
        name: in results.
        title: in print.
        unit: of its levels.
        words: of one level, with "{}" in the level's place: "blur of σ = {} pixels".
        levels: for images whose shorter side is so many pixels, from mild to strong.
        plain: which of the levels everybody sees at once, for that side.
    """

    name: DamageName
    title: str
    unit: str
    words: str
    levels: Callable[[int], tuple[float, ...]]
    plain: Callable[[int], tuple[float, ...]]

    def at(self, level: float) -> str:
        """Return the damage at a level in words."""
        return self.words.format(f"{level:.2g}" if level < 100 else f"{level:,.0f}")


def _blur(side: int, *sigmas: float) -> tuple[float, ...]:
    return tuple(sigma * max(1.0, side / 64) for sigma in sigmas)


def _none(_side: int) -> tuple[float, ...]:
    return ()


_TABLE = (
    Damage(
        "blur",
        "Gaussian blur",
        "standard deviation in pixels",
        "blur of σ = {} pixels",
        lambda side: _blur(side, 0.5, 1, 2, 4),
        lambda side: _blur(side, 2, 4),
    ),
    Damage(
        "resolution",
        "lower resolution",
        "times fewer pixels a side",
        "a resolution {} times lower",
        lambda _: (2.0, 4.0),
        lambda side: (2.0, 4.0) if side < LARGE else (),
    ),
    Damage("jpeg", "JPEG", "quality", "JPEG of quality {}", lambda _: (90.0, 50.0, 20.0, 5.0), _none),
    Damage(
        "checkerboard",
        "checkerboard",
        "levels of 255",
        "a checkerboard of ±{} levels",
        lambda _: (4.0, 8.0, 16.0, 32.0),
        lambda side: (32.0,) if side < LARGE else (),
    ),
    Damage(
        "noise",
        "noise",
        "standard deviation in levels of 255",
        "noise of {} levels",
        lambda _: (5.0, 10.0, 20.0, 40.0),
        _none,
    ),
    Damage(
        "tint",
        "shift of colour, or of brightness",
        "levels of 255",
        "colours shifted by {} levels",
        lambda _: (8.0, 16.0, 32.0, 64.0),
        _none,
    ),
    Damage(
        "patches",
        "patches shuffled",
        "patches a side",
        "{0} × {0} patches shuffled",
        lambda _: (2.0, 4.0),
        lambda _: (2.0, 4.0),
    ),
    Damage(
        "modes",
        "modes dropped",
        "share of 10 clusters",
        "a share of {} of the modes dropped",
        lambda _: (0.1, 0.2, 0.5, 0.9),
        _none,
    ),
)
DAMAGES: dict[str, Damage] = {damage.name: damage for damage in _TABLE}
"""Every damage of the ladder, by name, in the order of tables."""


class Rung(Settings):
    """Images of the target under one damage at one level, measured against another draw of the target.

    Attributes:
        damage: its name in DAMAGES.
        level: in `unit`.
        plain: whether everybody sees this damage at once.
        distance: Fréchet distance.
        spread: its standard error; None if there are too few images to say.
        floor: Fréchet distance of the same images without damage.
        floor_spread: its standard error.
        kernel: kernel distance, which does not grow as the images become fewer.
        kernel_spread: its standard error.
        kernel_floor: kernel distance of the same images without damage.
        kernel_floor_spread: its standard error.
        images: how many images were damaged, and compared with as many.
    """

    damage: DamageName
    level: Annotated[float, Field(gt=0, le=GREATEST)]
    unit: str
    plain: bool
    distance: Annotated[float, Field(ge=0, le=GREATEST)]
    spread: Annotated[float, Field(ge=0, le=GREATEST)] | None = None
    floor: Annotated[float, Field(ge=0, le=GREATEST)]
    floor_spread: Annotated[float, Field(ge=0, le=GREATEST)] | None = None
    kernel: Number
    kernel_spread: Annotated[float, Field(ge=0, le=GREATEST)] | None = None
    kernel_floor: Number
    kernel_floor_spread: Annotated[float, Field(ge=0, le=GREATEST)] | None = None
    images: Positive

    @property
    def excess(self) -> float:
        """How much farther than two draws of the target."""
        return self.distance - self.floor

    @property
    def words(self) -> str:
        """The damage at this level in words."""
        return DAMAGES[self.damage].at(self.level)

    def is_seen(self) -> bool:
        """Return whether the network tells the damaged images from the target's own.

        It does if an interval of the Fréchet distance, or of the kernel distance, lies above that of two
        draws.
        """
        return _above(self.distance, self.spread, self.floor, self.floor_spread) or _above(
            self.kernel, self.kernel_spread, self.kernel_floor, self.kernel_floor_spread
        )


def _above(value: float, spread: float | None, floor: float, floor_spread: float | None) -> bool:
    if spread is None or floor_spread is None:
        return False
    return value - WIDE * spread > floor + WIDE * floor_spread


def steps_of(ladder: Sequence[Rung], damage: str) -> list[Rung]:
    """Return the rungs of one damage, from mild to strong."""
    return [rung for rung in ladder if rung.damage == damage]


def unseen(ladder: Sequence[Rung]) -> list[Rung]:
    """Return the rungs that the network cannot tell from the target's own images."""
    return [rung for rung in ladder if not rung.is_seen()]


def falling(ladder: Sequence[Rung]) -> list[Rung]:
    """Return the rungs that are nearer to the target than a milder one of the same damage, beyond both
    intervals.

    The network may tell them from the target's own images by far, but its distance does not grow with the
    damage.
    """
    return [
        strong
        for damage in DAMAGES
        for mild, strong in pairwise(steps_of(ladder, damage))
        if _above(mild.distance, mild.spread, strong.distance, strong.spread)
    ]


def plainly_unseen(ladder: Sequence[Rung]) -> list[Rung]:
    """Return the unseen rungs that everybody sees at once: with one of them, the network is no judge."""
    return [rung for rung in unseen(ladder) if rung.plain]


class Likeness(NamedTuple):
    """The damage that is as far from the target as something else is.

    Attributes:
        damage: its name.
        level: in the damage's unit.
        bound: "about" this level; or "below" the mildest, or "above" the strongest, that was measured.
    """

    damage: DamageName
    level: float
    bound: Literal["about", "below", "above"]

    @property
    def words(self) -> str:
        """The likeness in words: "like blur of σ = 2 pixels"."""
        said = DAMAGES[self.damage].at(self.level)
        before = {"about": "like", "below": "less than", "above": "more than"}
        return f"{before[self.bound]} {said}"


def like(
    ladder: Sequence[Rung], distance: float, damage: DamageName = "blur", floor: float | None = None
) -> Likeness | None:
    """Return at which level a damage is as far from the target as this Fréchet distance.

    Distances are compared by their excess over that of two draws. Between two levels, the logarithm of the
    level is a straight line over the logarithm of the excess.

    Args:
        ladder: the rungs.
        distance: of a copy to the target.
        damage: whose levels are read.
        floor: distance of two draws of as many images as the copy was measured with; None takes the ladder's.

    Returns None if fewer than two levels are seen, or if they do not grow.
    """
    hidden = {id(rung) for rung in (*unseen(ladder), *falling(ladder))}
    steps = [rung for rung in steps_of(ladder, damage) if id(rung) not in hidden and rung.excess > 0]
    if len(steps) < 2 or any(one.excess >= other.excess for one, other in pairwise(steps)):
        return None
    excess = distance - (steps[0].floor if floor is None else floor)
    if excess <= steps[0].excess:
        return Likeness(damage, steps[0].level, "about" if excess == steps[0].excess else "below")
    for one, other in pairwise(steps):
        if excess <= other.excess:
            share = math.log(excess / one.excess) / math.log(other.excess / one.excess)
            return Likeness(damage, one.level * (other.level / one.level) ** share, "about")
    return Likeness(damage, steps[-1].level, "above")


def nearest(ladder: Sequence[Rung], distance: float, floor: float | None = None) -> Rung | None:
    """Return the seen rung whose excess over two draws is nearest by ratio; None if none is seen.

    A distance that is no greater than that of two draws is near no damage.
    """
    hidden = {id(rung) for rung in unseen(ladder)}
    seen = [rung for rung in ladder if id(rung) not in hidden and rung.excess > 0]
    if not seen:
        return None
    excess = distance - (seen[0].floor if floor is None else floor)
    if excess <= 0:
        return None
    return min(seen, key=lambda rung: abs(math.log(rung.excess / excess)))
