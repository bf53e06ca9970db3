"""Verdicts on relations in print: a table of those that were judged, a sentence on those of one seed."""

from collections.abc import Sequence
from dataclasses import dataclass

from ganguard.report.numbers import listed, whole
from ganguard.results.records import Verdict


@dataclass(frozen=True)
class Relations:
    """Verdicts in print: a row each for those with several seeds, and a sentence on all others."""

    rows: tuple[Verdict, ...]
    of_one_seed: str


def relations(verdicts: Sequence[Verdict]) -> Relations:
    """Return the verdicts for the table, and a sentence on those that have one seed and so no interval."""
    alone = [v for v in verdicts if v.seeds == 1 and v.outcome == "undecided" and v.ratio is None]
    rows = tuple(v for v in verdicts if v not in alone)
    if not alone:
        return Relations(rows, "")
    names = listed(list(dict.fromkeys(v.relation for v in alone)))
    what = (
        f"A relation is undecided ({names})"
        if len(alone) == 1
        else (f"{whole(len(alone))} relations are undecided ({names})")
    )
    return Relations(rows, f"{what}: one seed gives no interval; run more seeds.")
