"""What a conditional target's images, and its copies', are compared with class by class."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from ganguard.base.cache import write_json, write_tensors
from ganguard.base.grids import BETWEEN, save_rows
from ganguard.base.labels import NO_CLASS, Labels, labelled_digest
from ganguard.comparison.classes import (
    compare_coverage,
    compare_within_classes,
    judge_consistency,
)
from ganguard.results.records import Against, Measurement, Subject

_FILE, _NAMES = "classes.safetensors", "classes.json"
BY_CLASS, REAL_BY_CLASS = "by_class.png", "real_by_class.png"
_SETS = ("target/0", "target/1", "reference")
COLUMNS = 4  # images of each class that are shown
MOST_ROWS = 10  # classes that are shown


@dataclass(frozen=True)
class Seen:
    """A set of images, class by class.

    Attributes:
        features: (N, D).
        classes: (N,) int64, places among the target's names, NO_CLASS for images of none; None if nobody
            knows them, as of images that were asked for without a class.
        probabilities: (N, K), as the audit's classifier sees them; None without a classifier.
    """

    features: Tensor
    classes: Tensor | None
    probabilities: Tensor | None

    @staticmethod
    def of(
        names: Sequence[str], features: Tensor, labels: Labels | None, probabilities: Tensor | None
    ) -> "Seen":
        """Return a set of images, with what each was asked for if it was. names: the target's."""
        return Seen(features, None if labels is None else labels.numbered(names), probabilities)


@dataclass(frozen=True)
class ClassYardsticks:
    """The sets that images are compared with class by class.

    Attributes:
        names: what the target can be asked for.
        asked: those of them that the auditor asks for.
        classifier: names of the classes that the audit's classifier knows; () without one.
        draws: the auditor's draws of the target.
        reference: the reference split of the real images.
    """

    names: tuple[str, ...]
    asked: tuple[str, ...]
    classifier: tuple[str, ...]
    draws: tuple[Seen, ...]
    reference: Seen

    def compare(self, subject: Subject, found: Seen, draw: int) -> list[Measurement]:
        """Return the numbers of a set of images, by class, against a draw of the target and the reference.

        The first draw is also judged by the classifier.
        """
        against = self.draws[draw]
        return [
            *self.distances(subject, found, against, "target", draw),
            *self.distances(subject, found, self.reference, "reference", draw),
            *(self.judged(subject, found) if draw == 0 else []),
        ]

    def distances(
        self, subject: Subject, found: Seen, against: Seen, name: Against, draw: int
    ) -> list[Measurement]:
        """Return the Fréchet distances within the classes that are asked for; none if the classes of a set
        are not known."""
        if found.classes is None or against.classes is None:
            return []
        mine, theirs = (
            Labels(classes, self.names).numbered(self.asked) for classes in (found.classes, against.classes)
        )
        if (theirs == NO_CLASS).all():
            return []
        return compare_within_classes(
            subject, found.features, mine, against.features, theirs, self.asked, name, draw
        )

    def judged(self, subject: Subject, found: Seen) -> list[Measurement]:
        """Return how often the classifier sees what was asked for, and which classes it sees."""
        seen, target, reference = (s.probabilities for s in (found, self.draws[0], self.reference))
        if seen is None or target is None or reference is None:
            return []
        return [
            *compare_coverage(subject, seen, target, "target"),
            *compare_coverage(subject, seen, reference, "reference"),
            *self.consistency(subject, found),
        ]

    def consistency(self, subject: Subject, found: Seen) -> list[Measurement]:
        """Return how often the classifier sees what was asked for; nothing if that is not known."""
        if found.classes is None or found.probabilities is None:
            return []
        asked = Labels(found.classes, self.names).numbered(self.classifier)
        return judge_consistency(subject, asked, found.probabilities, self.classifier)

    def write(self, directory: Path) -> str:
        """Write them, and return a digest."""
        tensors: dict[str, Tensor] = {}
        for name, seen in zip(
            ("target/0", "target/1", "reference"), (*self.draws, self.reference), strict=True
        ):
            parts = {"classes": seen.classes, "probabilities": seen.probabilities}
            tensors |= {f"{name}/{part}": value for part, value in parts.items() if value is not None}
        write_tensors(directory / _FILE, tensors)
        said = {"names": self.names, "asked": self.asked, "classifier": self.classifier}
        write_json(directory / _NAMES, said)
        return labelled_digest(tensors, **said)


def read_class_yardsticks(directory: Path, features: Sequence[Tensor]) -> ClassYardsticks | None:
    """Read what a yardsticks step wrote; None if its target is not conditional.

    features: (N, D) of both draws and of the reference split, which the yardsticks hold.
    """
    if not (directory / _FILE).is_file():
        return None
    tensors, said = load_file(directory / _FILE), json.loads((directory / _NAMES).read_text())
    first, second, reference = (
        Seen(rows, tensors.get(f"{name}/classes"), tensors.get(f"{name}/probabilities"))
        for name, rows in zip(_SETS, features, strict=True)
    )
    names, asked, classifier = (tuple(said[part]) for part in ("names", "asked", "classifier"))
    return ClassYardsticks(names, asked, classifier, (first, second), reference)


def save_by_class(
    images: Tensor, labels: Labels | None, names: Sequence[str], directory: Path, file: str = BY_CLASS
) -> None:
    """Write a picture of images (N, C, H, W) uint8 with a row for each of the first MOST_ROWS classes, if
    they have any."""
    if labels is None:
        return
    classes = labels.numbered(names)
    blank = torch.full_like(images[:1], BETWEEN)
    rows: list[Tensor] = []
    for number in range(len(names[:MOST_ROWS])):
        shown = images[(classes == number).nonzero()[:COLUMNS, 0]]
        rows += [shown, blank.expand(COLUMNS - len(shown), *blank.shape[1:])]
    save_rows(torch.cat(rows), COLUMNS, directory / file)
