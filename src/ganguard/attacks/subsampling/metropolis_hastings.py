"""Metropolis-Hastings subsampling of a generator (Hu & Pang 2021, Algorithm 1; Turner et al. 2019,
"Metropolis-Hastings Generative Adversarial Networks").

A chain starts at a random real image x. K times it is offered a fresh image x' of G. It then draws
u ~ Uniform(0, 1) and moves to x' if

    u <= min(1, (1/C(x) - 1) / (1/C(x') - 1)) = min(1, odds(x') / odds(x)),      odds(x) = C(x) / (1 - C(x))

or, in log-odds, if log u <= l(x') - l(x). If C is calibrated, the odds are the density ratio p_r / p_g up to
a constant, and the distribution of x converges to p_r. A chain that never moved still stands on its real
image, which is never returned.
"""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from ganguard.attacks.subsampling.proposals import Propose, draw, require_log_odds
from ganguard.base.errors import SpecError
from ganguard.base.seeds import torch_generator

NeverMoved = Literal["discard", "restart"]
CHAINS_A_KEPT = 20  # chains run per wanted image before all of them count as stuck
AT_ONCE = 8192  # chains that advance together: few enough that one step's data stays in the processor's cache


class ChainsStuck(SpecError):
    """Too few chains ever left the real images that they began at, so this ratio cannot be followed."""


@dataclass(frozen=True)
class Chains:
    """The images that the chains ended on.

    Attributes:
        handles: (count, ...), one for each generated image kept, in the order of the chains.
        log_odds: (count,) float64, their log-odds.
        never_moved: number of chains, of all that were run, that ended on the real image they began at.
        acceptance_rate: moves / proposals, in [0, 1].
        proposals: number of generated images offered to all chains.
    """

    handles: Tensor
    log_odds: Tensor
    never_moved: int
    acceptance_rate: float
    proposals: int


def metropolis_hastings(
    real_log_odds: Tensor,
    propose: Propose,
    *,
    count: int,
    steps: int,
    seed: int,
    never_moved: NeverMoved = "discard",
    max_chains: int | None = None,
) -> Chains:
    """Run Metropolis-Hastings chains until `count` of them have moved off their real image.

    Up to 8,192 chains advance at once. A chain keeps the handle that it stands on, so no image is asked for
    twice. Memory holds a few numbers for each chain, and the handles of one step.

    Args:
        real_log_odds: (m,) log-odds of the real images; each chain starts at one of them, drawn at random.
        propose: the source of generated images.
        count: images to return, at least 1.
        steps: proposals for each chain (the paper's K), at least 1. Turner et al. take 640 for images.
        seed: seed of the starts and of u.
        never_moved: "discard" drops a chain that never moved and runs another. "restart" lets it begin at
            its first proposal instead and offers it the same others again (Turner et al.'s code): then real
            images that are hard to leave bias nothing. Either way such chains are counted.
        max_chains: most chains to run, at least `count`; None allows 20 * count.

    Raises SpecError for count or steps below 1, max_chains below count, no real image, and log-odds that are
    NaN or infinite. Raises ChainsStuck if max_chains have run and fewer than count of them moved.
    """
    most = CHAINS_A_KEPT * count if max_chains is None else max_chains
    _require(count, steps, most)
    real_log_odds = require_log_odds(real_log_odds, "of the real images")
    generator = torch_generator(seed, "metropolis_hastings")
    waves: list[_Wave] = []
    kept = started = 0
    while kept < count:
        chains = min(_wanted(count - kept, kept, started), most - started, AT_ONCE)
        if chains == 0:
            raise ChainsStuck(
                f"all chains stuck: of {started:,} chains of {steps:,} steps {kept:,} moved, and {count:,} "
                "are wanted. Real images score far above generated ones: take another density ratio, a "
                "lower temper, or more steps."
            )
        starts = real_log_odds[torch.randint(len(real_log_odds), (chains,), generator=generator)]
        waves.append(_walk(starts, propose, steps, generator, never_moved))
        started += chains
        kept += len(waves[-1].handles)
    return Chains(
        handles=torch.cat([wave.handles for wave in waves])[:count],
        log_odds=torch.cat([wave.log_odds for wave in waves])[:count],
        never_moved=sum(wave.never_moved for wave in waves),
        acceptance_rate=sum(wave.moves for wave in waves) / (started * steps),
        proposals=started * steps,
    )


