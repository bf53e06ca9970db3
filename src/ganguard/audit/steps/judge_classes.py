"""The classes that an adversary's judge may learn: those of the real images that it holds."""

from ganguard.base.errors import MetricError
from ganguard.base.labels import Labels


def classes_to_learn(labels: Labels | None) -> Labels | None:
    """Return the labels of those images whose class is known; None if they are of fewer than two classes."""
    learnt = labels.of(labels.numbers >= 0) if labels is not None else None
    return learnt if learnt is not None and len(learnt.numbers.unique()) > 1 else None


def require_classes(labels: Labels | None) -> Labels:
    """Return the labels of those images whose class is known, for a classifier to learn.

    Raises MetricError if they are of fewer than two classes.
    """
    if (learnt := classes_to_learn(labels)) is None:
        raise MetricError(
            "judge_features: classifier learns the classes of the adversary's real images, and there are "
            "fewer than two. Leave judge_features out, or set random_network."
        )
    return learnt
