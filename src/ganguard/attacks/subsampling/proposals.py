"""Where the images come from that a subsampler chooses among: a pool that was bought before, or a stream of
fresh queries."""

from typing import Protocol

import torch
from torch import Tensor

from ganguard.base.errors import SpecError
from ganguard.base.seeds import torch_generator


class Propose(Protocol):
    """Gives independent draws of the generator."""

    def __call__(self, n: int, /) -> tuple[Tensor, Tensor]:
        """Handles (n, ...), whatever tells the images (an index into a pool, or the images), and their
        log-odds (n,)."""
        ...


class Pool:
    """Images that were bought once, drawn with replacement: handles are their indices (n,) int64.

    Chains that walk inside a pool tend to the pool's own images weighted by their odds, not to p_r itself:
    with few images of large odds in it, many chains end on the same.
    """

    def __init__(self, log_odds: Tensor, *, seed: int) -> None:
        self.log_odds = require_log_odds(log_odds, "of the pool")
        self._generator = torch_generator(seed, "pool")

    def __call__(self, n: int, /) -> tuple[Tensor, Tensor]:
        rows = torch.randint(len(self.log_odds), (n,), generator=self._generator)
        return rows, self.log_odds.index_select(0, rows)


class Stream:
    """Images that were bought to be offered once each, in the order in which they came: handles are `first`,
    `first` + 1 ..., (n,) int64. Chains that walk along a stream tend to p_r itself, at one query a
    proposal."""

    def __init__(self, log_odds: Tensor, *, first: int = 0) -> None:
        self.log_odds = require_log_odds(log_odds, "of the stream")
        self._first, self._offered = first, 0

    def __call__(self, n: int, /) -> tuple[Tensor, Tensor]:
        """Raises SpecError where fewer than n are left."""
        rows = torch.arange(self._offered, self._offered + n)
        if self._offered + n > len(self.log_odds):
            raise SpecError(
                f"the stream holds {len(self.log_odds):,} images, and {self._offered + n:,} were asked of it."
            )
        self._offered += n
        return rows + self._first, self.log_odds[rows]


def draw(propose: Propose, n: int, whose: str = "of the proposals") -> tuple[Tensor, Tensor]:
    """n proposals: handles (n, ...), and their log-odds (n,) float64. Raises SpecError for other shapes, NaN
    and infinity."""
    handles, log_odds = propose(n)
    if handles.ndim < 1 or len(handles) != n:
        raise SpecError(f"handles {whose} must be ({n}, ...); got {tuple(handles.shape)}.")
    return handles, require_log_odds(log_odds, whose, n)


def require_log_odds(log_odds: Tensor, whose: str, count: int | None = None) -> Tensor:
    """(N,) finite numbers as float64, N at least 1, or `count`. Raises SpecError for other shapes, NaN and
    infinity."""
    found = log_odds.detach().cpu().double()
    if found.ndim != 1 or len(found) != (len(found) or 1 if count is None else count):
        raise SpecError(
            f"log-odds {whose} must be ({'N' if count is None else count},); got {tuple(found.shape)}."
        )
    if not torch.isfinite(found.sum()):  # one pass: a sum of finite log-odds does not overflow
        raise SpecError(f"log-odds {whose} hold NaN or infinity. Take a density ratio whose odds are finite.")
    return found
