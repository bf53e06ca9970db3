"""What Metropolis-Hastings costs: beside a loop over chains, and beside the bare forward passes of G and D that it needs.

python benchmarks/subsampling.py
"""

import math
import random
import resource
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor

from ganguard.architectures.networks import build_networks, parse_architecture
from ganguard.attacks.subsampling import Pool, metropolis_hastings

CHAINS, STEPS = 50_000, 640
SLOW_CHAINS = 500  # the loop is timed on so many
REPEATS = 3
LIVE_CHAINS, LIVE_STEPS, SIDE = 512, 20, 32


def seconds(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def one_chain(start: float, pool: list[float], rng: random.Random) -> int | None:
    """Algorithm 1's inner loop for one chain, in plain Python, in odds that were computed before."""
    current, at = math.exp(start), None
    for _ in range(STEPS):
        new = rng.randrange(len(pool))
        if rng.random() * current <= pool[new]:
            current, at = pool[new], new
    return at


def on_arrays() -> None:
    scores = torch.randn(100_000, generator=torch.Generator().manual_seed(0)).double()
    real = torch.zeros(100).double()
    odds, rng = scores.exp().tolist(), random.Random(0)
    loop = seconds(lambda: [one_chain(0.0, odds, rng) for _ in range(SLOW_CHAINS)]) * CHAINS / SLOW_CHAINS
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    ours = statistics.median(
        seconds(lambda: metropolis_hastings(real, Pool(scores, seed=0), count=CHAINS, steps=STEPS, seed=0))
        for _ in range(REPEATS)
    )
    above = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    print(f"{CHAINS:,} chains x {STEPS} steps on scores: {ours:.2f} s, {above:.0f} MB above what was there")
    print(f"  a loop over chains in plain Python: {loop:.1f} s, {loop / ours:.0f} times as long")


def live() -> None:
    """Throughput with G and D in the loop, over that of as many bare forward passes."""
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
    print(f"MH with live G and D, {SIDE}x{SIDE}, {LIVE_CHAINS} chains x {LIVE_STEPS} steps: {ratio:.2f} of the bare throughput")


if __name__ == "__main__":
    on_arrays()
    live()
