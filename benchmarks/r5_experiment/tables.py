"""What the targets of benchmarks/r5.py say together: intervals, Holm, verdicts and tables (docs/r5.md)."""

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import stats

from r5_experiment.arms import ARMS, BESIDE, done
from r5_experiment.targets import GRADES, Sizes, kinds

SEEDS = (100, 101, 102, 103, 104)
COPIES_BELOW = 0.8
SIGNIFICANT = 0.05


@dataclass(frozen=True)
class Found:
    """What targets say of one arm.

    Attributes:
        logs: log ratio of each target.
        p: two-sided, of a mean log ratio of 0; after Holm once the arms of a cell are together.
    """

    logs: tuple[float, ...]
    p: float

    @property
    def mean(self) -> float:
        """The geometric mean of the ratios."""
        return math.exp(np.mean(self.logs))

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % t interval of the geometric mean."""
        half = stats.t.ppf(0.975, len(self.logs) - 1) * stats.sem(self.logs)
        return math.exp(np.mean(self.logs) - half), math.exp(np.mean(self.logs) + half)

    @property
    def verdict(self) -> str:
        """What the analysis of docs/r5.md calls it."""
        if self.p >= SIGNIFICANT:
            return "undecided"
        return "helps" if self.mean < 1 else "hurts"

    @property
    def untested(self) -> str:
        """The mean and its interval, and how many targets they are of unless they are of all."""
        low, high = self.interval
        fewer = f", n {len(self.logs)}" if len(self.logs) < len(SEEDS) else ""
        return f"{self.mean:.2f} ({low:.2f}-{high:.2f}){fewer}"

    def __str__(self) -> str:
        return self.untested + (f" **{self.verdict}**" if self.verdict != "undecided" else "")


def of_targets(logs: Sequence[float]) -> Found:
    """Return what the log ratios of two or more targets say, before Holm."""
    return Found(tuple(logs), float(stats.ttest_1samp(logs, 0).pvalue) if len(set(logs)) > 1 else 1.0)


def holm(family: dict[str, Found]) -> dict[str, Found]:
    """Return the family with its p corrected for the number of its arms (Holm 1979)."""
    adjusted: dict[str, Found] = {}
    worst = 0.0
    for rank, (arm, found) in enumerate(sorted(family.items(), key=lambda item: item[1].p)):
        worst = max(worst, min(1.0, (len(family) - rank) * found.p))
        adjusted[arm] = Found(found.logs, worst)
    return adjusted


Cells = dict[tuple[str, int], dict[int, dict[str, dict[str, float]]]]
"""By kind and m, and then by seed: the ratios by arm and grade."""


def cells(work: Path, seeds: Sequence[int], sizes: Sizes) -> Cells:
    """Return the cells that are there."""
    found: Cells = {}
    for kind, (data, *_) in kinds(sizes).items():
        for m in sizes.held[data]:
            for seed in seeds:
                if (file := done(work, seed, kind, m)).is_file():
                    found.setdefault((kind, m), {})[seed] = json.loads(file.read_text())["ratios"]
    return found


def of_cell(by_seed: dict[int, dict[str, dict[str, float]]], grade: str) -> dict[str, Found]:
    """Return what the targets of a cell say of each arm, after Holm, and of Algorithm 1, before it."""
    logs = {
        arm: [math.log(ratios[arm][grade]) for ratios in by_seed.values() if arm in ratios]
        for arm in (*ARMS, BESIDE)
    }
    found = {arm: of_targets(values) for arm, values in logs.items() if len(values) > 1}
    return holm({arm: found[arm] for arm in ARMS if arm in found}) | {
        arm: found[arm] for arm in [BESIDE] if arm in found
    }


def over_kinds(found: Cells, held: int, grade: str) -> dict[str, Found]:
    """Return what the seeds say of each arm over all kinds of targets, at the place `held` among the m of
    each, after Holm. A seed counts if it has every kind."""
    by_kind: dict[str, list[int]] = {}
    for kind, m in found:
        by_kind.setdefault(kind, []).append(m)
    parts = [found[kind, ms[held]] for kind, ms in by_kind.items() if len(ms) > held]
    family: dict[str, Found] = {}
    for arm in ARMS:
        logs = [
            np.mean([math.log(part[seed][arm][grade]) for part in parts])
            for seed in sorted(set.intersection(*(set(part) for part in parts)))
            if all(arm in part[seed] for part in parts)
        ]
        if len(logs) > 1:
            family[arm] = of_targets(logs)
    return holm(family)


def crossed_against_judge(found: Cells) -> Found:
    """Return the ratio of `crossed` to `judge` over all cells, a value a seed: the rule for the default."""
    by_seed: dict[int, list[float]] = {}
    for cell_of in found.values():
        for seed, ratios in cell_of.items():
            logs = [math.log(ratios[arm]["reference"]) for arm in ("crossed", "judge")]
            by_seed.setdefault(seed, []).append(logs[0] - logs[1])
    return of_targets([float(np.mean(logs)) for logs in by_seed.values()])


def lines(found: Cells) -> Iterator[str]:
    """Yield the tables in Markdown."""
    for grade in GRADES:
        yield f"\nFD to the {grade} split, refined over unrefined\n"
        yield "| kind | m | " + " | ".join((*ARMS, BESIDE)) + " |\n" + "|---" * (3 + len(ARMS)) + "|"
        for (kind, m), by_seed in found.items():
            said = of_cell(by_seed, grade)
            tested = [str(said.get(arm, "too few targets")) for arm in ARMS]
            beside = said[BESIDE].untested if BESIDE in said else "too few targets"
            yield f"| {kind} | {m} | " + " | ".join([*tested, beside]) + " |"
        for held, which in enumerate(("least", "middle", "most")[: max(map(len, _held(found)), default=0)]):
            said = over_kinds(found, held, grade)
            yield f"| all kinds | {which} | " + " | ".join(str(said.get(arm, "-")) for arm in ARMS) + " | |"
    if all(len(by_seed) > 1 for by_seed in found.values()):
        yield f"\ncrossed / judge, over all cells, reference split: {crossed_against_judge(found)}"
    worth = [
        f"{kind} m {m} {arm}"
        for (kind, m), by_seed in found.items()
        for arm, said in of_cell(by_seed, "reference").items()
        if arm in ARMS and said.mean < COPIES_BELOW
    ]
    yield f"copies are worth training in: {', '.join(worth) or 'no cell'}"


def _held(found: Cells) -> list[list[int]]:
    return [[m for kind, m in found if kind == of] for of in {kind for kind, _ in found}]
