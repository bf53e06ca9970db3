"""Measure a conditional target class by class: what its copies are compared with."""

from collections.abc import Sequence
from pathlib import Path

from torch import Tensor

from ganguard.audit.steps.by_class import REAL_BY_CLASS, ClassYardsticks, Seen, save_by_class
from ganguard.audit.steps.drawn import Drawn
from ganguard.audit.steps.real import Real
from ganguard.comparison.embedding import Embedding
from ganguard.results.records import Measurement
from ganguard.targets.ask import Ask
from ganguard.targets.conditions import conditions_of
from ganguard.targets.protocol import BlackBoxTarget


def measure_by_class(
    directory: Path,
    embed: Embedding,
    target: BlackBoxTarget,
    draws: Sequence[Drawn],
    features: Sequence[Tensor],
    real: Real,
    everything: Tensor,
    ask: Ask,
) -> tuple[list[Measurement], str]:
    """Return the numbers by class of a conditional target and of the real images, and a digest of what copies
    are compared with, which is written to `directory`. Another target has neither: [] and "".

    Args:
        directory: of the step.
        embed: the feature network.
        target: the target.
        draws: the auditor's draws of it.
        features: (N, D) of both draws and of the reference split.
        real: the real images.
        everything: features (M, D) of all of them.
        ask: how the auditor asks.
    """
    if (known := conditions_of(target)) is None:
        return [], ""
    classes = _yardsticks(embed, known.names, ask.names(known), draws, features, real)
    save_by_class(*draws[0], classes.names, directory)
    measurements = _of_target(classes)
    if labels := real.labels_of(real.train):
        save_by_class(real.images[real.train], labels, classes.names, directory, REAL_BY_CLASS)
        train = Seen.of(classes.names, everything[real.train], labels, None)
        measurements += classes.distances("train", train, classes.reference, "reference", 0)
    return measurements, classes.write(directory)


def _yardsticks(
    embed: Embedding,
    names: tuple[str, ...],
    asked: tuple[str, ...],
    draws: Sequence[Drawn],
    features: Sequence[Tensor],
    real: Real,
) -> ClassYardsticks:
    # A network of other classes than the real images' says nothing of theirs.
    told = embed.probabilities if embed.settings.learns_labels else lambda images: None
    held_out, labels = real.images[real.reference], real.labels_of(real.reference)
    reference = Seen.of(names, features[-1], labels, told(held_out))
    first, second = (
        Seen.of(names, rows, draw.labels, told(draw.images))
        for draw, rows in zip(draws, features, strict=False)
    )
    return ClassYardsticks(names, asked, real.classes, (first, second), reference)


def _of_target(classes: ClassYardsticks) -> list[Measurement]:
    """Return the numbers of the target, and the floor: the distance between its two draws."""
    first, second = classes.draws
    return [
        *classes.distances("target", second, first, "target", 0),
        *classes.distances("target", first, classes.reference, "reference", 0),
        *classes.distances("target", second, classes.reference, "reference", 1),
        *classes.judged("target", second),
        *classes.consistency("real", classes.reference),
    ]
