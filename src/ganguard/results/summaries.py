"""Several measurements of one thing, summarised as one number with its spread."""

import math
from collections.abc import Iterable
from typing import Literal

from ganguard.base.settings import NonNegative, Number, Settings
from ganguard.results.records import Measurement


class Summary(Settings):
    """A number with its spread.

    Attributes:
        mean: of the values.
        deviation: over seeds, the sample standard deviation. With one seed, the standard error of the mean of
            its draws, from the spreads of the measurements; if these have none, the sample standard deviation
            of the draws. None if it is unknown.
        least, greatest: of the values.
        count: how many values there are.
        over: what the values vary over: seeds, or draws of images if there is one seed.
    """

    mean: Number
    deviation: Number | None
    least: Number
    greatest: Number
    count: NonNegative
    over: Literal["seeds", "draws"]


def summarise(measurements: Iterable[Measurement]) -> Summary | None:
    """Return the summary of measurements; None without any.

    Draws are averaged within a seed, then the seeds are summarised. With one seed, its draws are summarised.
    """
    found = list(measurements)
    by_seed: dict[int | None, list[float]] = {}
    for measurement in found:
        by_seed.setdefault(measurement.seed, []).append(measurement.value)
    if not by_seed:
        return None
    over: Literal["seeds", "draws"] = "seeds" if len(by_seed) > 1 else "draws"
    values = [sum(v) / len(v) for v in by_seed.values()] if over == "seeds" else next(iter(by_seed.values()))
    mean = sum(values) / len(values)
    spreads = [m.spread for m in found if m.spread is not None] if over == "draws" else []
    if len(spreads) == len(values):
        deviation = math.sqrt(sum(spread**2 for spread in spreads)) / len(values)
    else:
        squares = sum((value - mean) ** 2 for value in values)
        deviation = math.sqrt(squares / (len(values) - 1)) if len(values) > 1 else None
    return Summary(
        mean=mean, deviation=deviation, least=min(values), greatest=max(values), count=len(values), over=over
    )


def summarise_copies(measurements: Iterable[Measurement]) -> Summary | None:
    """Return the summary of copies, purchases or honest models, which have seeds; None without any.

    With one seed it has no spread: to measure one copy again does not say how much another would differ. That
    of yardsticks, which have no seed, is as in `summarise`.
    """
    every = list(measurements)
    found = summarise(every)
    if found is None or found.over == "seeds" or all(m.seed is None for m in every):
        return found
    alone = {"deviation": None, "least": found.mean, "greatest": found.mean, "count": 1}
    return found.model_copy(update=alone)
