"""Where the wall time of an audit goes, and what metering, storing and checksums cost.

    python benchmarks/audit.py [AUDIT_DIRECTORY]

Given the directory of a finished audit, the times of its steps come first. Then images are generated bare,
and bought through meter, ledger and store; each is repeated, and the ratio of the medians is printed.
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch

from ganguard.architectures.checkpoint import save_checkpoint
from ganguard.architectures.networks import build_networks, parse_architecture
from ganguard.base.compute import Compute
from ganguard.queries.harvest import SHARD, harvest
from ganguard.queries.ledger import Ledger
from ganguard.queries.metered_target import meter
from ganguard.queries.store import Store
from ganguard.results.records import read_results
from ganguard.targets.checkpoint import CheckpointTarget
from ganguard.targets.protocol import BlackBoxTarget

IMAGES = 8 * SHARD
REPEATS = 5


def steps(directory: Path) -> None:
    """Print the wall time of each kind of step."""
    results = read_results(directory)
    total = sum(step.seconds for step in results.steps)
    kinds = dict.fromkeys(step.kind for step in results.steps)
    print(f"{directory}: {total:.0f} s of steps, by {results.environment.processes} processes")
    for kind in sorted(kinds, key=lambda k: -sum(s.seconds for s in results.steps if s.kind == k)):
        found = [step.seconds for step in results.steps if step.kind == kind]
        print(f"  {kind:14} {len(found):3} steps {sum(found):8.1f} s  {sum(found) / total:6.1%}")


def target_of(side: int, channels: int, folder: Path) -> BlackBoxTarget:
    """Return an untrained SNGAN of the default width: its images cost as much as a trained one's."""
    settings = parse_architecture("sngan")
    torch.manual_seed(0)
    networks = build_networks(settings, (channels, side, side))
    networks.generator.eval()
    checkpoint = save_checkpoint(folder / f"gan-{side}", networks, settings, (channels, side, side), {})
    return CheckpointTarget(checkpoint=str(checkpoint)).load(Compute())


def bare(target: BlackBoxTarget) -> None:
    for start in range(0, IMAGES, SHARD):
        target.sample(range(start, start + SHARD), seed=0)


def metered(target: BlackBoxTarget, folder: Path) -> None:
    """Generate behind the ledger, and store nothing."""
    ledger = Ledger(folder / "ledger.sqlite")
    ledger.open_account("benchmark", IMAGES)
    bare(meter(target, ledger, "benchmark"))
    ledger.close()


def bought(target: BlackBoxTarget, folder: Path) -> None:
    """Do all of it: ledger, PNG, Parquet, checksums, and reading back what was bought."""
    ledger = Ledger(folder / "ledger.sqlite")
    ledger.open_account("benchmark", IMAGES)
    harvest(meter(target, ledger, "benchmark"), Store(folder, target.identity, "benchmark", 0), IMAGES)
    ledger.close()


def seconds(work: Callable[[], None]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def compare(side: int, channels: int, folder: Path) -> None:
    """Time bare, metered and bought generation.

    They take turns, so that a slow moment of the machine affects all three.
    """
    target = target_of(side, channels, folder)
    bare(target)  # warm up
    times: dict[str, list[float]] = {"bare generation": [], "metered": [], "metered and stored": []}
    for repeat in range(REPEATS):
        here = folder / f"{side}-{repeat}"
        times["bare generation"].append(seconds(lambda: bare(target)))
        times["metered"].append(seconds(lambda p=here / "metered": metered(target, p)))
        times["metered and stored"].append(seconds(lambda p=here / "bought": bought(target, p)))
    median = {name: statistics.median(found) for name, found in times.items()}
    print(
        f"{IMAGES:,} images of {channels}x{side}x{side}, {torch.get_num_threads()} thread, median of "
        f"{REPEATS}"
    )
    for name, value in median.items():
        print(
            f"  {name:20} {value:7.3f} s  {value / IMAGES * 1e6:6.0f} µs an image  "
            f"{value / median['bare generation']:5.2f} x bare generation"
        )


def main() -> None:
    torch.set_num_threads(1)
    if len(sys.argv) > 1:
        steps(Path(sys.argv[1]))
    with tempfile.TemporaryDirectory() as folder:
        for side, channels in ((8, 1), (32, 3)):
            compare(side, channels, Path(folder))


if __name__ == "__main__":
    main()
