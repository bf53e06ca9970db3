"""Measure what Metropolis-Hastings subsampling costs, against loops over single chains and against the bare
forward passes of G and D that it needs.

    python benchmarks/subsampling.py

The loops run the inner loop of Algorithm 1 for one chain at a time. One uses NumPy, as mhgan's mh.py does,
with one draw and one comparison a step. The other is the leanest that plain Python allows, over precomputed
odds.
"""

import math
import random
import resource
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from ganguard.architectures.networks import build_networks, parse_architecture
from ganguard.attacks.subsampling import Pool, metropolis_hastings

CHAINS, STEPS = 50_000, 640
SLOW_CHAINS = 100  # chains on which a loop is timed
REPEATS = 3
LIVE_CHAINS, LIVE_STEPS, SIDE = 512, 20, 32


def seconds(work: Callable[[], object]) -> float:
    """Return how long `work` takes."""
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def one_chain_in_numpy(start: float, pool: np.ndarray, rng: np.random.Generator) -> int | None:
    """Run the inner loop of Algorithm 1 for one chain, over log-odds. Returns the index that it ended on."""
    current, at = start, None
    for _ in range(STEPS):
        new = int(rng.integers(len(pool)))
        if np.log(rng.random()) <= min(0.0, pool[new] - current):
            current, at = pool[new], new
    return at


def one_chain(start: float, pool: list[float], rng: random.Random) -> int | None:
    """Run the same loop in plain Python, over precomputed odds."""
    current, at = math.exp(start), None
    for _ in range(STEPS):
        new = rng.randrange(len(pool))
        if rng.random() * current <= pool[new]:
            current, at = pool[new], new
    return at


def on_arrays() -> None:
    """Print the time and memory that chains on given scores take, and the time of the loops."""
    scores = torch.randn(100_000, generator=torch.Generator().manual_seed(0)).double()
    real = torch.zeros(100).double()
    odds, rng, numbers = scores.exp().tolist(), random.Random(0), np.random.default_rng(0)
    loops = {
        "NumPy, a chain at a time": lambda: one_chain_in_numpy(0.0, scores.numpy(), numbers),
        "plain Python over lists": lambda: one_chain(0.0, odds, rng),
    }
    times: dict[str, float] = {}
    for name, loop in loops.items():
        times[name] = seconds(lambda loop=loop: [loop() for _ in range(SLOW_CHAINS)]) * CHAINS / SLOW_CHAINS
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    ours = statistics.median(
        seconds(lambda: metropolis_hastings(real, Pool(scores, seed=0), count=CHAINS, steps=STEPS, seed=0))
        for _ in range(REPEATS)
    )
    above = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    print(f"{CHAINS:,} chains x {STEPS} steps on scores: {ours:.2f} s, {above:.0f} MB more memory")
    for name, taken in times.items():
        print(f"  {name}: {taken:.1f} s, {taken / ours:.0f} times as long")


def live() -> None:
    """Print the throughput with G and D in the loop, as a share of that of the same forward passes alone."""
    torch.manual_seed(0)
    networks = build_networks(parse_architecture("sngan"), (3, SIDE, SIDE))
    G, D = networks.generator.eval(), networks.discriminator.eval()
    generator = torch.Generator().manual_seed(0)

    @torch.inference_mode()
    def propose(n: int) -> tuple[Tensor, Tensor]:
        images = G(torch.randn(n, G.latent_dim, generator=generator))
        return images.add(1).mul(127.5).round().to(torch.uint8), D(images)

    def bare() -> None:
        for _ in range(LIVE_STEPS):
            propose(LIVE_CHAINS)

    def chains() -> None:
        metropolis_hastings(torch.full((8,), -9.0), propose, count=LIVE_CHAINS, steps=LIVE_STEPS, seed=0)

    pairs = [(seconds(bare), seconds(chains)) for _ in range(REPEATS)]
    ratio = statistics.median(alone / ours for alone, ours in pairs)
    print(
        f"MH with live G and D, {SIDE}x{SIDE}, {LIVE_CHAINS} chains x {LIVE_STEPS} steps: {ratio:.2f} of "
        "the bare throughput"
    )


if __name__ == "__main__":
    on_arrays()
    live()
