"""The conditions of a target in print, and which of them had too few images for a mean over all."""

from collections.abc import Sequence

from ganguard.report.numbers import counted, listed, whole
from ganguard.results.measures import DISTANCE, WITHIN
from ganguard.results.records import Against, AuditResults, Measurement

LONGEST = 60  # characters of a name; a prompt may have more
MOST_NAMED = 12  # conditions in a sentence
_IMAGES: dict[Against, str] = {"target": "images of the target", "reference": "real images"}


def short(name: str) -> str:
    """Return the name of a condition, cut if it is long."""
    return name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…"


def named(names: Sequence[str]) -> str:
    """Return conditions as part of a sentence, the first of very many."""
    more = [f"{whole(len(names) - MOST_NAMED)} more"] if len(names) > MOST_NAMED else []
    return listed([*map(short, names[:MOST_NAMED]), *more])


def without_mean(results: AuditResults) -> list[str]:
    """Return of which comparisons the distances within conditions have no mean, and why."""
    return [said for against in _IMAGES if (said := _why(results, against))]


def _why(results: AuditResults, against: Against) -> str:
    """Return which conditions were short in comparisons with the target, or with real images. Real images may
    have no such classes at all, and then there is nothing to say."""
    known, within = results.target.conditions, results.select(metric=WITHIN, against=against)
    if known is None or (against == "reference" and not within):
        return ""
    compared: dict[tuple[object, ...], set[str | None]] = {
        _set(m): set() for m in results.select(metric=DISTANCE, against=against) if _can_be_asked(results, m)
    }
    for m in within:
        compared.setdefault(_set(m), set()).add(m.condition)
    lacking = [found for found in compared.values() if None not in found]
    if not lacking:
        return ""
    asked = results.target.asked
    everywhere = set[str | None].intersection(*lacking)
    names = [name for name in asked if name not in everywhere]
    which = named(names) if names and all(lacking) else f"some of {whole(len(asked))} {known.kind}"
    drawn = whole(max(m.images for m in results.select(against=against)))
    of = f"{whole(len(lacking))} of {counted(len(compared), 'comparison')} with {_IMAGES[against]}"
    has = "has" if len(lacking) == 1 else "have"
    return (
        f"Within {known.kind}, {of} {has} no mean: a set holds fewer than two images of {which}. Measure "
        f"more images a set (`samples`; now {drawn})."
    )


def _set(m: Measurement) -> tuple[object, ...]:
    """Return which set of images a number is of."""
    return m.subject, m.recipe, m.draw, *m.whose.model_dump().values()


def _can_be_asked(results: AuditResults, m: Measurement) -> bool:
    """Return whether the images that were measured were asked for, each for a condition."""
    learns = {attack.label for attack in results.attacks if attack.labels}
    # Two draws of the target are compared once; further ones are halves of the same images.
    return m.attack in learns if m.subject == "substitute" else m.subject == "target" and not m.draw
