"""Metropolis-Hastings subsampling of a generator (Hu & Pang 2021, Algorithm 1; Turner et al. 2019,
"Metropolis-Hastings Generative Adversarial Networks").

A chain starts at a random real image x and K times is offered a fresh image x' of G. With u ~ Uniform(0, 1)
it moves when

    u <= min(1, (1/C(x) - 1) / (1/C(x') - 1)) = min(1, odds(x') / odds(x)),      odds(x) = C(x) / (1 - C(x))

so in log-odds when log u <= l(x') - l(x). Where C is calibrated, the odds are the density ratio p_r / p_g up
to a constant, and the law of x tends to p_r. A chain that never moved still stands on the real image, which
is never released.
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
CHAINS_A_KEPT = 20  # chains that are run for each one wanted before all are called stuck
AT_ONCE = 8192  # chains that advance together: what a step of theirs touches stays in the cache


class ChainsStuck(SpecError):
    """The chains hardly ever leave the real images that they begin at: this ratio cannot be followed from
    there."""


@dataclass(frozen=True)
class Chains:
    """What the chains ended on.

    handles: (count, ...) of the generated images kept, in the order of their chains. log_odds: theirs,
    (count,) float64.
    never_moved: chains that ended on the real image they began with, of all that were run.
    acceptance_rate: moves / proposals, in [0, 1]. proposals: generated images that were offered, in all.
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
    """Run chains of `steps` proposals (the paper's K; Turner et al. take 640 for images) until `count` have
    moved.

    real_log_odds: (m,) of the real images, one of which each chain starts at. Up to 8,192 chains advance at
        once; a chain keeps the handle that it stands on, so nothing is asked for twice.
    never_moved: "discard" drops a chain that never moved and runs another; "restart" lets it begin at its
        first proposal instead and offers it the same others (Turner et al.'s code), so that a real start
        which is hard to leave biases nothing. Both are counted.
    max_chains: at most so many chains are run; None allows 20 * count.

    Memory: a few numbers a chain, and the handles of one step. Raises SpecError for count or steps below 1,
    no real image, log-odds that are NaN or infinite; ChainsStuck where max_chains have run and fewer than
    count moved.
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
    """Chains that were run together: where those ended that are kept, and how often all of them moved."""

    handles: Tensor
    log_odds: Tensor
    never_moved: int
    moves: int


def _walk(
    starts: Tensor, propose: Propose, steps: int, generator: torch.Generator, never_moved: NeverMoved
) -> _Wave:
    """Chains from the log-odds `starts` (n,) of real images, all at once."""
    main = _Walkers(starts)
    shadow = (
        _Walkers(torch.full_like(starts, -math.inf)) if never_moved == "restart" else None
    )  # moves at its first proposal
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
    """Where n chains stand: log-odds (n,), the handles (n, ...) of those that moved, and how often all of
    them did."""

    def __init__(self, log_odds: Tensor) -> None:
        self.log_odds = log_odds.clone()
        self.moved = torch.zeros(len(log_odds), dtype=torch.bool)
        self.handles = torch.empty(0)
        self.moves = 0

    def offer(self, handles: Tensor, log_odds: Tensor, log_u: Tensor) -> None:
        """Move those whose u is small enough."""
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
        """Put these chains in the place of the other's `rows` (n,) bool."""
        other.log_odds[rows] = self.log_odds[rows]
        other.handles[rows] = self.handles[rows]


def _wanted(missing: int, kept: int, started: int) -> int:
    """How many chains to run next: as many as are missing, and more where many of those before never
    moved."""
    return missing if started == 0 or kept == 0 else math.ceil(missing * started / kept)


def _require(count: int, steps: int, max_chains: int) -> None:
    if count < 1 or steps < 1:
        raise SpecError(f"count and steps must be at least 1; got {count} and {steps}.")
    if max_chains < count:
        raise SpecError(f"max_chains must be at least count, {count}; got {max_chains}.")
