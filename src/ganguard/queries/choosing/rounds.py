"""The rounds of a purchase: what is asked for in each, from what was bought in those before it."""

from collections.abc import Callable
from contextlib import suppress
from functools import cached_property
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from ganguard.base.cache import remove_temporaries, write_tensors
from ganguard.base.compute import use_threads
from ganguard.base.locks import locked
from ganguard.base.seeds import derived_seed
from ganguard.queries.choosing.k_centre import k_centre
from ganguard.queries.choosing.students import seen_pixels, teach
from ganguard.queries.judged_ask import shares_by_coverage, shares_by_spread
from ganguard.queries.sent_codes import codes_to_send
from ganguard.queries.store import Store
from ganguard.targets.ask import Ask, asked_of
from ganguard.targets.conditions import Conditions, conditions_of
from ganguard.targets.protocol import BlackBoxTarget, LatentTarget

STUDENTS = 2
FEWEST_CODES, OF_EACH, MOST_CODES = 2000, 8, 1 << 16
"""How many codes a round chooses from: so many for each that it takes, between these limits."""
MOST_NUMBERS = 1 << 27  # of which long codes consist, unless twice as many codes as are taken have more


def rounds(ask: Ask | None, count: int) -> list[range]:
    """Return the rounds in which `count` images are bought: one, unless `ask` learns from what was bought.

    A judge has two: its pilot, and all else. Who chooses has more: each round after the pilot buys as many
    images as there are then. A smaller count cuts the last round, so that it is a prefix of a larger one.
    """
    if ask is None or not ask.learns or count <= ask.pilot:
        return [range(count)]
    stops = [ask.pilot]
    while stops[-1] < count:
        stops.append(2 * stops[-1] if ask.choose else count)
    return [range(start, min(stop, count)) for start, stop in zip([0, *stops], stops, strict=False)]


class Round:
    """What is asked for in a round of a purchase.

    It is known when all images before the round are bought, and is found out when it is first needed. What
    was chosen is kept in the store's directory, so that a run that goes on asks for the same, whatever the
    threads, the processor and the version of torch.

    Args:
        target: the target.
        store: where the images are kept.
        first: index of the round's first image.
        say: is called when the choosing begins.
    """

    def __init__(
        self, target: BlackBoxTarget, store: Store, first: int, say: Callable[[], None] = lambda: None
    ) -> None:
        self._target, self._store, self._first, self._say = target, store, first, say

    def conditions(self, indices: range) -> Tensor | None:
        """Return the conditions that images are asked for with, (len(indices),); None if the target takes
        none."""
        store = self._store
        return asked_of(self._target, store.ask, indices, seed=store.seed, shares=self._shares)

    def codes(self, target: LatentTarget, indices: range) -> Tensor:
        """Return the codes that are sent for images of the round, (len(indices), latent_dim) float32."""
        ask = self._store.ask
        if not self._first or ask is None or not ask.chooses_codes:
            return codes_to_send(target, ask, indices, seed=self._store.seed)
        return self._chosen["codes"][indices.start - self._first : indices.stop - self._first]

    @cached_property
    def _shares(self) -> Tensor | None:
        """The shares of conditions; None before anything was learnt, or if nothing is learnt of them."""
        ask, known = self._store.ask, conditions_of(self._target)
        if not self._first or known is None or ask is None or not ask.learns:
            return None
        if ask.judge:
            return shares_by_spread(self._images(), self._asked(known), len(known))
        return self._chosen["shares"]

    @cached_property
    def _chosen(self) -> dict[str, Tensor]:
        """What was chosen for the round, by an earlier run or now."""
        path = self._store.directory / "chosen" / f"{self._first:010d}.safetensors"
        with locked(self._store.directory / "locks" / f"chosen-{self._first:010d}", wait=True):
            if (before := _read(path)) is not None:
                return before
            remove_temporaries(path.parent, path.name)
            self._say()
            with use_threads(1):
                chosen = self._choose()
            write_tensors(path, chosen)
        return chosen

    def _choose(self) -> dict[str, Tensor]:
        """Choose the codes of a whole round, or the shares of its conditions."""
        if known := conditions_of(self._target):
            seen = seen_pixels(self._images())
            return {"shares": shares_by_coverage(seen, self._asked(known), len(known))}
        ask, store, target = self._store.ask, self._store, self._target
        if ask is None or not isinstance(target, LatentTarget):
            return {}
        candidates = codes_to_send(
            target,
            ask,
            range(candidates_of(self._first, target.latent_dim)),
            seed=derived_seed(store.seed, "candidates", str(self._first)),
        )
        sent = store.read_codes(self._first)
        students = teach(
            sent,
            self._images(),
            students=STUDENTS,
            seed=derived_seed(store.seed, "students", str(self._first)),
        )
        if ask.choose == "coreset":
            rows = k_centre(students.describe(candidates), students.describe(sent), self._first)
        else:
            order = students.disagreement(candidates).argsort(descending=True, stable=True)
            rows = order[: self._first]
        return {"codes": candidates[rows]}

    def _images(self) -> Tensor:
        return self._store.read(self._first)

    def _asked(self, known: Conditions) -> Tensor:
        return known.numbers(self._store.read_conditions(self._first))


def candidates_of(count: int, latent_dim: int) -> int:
    """Return how many codes `count` are chosen from."""
    usual = max(FEWEST_CODES, min(OF_EACH * count, MOST_CODES))
    return max(2 * count, min(usual, MOST_NUMBERS // latent_dim))


def _read(path: Path) -> dict[str, Tensor] | None:
    """Return what was chosen before; None if nothing was, or the file is damaged: it is then chosen again, to
    the same numbers on the same machine."""
    with suppress(OSError, SafetensorError):
        return load_file(path)
    return None
