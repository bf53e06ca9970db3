"""What audits of several targets that differ only in their seed say together: the unit is the target.

Seeds of one audit reseed purchase and copy, so that its intervals speak of that target alone. Here each
target gives one number, the geometric mean over its seeds, and intervals are over targets.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from statistics import fmean

from ganguard.base.settings import Settings
from ganguard.results.holm import corrected
from ganguard.results.measures import DISTANCE
from ganguard.results.protection import protection_verdicts
from ganguard.results.records import Against, AuditResults, Measurement, Verdict
from ganguard.results.verdicts import Improvement, verdicts
from ganguard.results.weak import failed_attacks, weak_in

_OF_ONE_SET = {"draw", "value", "spread", "seed", "images", "compared"}
"""Fields of a measurement in which those of one thing may differ."""


class Pair(Settings):
    """An `Improvement` as it is written: the copies of `label` should be nearer than those of `over`."""

    relation: str
    label: str
    over: str
    against: Against

    def improvement(self) -> Improvement:
        """Return what verdicts are asked for."""
        return Improvement(self.relation, self.label, self.over, self.against)


def over_targets(found: Mapping[int, AuditResults], pairs: Collection[Pair] = ()) -> AuditResults:
    """Return results in whose Fréchet distances and verdicts each target stands for one seed.

    A copy's, purchase's or honest model's distance becomes the geometric mean over the seeds of an audit; any
    other distance the mean over targets. Verdicts are corrected for the comparisons of their relation.

    Args:
        found: the audits by the seed of their target. All else of their specs is the same.
        pairs: attacks that R4 to R6 and R8 compare.
    """
    first = next(iter(found.values()))
    measurements = tuple(_merged(found))
    merged = first.model_copy(update={"measurements": measurements})
    return merged.model_copy(update={"verdicts": tuple(_verdicts(found, merged, pairs))})


def _verdicts(
    found: Mapping[int, AuditResults], merged: AuditResults, pairs: Collection[Pair]
) -> list[Verdict]:
    """Return the verdicts. One is withheld if it is for any of the targets."""
    weak = [adversary for results in found.values() for adversary in weak_in(results)]
    undefended = [m for m in merged.measurements if m.defence is None]
    asked = [pair.improvement() for pair in pairs]
    judged = verdicts(undefended, merged.attacks, asked, failed_attacks(weak))
    judged += protection_verdicts(list(merged.measurements), list(merged.defences), weak, merged.attacks)
    return corrected(judged)


def _merged(found: Mapping[int, AuditResults]) -> list[Measurement]:
    of_targets = {target: _by_thing(results) for target, results in found.items()}
    every = dict.fromkeys(thing for things in of_targets.values() for thing in things)
    merged: list[Measurement] = []
    for thing in every:
        having = {target: things[thing] for target, things in of_targets.items() if thing in things}
        merged += _of_thing(having)
    return merged


def _by_thing(results: AuditResults) -> dict[str, list[Measurement]]:
    """Return the Fréchet distances of all images by what they are of, whatever the seed and the draw."""
    things: dict[str, list[Measurement]] = {}
    for m in results.measurements:
        if m.metric == DISTANCE and m.condition is None:
            things.setdefault(m.model_dump_json(exclude=_OF_ONE_SET), []).append(m)
    return things


def _of_thing(having: Mapping[int, Sequence[Measurement]]) -> list[Measurement]:
    """Return one measurement a target of what has seeds, and one of all targets of what has none."""
    values = {target: _mean_over_seeds(each) for target, each in having.items()}
    first = next(iter(having.values()))[0]
    if first.seed is None:
        return [first.model_copy(update={"draw": 0, "spread": None, "value": fmean(values.values())})]
    return [
        having[target][0].model_copy(update={"draw": 0, "spread": None, "seed": target, "value": value})
        for target, value in values.items()
    ]


def _mean_over_seeds(measurements: Sequence[Measurement]) -> float:
    """Return the geometric mean over seeds of the mean over draws; the mean, if one is not above 0."""
    draws: dict[int | None, list[float]] = {}
    for m in measurements:
        draws.setdefault(m.seed, []).append(m.value)
    means = [fmean(each) for each in draws.values()]
    if min(means) <= 0:
        return fmean(means)
    return math.exp(fmean(map(math.log, means)))
