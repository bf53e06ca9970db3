"""Do copies keep what subsampling gained on sets? The second part of docs/r5.md.

    python benchmarks/r5_copies.py [--quick] [--work DIRECTORY] [--seeds 100 101 …]

DIRECTORY is where `python benchmarks/r5.py` left its targets and cells. Of each kind of target, at its
largest m, the arms whose sets came nearer than 0.8 times are trained on, and the unrefined purchase beside
them. What is in DIRECTORY already is not done again.
"""

import json
import math
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor

from ganguard.base.cache import write_json
from ganguard.targets.checkpoint import CheckpointTarget
from ganguard.training.loop import train_generator
from ganguard.training.settings import TrainingSettings
from of_audit.finished import refuse
from r5 import asked
from r5_experiment.arms import ARMS, choose
from r5_experiment.tables import COPIES_BELOW, Cells, Found, cells, holm, of_cell, of_targets
from r5_experiment.targets import COMPUTE, GRADES, Sizes, graded

UNREFINED = "unrefined"
RECIPE = {"architecture": "sngan", "batch_size": 32, "learning_rate": 4e-3, "ema_decay": 0.997, "n_dis": 2}
STEPS, MEASURED = 2250, 4000  # of a copy; images of it


def worth(found: Cells, below: float) -> dict[str, tuple[int, tuple[str, ...]]]:
    """Return of each kind its largest m, and the arms whose sets came nearer there than `below`; kinds with
    none are left out."""
    largest = {kind: m for kind, m in sorted(found)}
    arms = {
        kind: tuple(
            arm
            for arm, said in of_cell(found[kind, m], "reference").items()
            if arm in ARMS and said.mean < below
        )
        for kind, m in largest.items()
    }
    return {kind: (largest[kind], chosen) for kind, chosen in arms.items() if chosen}


def copy_of(images: Tensor, place: Path, *, seed: int, steps: int, count: int) -> Tensor:
    """Train a copy on images, and return `count` images of it."""
    settings = TrainingSettings.model_validate({**RECIPE, "steps": steps, "checkpoint_every": 500})
    checkpoint = train_generator(images, settings, place, seed=seed, compute=COMPUTE)
    return CheckpointTarget(checkpoint=str(checkpoint)).load(COMPUTE).sample(range(count), seed=seed)


def train_copies(
    kind: str, m: int, arms: Sequence[str], seed: int, work: Path, sizes: Sizes, steps: int
) -> None:
    """Train and measure the copies of a target that are not there yet."""
    files = {arm: file_of(work, seed, kind, arm) for arm in (UNREFINED, *arms)}
    if all(file.is_file() for file in files.values()):
        return
    target = graded(kind, seed, work, sizes)
    kept = choose(target, m, seed, sizes.chain).kept
    rows = {arm: kept[arm] for arm in arms} | {UNREFINED: torch.arange(len(target.images))}
    for arm, file in files.items():
        chosen, begun = rows[arm], time.process_time()
        if file.is_file() or chosen is None:
            continue
        place = file.with_suffix("")
        images = copy_of(
            target.images[chosen], place, seed=seed, steps=steps, count=min(MEASURED, 40 * steps)
        )
        write_json(file, {"copy": target.distances_of(images), "set": target.distances(chosen)})
        print(f"seed {seed} {kind} {arm}: {time.process_time() - begun:.0f} core-seconds", flush=True)


def file_of(work: Path, seed: int, kind: str, arm: str) -> Path:
    """Return the file of a copy's distances."""
    return work / str(seed) / "copies" / f"{kind}-{arm}.json"


def judged(work: Path, kind: str, arms: Sequence[str], seeds: Sequence[int], grade: str) -> dict[str, Found]:
    """Return what the targets of a kind say of each arm's copies, over the unrefined one's, after Holm."""
    family: dict[str, Found] = {}
    for arm in arms:
        pairs = [[file_of(work, seed, kind, one) for one in (arm, UNREFINED)] for seed in seeds]
        logs = [
            math.log(refined / plain)
            for refined, plain in (
                [json.loads(file.read_text())["copy"][grade] for file in pair]
                for pair in pairs
                if all(file.is_file() for file in pair)
            )
        ]
        if len(logs) > 1:
            family[arm] = of_targets(logs)
    return holm(family)


def lines(work: Path, plan: dict[str, tuple[int, tuple[str, ...]]], seeds: Sequence[int]) -> Iterator[str]:
    """Yield the tables in Markdown."""
    for grade in GRADES:
        yield f"\nFD of copies to the {grade} split, of the refined set over of the purchase\n"
        yield "| kind | m | " + " | ".join(ARMS) + " |\n" + "|---" * (2 + len(ARMS)) + "|"
        for kind, (m, arms) in plan.items():
            said = judged(work, kind, arms, seeds, grade)
            yield f"| {kind} | {m} | " + " | ".join(str(said.get(arm, "–")) for arm in ARMS) + " |"
    yield "\nFD to the reference split, mean over targets: what was trained on, and its copy\n"
    yield "| kind | " + " | ".join((UNREFINED, *ARMS)) + " |\n" + "|---" * (2 + len(ARMS)) + "|"
    for kind in plan:
        yield (
            f"| {kind} | " + " | ".join(_levels(work, kind, arm, seeds) for arm in (UNREFINED, *ARMS)) + " |"
        )


def _levels(work: Path, kind: str, arm: str, seeds: Sequence[int]) -> str:
    files = [file for seed in seeds if (file := file_of(work, seed, kind, arm)).is_file()]
    found = [json.loads(file.read_text()) for file in files]
    means = [sum(each[what]["reference"] for each in found) / max(1, len(found)) for what in ("set", "copy")]
    return f"{means[0]:.2f}, {means[1]:.2f}" if found else "–"


def main(words: Sequence[str] | None = None) -> None:
    """Train copies, grade and print."""
    said = asked(__doc__, words)
    if not (found := cells(said.work, said.seeds, said.sizes)):
        refuse(f"{said.work}: has no cells. Run python benchmarks/r5.py --work {said.work}")
    torch.set_num_threads(1)
    plan = worth(found, math.inf if said.quick else COPIES_BELOW)
    for seed in said.now:
        for kind, (m, arms) in plan.items():
            train_copies(kind, m, arms, seed, said.work, said.sizes, 2 if said.quick else STEPS)
    print("\n".join(lines(said.work, plan, said.seeds)))


if __name__ == "__main__":
    main()
