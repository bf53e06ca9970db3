"""The speed of the metrics beside the packages that people use for the same, both measured on this machine.

    python benchmarks/metrics.py [fd|prdc|kid|piqe|memory ...]

Needs what `make test` installs. Each line has the work, our time, the peer's time and their ratio. Below it
stands the floor, and how many times as long we take. The floor is the work that cannot be avoided: floating
point operations at the speed that a matrix product reaches here, or bytes of the inputs at the speed of a
copy, whichever takes longer.
"""

import importlib.util
import resource
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import scipy.linalg
import torch

from ganguard.metrics import (
    GaussianStatistics,
    frechet_distance,
    kernel_distance,
    piqe,
    precision_recall_density_coverage,
)

ROOT = Path(__file__).parent.parent
D = 2048


def peers() -> None:
    """Make torch-fidelity importable, as the reference tests do."""
    spec = importlib.util.spec_from_file_location("reference", ROOT / "tests" / "reference" / "conftest.py")
    if spec is not None and spec.loader is not None:
        spec.loader.exec_module(importlib.util.module_from_spec(spec))


ROUNDS = 3  # ours and the peer's take turns: a slow moment of the machine affects both


def seconds(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


@cache
def speed(kind: torch.dtype, _threads: int) -> float:
    """Return the floating point operations a second of a matrix product on this many threads."""
    a = torch.randn(2048, 2048, dtype=kind)
    return 2 * 2048**3 / min(seconds(lambda: a @ a) for _ in range(5))


@cache
def bandwidth(_threads: int) -> float:
    """Return the bytes a second that a large copy reads on this many threads."""
    a = torch.zeros(1 << 25)
    b = torch.empty_like(a)
    return a.nbytes / min(seconds(lambda: b.copy_(a)) for _ in range(5))


@dataclass(frozen=True)
class Floor:
    """Operations of one type, and bytes, that no implementation can avoid."""

    flops: float
    nbytes: float
    kind: torch.dtype = torch.float64

    def seconds(self) -> float:
        threads = torch.get_num_threads()
        return max(self.flops / speed(self.kind, threads), self.nbytes / bandwidth(threads))

    def __str__(self) -> str:
        kind = str(self.kind).removeprefix("torch.")
        work = f"{self.flops / 1e9:,.1f} G operations in {kind}, {self.nbytes / 1e6:,.0f} MB"
        return f"{work}: {self.seconds():.3f} s"


def row(what: str, ours: Callable[[], object], peer: str, theirs: Callable[[], object], floor: Floor) -> None:
    """Print the medians of both, and the median of the rounds' ratios."""
    pairs = [(seconds(ours), seconds(theirs)) for _ in range(ROUNDS)]
    mine, others = (statistics.median(times) for times in zip(*pairs, strict=True))
    ratio = statistics.median(other / own for own, other in pairs)
    print(f"{what:52} {mine:8.2f} s   {peer:24} {others:8.2f} s   {ratio:6.1f} x")
    print(f"  floor: {floor}; we take {mine / floor.seconds():.1f} times that", flush=True)


def features(count: int, width: int = D, seed: int = 0, decay: float = 4.0) -> np.ndarray:
    """Return float64 features whose variance falls off, as a network's does."""
    generator = np.random.default_rng(seed)
    return generator.normal(size=(count, width)) * np.exp(-np.arange(width) / width * decay) + 0.05 * seed


def fd() -> None:
    from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric

    def theirs(a: dict[str, np.ndarray], b: dict[str, np.ndarray]) -> float:
        return fid_statistics_to_metric(a, b, verbose=False)["frechet_inception_distance"]

    for what, count in (("FD from full-rank statistics", 6000), ("FD from rank-deficient statistics", 1000)):
        a, b = features(count), features(count, seed=1)
        ours = [GaussianStatistics.of(x) for x in (a, b)]
        peer = [fid_features_to_statistics(torch.from_numpy(x)) for x in (a, b)]
        rank, both = min(count, D), 2 * 8 * D * D  # both: bytes of two covariances
        floor = Floor(2 * rank * D * D + 2 * rank * rank * D + 4 / 3 * rank**3, both)
        if count > D:  # two Cholesky factors, a congruence, eigenvalues
            floor = Floor(2 / 3 * D**3 + D**3 + 4 / 3 * D**3, both)
        row(
            f"{what}, D = {D}",
            lambda o=ours: frechet_distance(*o),
            "torch-fidelity 0.4",
            lambda p=peer: theirs(*p),
            floor,
        )
        if count > D:
            s = [np.array(p["sigma"]) for p in peer]
            root = lambda s=s: scipy.linalg.sqrtm(s[0] @ s[1])  # noqa: E731
            row(f"{what}, D = {D}", lambda o=ours: frechet_distance(*o), "scipy sqrtm", root, floor)
        print(
            "  relative difference from torch-fidelity: "
            f"{abs(frechet_distance(*ours) / theirs(*peer) - 1):.1e}"
        )
    a, b = features(1000), features(1000, seed=1)
    tensors = [torch.from_numpy(x) for x in (a, b)]
    row(
        "FD from N = 1,000 features, D = 2048",
        lambda: frechet_distance(a, b),
        "torch-fidelity 0.4",
        lambda: theirs(*(fid_features_to_statistics(t) for t in tensors)),
        Floor(2 * 1000 * 1000 * D + 8 / 3 * 1000**3, a.nbytes + b.nbytes),  # a product, singular values
    )


def prdc() -> None:
    from prdc import compute_prdc

    count = 10_000
    a, b = features(count), features(count, seed=1)
    x, y = (torch.from_numpy(rows).float() for rows in (a, b))
    # Each pair within a set once, and each pair of the two sets.
    floor = Floor(2 * D * count * count * (0.5 + 0.5 + 1), x.nbytes + y.nbytes, torch.float32)
    row(
        f"P/R/D/C, {count:,} x {count:,} x {D}, k = 5",
        lambda: precision_recall_density_coverage(x, y),
        "prdc 0.2",
        lambda: compute_prdc(a, b, 5),
        floor,
    )


def memory() -> None:
    """Print the memory that 50,000 rows take above the inputs; to be run alone."""
    count = 50_000
    a, b = (torch.randn(count, D, generator=torch.Generator().manual_seed(s)) for s in (0, 1))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    ours = seconds(lambda: precision_recall_density_coverage(a, b))
    above = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    print(
        f"P/R/D/C, {count:,} x {count:,} x {D}: {ours:.0f} s, {above:.0f} MB above the inputs of "
        f"{2 * a.nbytes / 2**20:.0f} MB"
    )


def kid() -> None:
    from torch_fidelity.metric_kid import kid_features_to_metric

    for count in (3000, 10_000):
        a, b = (torch.from_numpy(features(count, seed=s)).float() for s in (0, 1))
        # Products of all rows once, or subset by subset, with each pair within a set once.
        products = min(2 * count**2, 100 * 2 * 1000**2)
        row(
            f"KID, 100 subsets of 1,000, N = {count:,}",
            lambda a=a, b=b: kernel_distance(a, b),
            "torch-fidelity 0.4",
            lambda a=a, b=b: kid_features_to_metric(
                a, b, kid_subsets=100, kid_subset_size=1000, verbose=False
            ),
            Floor(2 * D * products, a.nbytes + b.nbytes, torch.float32),
        )


def quality() -> None:
    from pypiqe import piqe as pypiqe

    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (64, 3, 256, 256), generator=generator).to(torch.uint8)
    smooth = torch.nn.functional.avg_pool2d(images.float(), 5, 1, 2).to(torch.uint8)
    arrays = [np.ascontiguousarray(image.permute(1, 2, 0).numpy()) for image in smooth]
    # Operations for each pixel: grey 6, two means of a window of 7 down and across 56, contrast and deviation
    # 8, moments of blocks 5.
    floor = Floor(64 * 256 * 256 * 75, images.nbytes)
    torch.set_num_threads(1)  # as an audit's processes have; OpenCV keeps its own
    row(
        "PIQE, 64 images of 256 x 256, one thread",
        lambda: piqe(smooth),
        "pypiqe 1.2, one by one",
        lambda: [pypiqe(array) for array in arrays],
        floor,
    )


BENCHMARKS = {"fd": fd, "prdc": prdc, "kid": kid, "piqe": quality, "memory": memory}


def main() -> None:
    peers()
    names = sys.argv[1:] or [name for name in BENCHMARKS if name != "memory"]
    print(
        f"{torch.get_num_threads()} threads, torch {torch.__version__}, numpy {np.__version__}, scipy "
        f"{scipy.__version__}"
    )
    for name in names:
        BENCHMARKS[name]()


if __name__ == "__main__":
    main()
