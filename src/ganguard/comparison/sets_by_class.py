"""Numbers of two sets of images by class, as `ganguard measure` gives them."""

from ganguard.base.errors import MetricError
from ganguard.base.labels import Labels
from ganguard.base.settings import shortened
from ganguard.comparison.image_sets import ImageSet
from ganguard.comparison.two_sets import TwoSets
from ganguard.comparison.values import Value
from ganguard.metrics.classes import class_consistency, class_coverage, frechet_within_classes


def within_classes(sets: TwoSets) -> Value:
    """Return the mean Fréchet distance within classes, and that within each class.

    Raises MetricError unless both sets have the same classes, and two images of each.
    """
    mine, theirs = _classes(sets.a, "A"), _classes(sets.b, "B")
    names = _same_names(mine, theirs)
    x, y = sets.features
    of_x, of_y = mine.numbered(names), theirs.numbered(names)
    found = frechet_within_classes(x, of_x, y, of_y, classes=len(names))
    if found.mean is None:
        short = next(k for k in found.sizes if k not in found.distances)
        raise MetricError(
            f"intra_fd needs at least 2 images of each class in each set; of {shortened(names[short])} A has "
            f"{found.sizes[short][0]:,} and B {found.sizes[short][1]:,}. Measure more images."
        )
    parts = {
        names[k]: Value(distance, found.errors[k], found.sizes[k][0])
        for k, distance in found.distances.items()
    }
    return Value(found.mean, found.error, by_class=parts)


def consistency(sets: TwoSets) -> Value:
    """Return the share of the images of A in which the classifier sees their class, and that of each class.

    Raises MetricError if A has no classes, or the classifier is not known to know one of them.
    """
    mine = _classes(sets.a, "A")
    probabilities, known = sets.seen_in_a, sets.class_names
    if not known:
        raise MetricError(
            "class_consistency needs a classifier that says the names of its classes. Give --features the "
            "`features` directory of an audit that used `classifier`."
        )
    if unknown := [name for name in mine.names if name not in set(known)]:
        raise MetricError(
            f"class_consistency needs a classifier of the classes of A; this one knows no "
            f"{shortened(unknown[0])}. It knows {shortened(', '.join(known))}."
        )
    found = class_consistency(probabilities, mine.numbered(known))
    if found.share is None:
        raise MetricError("class_consistency needs an image of A that has a class. Measure other images.")
    parts = {known[k]: Value(share, found.errors[k], found.sizes[k]) for k, share in found.shares.items()}
    return Value(found.share, found.error, None if found.images == sets.a.count else found.images, parts)


def coverage(sets: TwoSets) -> Value:
    """Return the share of the classes that the classifier sees in B which it also sees in A."""
    return Value(class_coverage(sets.seen_in_a, sets.seen_in_b), None)


def _classes(images: ImageSet, side: str) -> Labels:
    if images.classes is None:
        raise MetricError(
            f"{side} has no classes. Give a folder with a subfolder for each class, a data set with labels, "
            "or a harvest of a conditional target."
        )
    return images.classes


def _same_names(a: Labels, b: Labels) -> list[str]:
    """Return the classes that both sets have images of. Raises MetricError if only one has images of some."""
    occurring = a.occurring(), b.occurring()
    for side, here, there in (("A", *occurring), ("B", *reversed(occurring))):
        if alone := [name for name in here if name not in set(there)]:
            other = "B" if side == "A" else "A"
            raise MetricError(
                f"intra_fd needs the same classes in both sets; {side} has {shortened(alone[0])}, and "
                f"{other} has no image of it. Classes of {other}: {shortened(', '.join(there))}."
            )
    return occurring[0]
