"""Measure what a feature network sees: the target's images under known damage, against another draw."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from ganguard.base.images import composed
from ganguard.comparison.values import of_features
from ganguard.metrics.damages import OF_IMAGES, fewer_modes
from ganguard.results.eyesight import DAMAGES, Damage, Rung
from ganguard.results.measures import DISTANCE, MEASURES

PIXELS = 1 << 22  # of images that are damaged at once; each takes some 50 bytes


def ladder(
    images: Tensor, undamaged: Tensor, against: Tensor, embed: Callable[[Tensor], Tensor]
) -> Iterator[Rung]:
    """Yield a rung for each damage and level, from mild to strong.

    Args:
        images: of the target, (N, C, H, W) uint8. They are damaged as the feature network sees them, without
            opacity.
        undamaged: their features (N, D).
        against: features (N, D) of other images of the target.
        embed: maps images to features.
    """
    distance, kernel = MEASURES[DISTANCE], MEASURES["kernel_distance"]
    floor, kernel_floor = (of_features(measure, undamaged, against) for measure in (distance, kernel))
    side, images = min(images.shape[2:]), composed(images)
    for damage in DAMAGES.values():
        plain = damage.plain(side)
        for level in damage.levels(side):
            rows = _features(damage, level, images, undamaged, embed)
            found, by_kernel = (of_features(measure, rows, against) for measure in (distance, kernel))
            yield Rung(
                damage=damage.name,
                level=level,
                unit=damage.unit,
                plain=level in plain,
                distance=found.value,
                spread=found.spread,
                floor=floor.value,
                floor_spread=floor.spread,
                kernel=by_kernel.value,
                kernel_spread=by_kernel.spread,
                kernel_floor=kernel_floor.value,
                kernel_floor_spread=kernel_floor.spread,
                images=len(images),
            )


def _features(
    damage: Damage, level: float, images: Tensor, undamaged: Tensor, embed: Callable[[Tensor], Tensor]
) -> Tensor:
    """Return the features of the images under the damage, which is done to a part of them at a time."""
    if damage.name == "modes":
        return fewer_modes(undamaged, level)
    change = OF_IMAGES[damage.name]
    at_once = max(1, PIXELS // (images.shape[2] * images.shape[3]))
    parts = images.split(at_once)
    return torch.cat([embed(change(part, level, number)) for number, part in enumerate(parts)])
