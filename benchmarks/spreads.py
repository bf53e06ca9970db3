"""Are the spreads honest? Known distributions are measured again and again.

    python benchmarks/spreads.py [quick|all|infinity]

In each cell, two sets of N rows of D dimensions are drawn REPETITIONS times and measured. The expectation at
this N is the mean of all repetitions. Each line has the number, the standard deviation of the repetitions,
the mean spread divided by it, and the share of intervals, value ± 1.96 spreads, that hold the expectation; it
should be 0.95. `infinity` prints instead how far the unbiased Fréchet distance of equal distributions is from
0, by rows a dimension.
"""

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch

from ganguard.comparison.values import (
    Value,
    of_balls,
    of_features,
    of_memory,
    of_probabilities,
)
from ganguard.metrics import class_consistency, frechet_within_classes, memorisation
from ganguard.metrics.frechet import frechet_distance
from ganguard.metrics.frechet import frechet_distance_infinity as infinity
from ganguard.metrics.prdc import memberships
from ganguard.results.measures import MEASURES, Measure, Of

REPETITIONS = 200
APART = {"equal": 0.0, "apart": 0.5}  # standard deviations between the means of the first 8 dimensions
CELLS = {
    "quick": [(8, 100), (64, 200)],
    "all": [(8, 100), (8, 1000), (64, 100), (64, 500), (512, 700)],
}
CLASSES = 4  # of equally many rows, for the distance within classes
LARGE = [(8, 5000), (512, 2000)]  # with fewer repetitions, printed with them


@dataclass(frozen=True)
class Cell:
    """Two sets of rows of one size.

    Attributes:
        width: D of the features, Gaussian, with variances that fall off.
        rows: N of each set.
        apart: distance of the means.
    """

    width: int
    rows: int
    apart: float

    def draw(self, seed: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return the measured rows, the reference, and fresh rows of the reference's distribution."""
        generator = np.random.default_rng([seed, self.width, self.rows])
        scale = np.exp(-np.arange(self.width) / self.width)
        x, y, fresh = generator.normal(size=(3, self.rows, self.width)) * scale
        x[:, :8] += self.apart
        return tuple(torch.from_numpy(rows).float() for rows in (x, y, fresh))  # type: ignore[return-value]


def measured(cell: Cell, seed: int, wanted: Callable[[Measure], bool]) -> Iterator[tuple[str, Value]]:
    """Yield the numbers of one repetition, by name."""
    x, y, fresh = cell.draw(seed)
    balls, memory = memberships(y, x), memorisation(y, x, held_out=fresh)
    seen, classes = (2 * x[:, :8].double()).softmax(1), torch.arange(len(x)) % CLASSES
    within = frechet_within_classes(x, classes, y, classes, classes=CLASSES)
    asked = class_consistency(seen, (x + fresh)[:, :8].argmax(1))
    found: dict[Of, Callable[[Measure], Value | None]] = {
        "features": lambda m: of_features(m, x, y),
        "balls": lambda m: of_balls(m, balls),
        "training images": lambda m: of_memory(m, memory),
        "probabilities": lambda m: of_probabilities(m, seen),
        "classes": lambda _: Value(within.mean, within.error) if within.mean is not None else None,
        "asked classes": lambda _: Value(asked.share or 0, asked.error),
    }
    found["held-out images"] = found["training images"]
    for measure in MEASURES.values():
        fits = not measure.shortage(images=cell.rows, dimensions=cell.width)
        if measure.of in found and fits and wanted(measure):
            value = found[measure.of](measure)
            if value is not None:
                yield measure.name, value


def calibration(
    cell: Cell, repetitions: int = REPETITIONS, wanted: Callable[[Measure], bool] = lambda _: True
) -> dict[str, tuple[float, float, float, float]]:
    """Return of each number its mean, standard deviation, mean spread over that, and coverage."""
    found: dict[str, list[Value]] = {}
    for seed in range(repetitions):
        for name, value in measured(cell, seed, wanted):
            found.setdefault(name, []).append(value)
    table: dict[str, tuple[float, float, float, float]] = {}
    for name, each in found.items():
        if any(value.spread is None for value in each):
            continue
        values, spreads = np.array([[value.value, value.spread] for value in each]).T
        deviation = values.std(ddof=1)
        covered = (np.abs(values - values.mean()) <= 1.96 * spreads).mean()
        ratio = spreads.mean() / deviation if deviation else np.inf
        table[name] = (values.mean(), deviation, ratio, covered)
    return table


def unbiased() -> None:
    """Print the mean of FD infinity for equal distributions, where it should be 0, by rows a dimension."""
    rule = MEASURES["frechet_distance_infinity"]
    object.__setattr__(rule, "fewest_a_dimension", 0)
    for width, repetitions in ((8, 60), (64, 60), (256, 6)):
        for ratio in (3, 5, 8, 10, 15, 20, 30):
            cell = Cell(width, max(60, ratio * width), 0.0)
            sets = [cell.draw(seed)[:2] for seed in range(repetitions)]
            values = [infinity(x, y) for x, y in sets]
            biased = np.mean([frechet_distance(x, y) for x, y in sets])
            print(
                f"D {width:4} rows a dimension {cell.rows / width:5.1f}  FD {biased:8.3f}  FD infinity "
                f"{np.mean(values):8.4f} ± {np.std(values) / repetitions**0.5:.4f}",
                flush=True,
            )


def main() -> None:
    mode = sys.argv[1] if len(sys.argv) > 1 else "quick"
    torch.set_num_threads(1)
    if mode == "infinity":
        return unbiased()
    cells = [(*cell, REPETITIONS) for cell in CELLS[mode]]
    cells += [(*cell, REPETITIONS // 4) for cell in LARGE] if mode == "all" else []
    for width, rows, repetitions in cells:
        for how, apart in APART.items():
            for name, (mean, deviation, ratio, covered) in calibration(
                Cell(width, rows, apart), repetitions
            ).items():
                print(
                    f"D {width:4} N {rows:5} {how:6} {name:26} {mean:10.4f} sd {deviation:9.5f} spread/sd "
                    f"{ratio:5.2f} covers {covered:.3f}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