@dataclass(frozen=True)
class _Wave:
    """Chains that advanced together.

    Attributes:
        handles: (n, ...) of the images that the kept chains ended on.
        log_odds: (n,), their log-odds.
        never_moved: number of chains that never moved, kept or not.
        moves: moves of all chains, kept or not.
    """

    handles: Tensor
    log_odds: Tensor
    never_moved: int
    moves: int


def _walk(
    starts: Tensor, propose: Propose, steps: int, generator: torch.Generator, never_moved: NeverMoved
) -> _Wave:
    """Run one chain from each of the log-odds `starts` (n,) of real images, all at once."""
    main = _Walkers(starts)
    # The shadow chains replace those that never moved. From -inf they accept whatever is offered first.
    shadow = _Walkers(torch.full_like(starts, -math.inf)) if never_moved == "restart" else None
    for _ in range(steps):
        handles, proposed = draw(propose, len(starts))
        log_u = torch.rand(len(starts), generator=generator, dtype=torch.float64).log_()
        for walkers in (main, shadow) if shadow else (main,):
            walkers.offer(handles, proposed, log_u)
    moved = main.moved
    if shadow:
        still = ~moved
        shadow.copy_into(main, still)
        return _Wave(main.handles, main.log_odds, int(still.sum()), main.moves)
    return _Wave(main.handles[moved], main.log_odds[moved], int((~moved).sum()), main.moves)


class _Walkers:
    """The positions of n chains.

    Attributes:
        log_odds: (n,), of the image that each chain stands on.
        moved: (n,) bool, whether the chain has moved.
        handles: (n, ...), of the image that each chain stands on; zeros for a chain that has not moved.
        moves: moves of all chains so far.
    """

    def __init__(self, log_odds: Tensor) -> None:
        self.log_odds = log_odds.clone()
        self.moved = torch.zeros(len(log_odds), dtype=torch.bool)
        self.handles = torch.empty(0)
        self.moves = 0

    def offer(self, handles: Tensor, log_odds: Tensor, log_u: Tensor) -> None:
        """Offer image i to chain i, which moves there if log u <= l(x') - l(x)."""
        # The first proposals show the shape and the dtype of a handle.
        if self.handles.shape != handles.shape:
            self.handles = torch.zeros_like(handles)
        accept = log_u <= log_odds - self.log_odds
        self.log_odds = torch.where(accept, log_odds, self.log_odds)
        if handles.ndim == 1:
            self.handles = torch.where(accept, handles, self.handles)
        else:
            self.handles[accept] = handles[accept]
        self.moved |= accept
        self.moves += int(accept.sum())

    def copy_into(self, other: "_Walkers", rows: Tensor) -> None:
        """Replace the chains `rows` (n,) bool of `other` by these."""
        other.log_odds[rows] = self.log_odds[rows]
        other.handles[rows] = self.handles[rows]


def _wanted(missing: int, kept: int, started: int) -> int:
    """Return how many chains to run next, if the share of chains that move stays what it was so far."""
    return missing if started == 0 or kept == 0 else math.ceil(missing * started / kept)


def _require(count: int, steps: int, max_chains: int) -> None:
    if count < 1 or steps < 1:
        raise SpecError(f"count and steps must be at least 1; got {count} and {steps}.")
    if max_chains < count:
        raise SpecError(f"max_chains must be at least count, {count}; got {max_chains}.")
