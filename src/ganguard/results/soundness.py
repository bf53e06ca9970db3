"""Is the audited target sound? Read off the yardsticks alone, before any copy is made.

A target that is broken (untrained weights, inverted colours, another range of pixels, one image over and
over) can be copied as well as any other, and every distance to it is right and means nothing.
"""

import math
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

from ganguard.results.measures import DISTANCE
from ganguard.results.records import Measurement

COVERAGE = "coverage"
NEAR_NOISE = 3.0
"""A target is suspect if noise is less than so many times as far from the real images as it is."""
LIKE_REAL = 2.0
"""A target is sound, whatever the noise, within so many times the distance of the two splits of real images.
The real images may themselves look like noise."""
ERRORS = 2.0
"""A target is no nearer than noise if it is nearer by fewer standard errors than these."""
RARE, CHANCE = 0.1, 0.05
"""Coverage of 0 is believed if a target of which a share of RARE images lies among the real ones would show
it with a probability below CHANCE: few images may miss all real ones by chance."""

State = Literal["sound", "suspect", "broken"]


class Soundness(NamedTuple):
    """The target beside noise.

    Attributes:
        state: "broken" if the target is no nearer to real images than noise is, or covers none of them;
            "suspect" if noise is less than NEAR_NOISE times as far away.
        reason: what speaks against it, with the figures; empty if it is sound.
    """

    state: State
    reason: str = ""


def soundness(measurements: Iterable[Measurement]) -> Soundness:
    """Return how sound a target is, by the yardsticks among the measurements of its audit.

    What was not measured speaks neither for nor against it.
    """
    found: dict[tuple[str, str], list[Measurement]] = {}
    for m in measurements:
        if m.against == "reference" and m.defence is None:
            found.setdefault((m.subject, m.metric), []).append(m)
    own, of_noise = (found.get((subject, DISTANCE), []) for subject in ("target", "noise"))
    to_real, noise, splits = _mean(own), _mean(of_noise), _mean(found.get(("train", DISTANCE), []))
    covering = found.get(("target", COVERAGE), [])
    enough = sum(m.images for m in covering) > math.log(CHANCE) / math.log(1 - RARE)
    against: list[str] = []
    state: State = "sound"
    if to_real is not None and noise is not None and to_real > LIKE_REAL * (splits or 0.0):
        figures = f"its images are at FD {_figure(to_real)} from real ones, pure noise is at {_figure(noise)}"
        if to_real >= noise - ERRORS * math.hypot(_error(own), _error(of_noise)):
            state, against = "broken", [figures]
        elif NEAR_NOISE * to_real > noise:
            state, against = "suspect", [f"{figures}, less than {NEAR_NOISE:g} times as far"]
    if enough and _mean(covering) == 0:
        state = "broken"
        against.append("none of its images lies among the neighbours of a real one (coverage 0)")
    return Soundness(state, ", and ".join(against))


def _figure(distance: float) -> str:
    return f"{distance:,.0f}" if distance >= 100 else f"{distance:.3g}"


def _mean(found: Sequence[Measurement]) -> float | None:
    return sum(m.value for m in found) / len(found) if found else None


def _error(found: Sequence[Measurement]) -> float:
    """Return the standard error of the mean of independent draws, as far as it is known."""
    return math.sqrt(sum((m.spread or 0.0) ** 2 for m in found)) / max(1, len(found))
