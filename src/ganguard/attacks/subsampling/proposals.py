"""Sources of the images that a subsampler chooses from: a pool of bought images, or a stream of them."""

from typing import Protocol

import torch
from torch import Tensor

from ganguard.base.errors import SpecError
from ganguard.base.seeds import torch_generator


class Propose(Protocol):
    """A source of independent draws from the generator."""

    def __call__(self, n: int, /) -> tuple[Tensor, Tensor]:
        """Return handles (n, ...) of n images, and their log-odds (n,).

        A handle is whatever identifies an image: its index in a pool, or the image itself.
        """
        ...


class Pool:
    """Images that were bought once and are drawn with replacement. Handles are their indices (n,) int64.

    Chains inside a pool converge to the pool's images weighted by their odds, not to p_r itself. If few
    images of the pool have large odds, many chains end on the same image.
    """

    def __init__(self, log_odds: Tensor, *, seed: int) -> None:
        self.log_odds = require_log_odds(log_odds, "of the pool")
        self._generator = torch_generator(seed, "pool")

    def __call__(self, n: int, /) -> tuple[Tensor, Tensor]:
        """Return n random indices (n,) and their log-odds (n,)."""
        rows = torch.randint(len(self.log_odds), (n,), generator=self._generator)
        return rows, self.log_odds.index_select(0, rows)


class Stream:
    """Images that are offered once each, in the order of purchase.

    Handles are `first`, `first` + 1 ..., (n,) int64. Chains along a stream converge to p_r itself, at the
    price of one query for each proposal.
    """

    def __init__(self, log_odds: Tensor, *, first: int = 0) -> None:
        self.log_odds = require_log_odds(log_odds, "of the stream")
        self._first, self._offered = first, 0

    def __call__(self, n: int, /) -> tuple[Tensor, Tensor]:
        """Return the next n handles (n,) and their log-odds. Raises SpecError if fewer than n are left."""
        rows = torch.arange(self._offered, self._offered + n)
        if self._offered + n > len(self.log_odds):
            raise SpecError(
                f"the stream holds {len(self.log_odds):,} images, and {self._offered + n:,} were asked for."
            )
        self._offered += n
        return rows + self._first, self.log_odds[rows]


def draw(propose: Propose, n: int, whose: str = "of the proposals") -> tuple[Tensor, Tensor]:
    """Return n proposals: their handles (n, ...) and log-odds (n,) float64.

    `whose` names the proposals in messages. Raises SpecError for other shapes, NaN and infinity.
    """
    handles, log_odds = propose(n)
    if handles.ndim < 1 or len(handles) != n:
        raise SpecError(f"handles {whose} must be ({n}, ...); got {tuple(handles.shape)}.")
    return handles, require_log_odds(log_odds, whose, n)


def require_log_odds(log_odds: Tensor, whose: str, count: int | None = None) -> Tensor:
    """Return the finite log-odds (N,) as float64 on the CPU; N is `count`, or at least 1 if that is None.

    `whose` names them in messages. Raises SpecError for other shapes, NaN and infinity.
    """
    found = log_odds.detach().cpu().double()
    if found.ndim != 1 or len(found) != (max(len(found), 1) if count is None else count):
        raise SpecError(
            f"log-odds {whose} must be ({'N' if count is None else count},); got {tuple(found.shape)}."
        )
    # One pass over the data. A sum of finite log-odds does not overflow.
    if not torch.isfinite(found.sum()):
        raise SpecError(f"log-odds {whose} hold NaN or infinity. Choose a density ratio with finite odds.")
    return found
