"""Does subsampling bring bought images closer to real ones? The experiment of docs/r5.md, on sets of images.

    python benchmarks/r5.py [--quick] [--work DIRECTORY] [--seeds 100 101 …]

Each seed trains its targets on one thread. What is in DIRECTORY already is not done again, and several
processes may work at several seeds. `--quick` runs every part in miniature: its numbers mean nothing.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch

from r5_experiment.arms import measure_all
from r5_experiment.tables import SEEDS, cells, lines
from r5_experiment.targets import FULL, QUICK, Sizes, train_all


class Asked(NamedTuple):
    """What the command line says.

    Attributes:
        work: where targets and cells are kept.
        sizes: how much is done.
        seeds: all that are reported.
        now: those that are worked at.
        quick: whether all is done in miniature.
    """

    work: Path
    sizes: Sizes
    seeds: tuple[int, ...]
    now: tuple[int, ...]
    quick: bool


def asked(about: str | None, words: Sequence[str] | None) -> Asked:
    """Read the command line, for this part of the experiment and for that of copies."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="every part in miniature")
    parser.add_argument("--work", type=Path, default=Path("r5"), help="where targets and cells are kept")
    parser.add_argument("--seeds", type=int, nargs="+", default=[])
    given = parser.parse_args(words)
    sizes, seeds = (QUICK, (0, 1)) if given.quick else (FULL, SEEDS)
    return Asked(given.work, sizes, seeds, tuple(given.seeds) or seeds, given.quick)


def main(words: Sequence[str] | None = None) -> None:
    """Train, refine, grade and print."""
    said = asked(__doc__, words)
    torch.set_num_threads(1)
    for seed in said.now:
        train_all(seed, said.work, said.sizes)
        measure_all(seed, said.work, said.sizes)
    print("\n".join(lines(cells(said.work, said.seeds, said.sizes))))


if __name__ == "__main__":
    main()
