"""Draw the images that a copy is measured by; a conditional one is asked as the audit asks."""

from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor

from ganguard.base.labels import Labels
from ganguard.base.seeds import derived_seed
from ganguard.targets.ask import Ask, asked_of
from ganguard.targets.conditions import conditions_of, sample
from ganguard.targets.protocol import BlackBoxTarget


class Drawn(NamedTuple):
    """Images (N, C, H, W) uint8, and what they were asked for; None without conditions."""

    images: Tensor
    labels: Labels | None

    @staticmethod
    def of_names(images: Tensor, conditions: Sequence[str] | None) -> "Drawn":
        """Return images that were asked for conditions (N), by name."""
        return Drawn(images, None if conditions is None else Labels.of_names(conditions))


def drawn(copy: BlackBoxTarget, indices: range, ask: Ask, *, seed: int) -> Drawn:
    """Return images of a copy.

    Which condition each is asked for follows from a seed of its own, and not from that of the codes.
    """
    known = conditions_of(copy)
    asked = asked_of(copy, ask, indices, seed=derived_seed(seed, "asked")) if known else None
    images = sample(copy, indices, seed=seed, conditions=asked)
    return Drawn(images, Labels(asked, known.names) if known and asked is not None else None)
