"""A generator that draws noise, as a target: each image has noise of its own, from its seed and index."""

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor, nn

from ganguard.base.cache import tensor_digest
from ganguard.base.compute import use_threads
from ganguard.base.errors import TargetError
from ganguard.base.images import to_uint8
from ganguard.targets.ask import given_or_drawn
from ganguard.targets.batching import in_micro_batches
from ganguard.targets.conditions import Conditions
from ganguard.targets.foreign.conditional import spread
from ganguard.targets.foreign.made import require_made
from ganguard.targets.foreign.purity import require_pure

Make = Callable[[Sequence[int], int, Sequence[int]], object]
"""Indices, a seed, and the condition of each image if the target takes any -> floats (N, C, H, W) in [-1, 1].
Image i must follow from (seed, i) and its condition alone."""
_CPU = torch.device("cpu")
_UNKNOWN = (0, 0, 0)  # shape of images of which none was made yet


class SeededTarget:
    """A BlackBoxTarget whose image i is a pure function of (seed, i), and of the condition that it is asked
    for if it takes any.

    Args:
        make: makes a batch.
        batch: images that `make` makes at once; the last batch of a request is filled up.
        threads: torch's, while it does.
        what: what messages call that which makes the images, such as "generator".
        conditions: what it can be asked for; None if it takes no conditions.

    Attributes:
        batch: images that are made at once.
        conditions: see above.
        notes: remarks on a generator that works and may not be what its owner means, a sentence each.
    """

    def __init__(
        self, make: Make, *, batch: int, threads: int, what: str, conditions: Conditions | None = None
    ) -> None:
        self._make, self.batch, self._threads, self._what = make, batch, threads, what
        self.conditions = conditions
        self.identity = ""
        self.image_shape: tuple[int, int, int] = _UNKNOWN
        self.notes: tuple[str, ...] = ()

    def open(self, identity: str, *, probed: int, module: nn.Module, impure: str) -> Tensor:
        """Make the first images, and look whether they depend on seed and index alone.

        Args:
            identity: of the weights and settings. What the first images show becomes part of the target's.
            probed: how many images are made, an even number.
            module: where the cause is looked for if images depend on more.
            impure: what to do about images that are others the second time.

        Returns:
            the images, floats (probed, C, H, W) in [-1, 1].

        Raises TargetError if there are none, or if they depend on more.
        """
        rows = self._probe_rows(2 * probed)
        self.image_shape = _UNKNOWN
        with use_threads(self._threads):
            floats = self._first_floats(probed)
            images = to_uint8(floats)
            first, others = rows.split(probed)
            alone = 1 if self.conditions else 0
            remarks = require_pure(
                partial(self._images, 0), module, first, others, images, impure, alone=alone
            )
        self.identity = f"{identity}:{tensor_digest({'probe': images})}"
        self.notes += tuple(f"The {self._what}: {remark}." for remark in remarks)
        return floats

    def _first_floats(self, count: int) -> Tensor:
        """Return the first images of the seed 0, floats (count, C, H, W) in [-1, 1]."""
        rows = self._probe_rows(2 * count)[:count]
        return in_micro_batches(partial(self._floats, 0), rows, _CPU, self.batch)

    def _probe_rows(self, count: int) -> Tensor:
        """Return the first indices, (count, 1), with the conditions that they are tried with, (count, 2)."""
        return _rows(range(count), self._tried(count))

    def _tried(self, count: int) -> Tensor | None:
        """Return the conditions that `count` images are tried with, (count,); None if it takes none."""
        return spread(self.conditions, count) if self.conditions else None

    def sample(self, indices: range, *, seed: int, conditions: Tensor | None = None) -> Tensor:
        """Return images (len(indices), C, H, W) uint8; image i is a pure function of (seed, i), and of its
        condition.

        conditions: (len(indices),) int64, what is asked for if it takes conditions.

        Raises TargetError if it takes none, or others.
        """
        asked = given_or_drawn(self, conditions, indices, seed=seed)
        with use_threads(self._threads):
            return self._images(seed, _rows(indices, asked))

    def _images(self, seed: int, rows: Tensor) -> Tensor:
        """Return images (N, C, H, W) uint8 of indices (N, 1), or of indices and conditions (N, 2)."""
        return in_micro_batches(lambda chunk: to_uint8(self._floats(seed, chunk)), rows, _CPU, self.batch)

    def _floats(self, seed: int, rows: Tensor) -> Tensor:
        asked = rows[:, 1].tolist() if self.conditions else []
        return self._checked(self._make(rows[:, 0].tolist(), seed, asked), len(rows))

    def _checked(self, images: object, count: int) -> Tensor:
        """Return what was made if it is `count` images of the shape of those before. Raises TargetError."""
        if not isinstance(images, Tensor) or not images.is_floating_point():
            got = images.dtype if isinstance(images, Tensor) else type(images).__name__
            raise TargetError(f"the {self._what} must give a float tensor of images; got {got}.")
        require_made(images, count, self._what, "images")
        shape = (images.shape[1], images.shape[2], images.shape[3])
        if self.image_shape not in (shape, _UNKNOWN):
            raise TargetError(
                f"the {self._what} must keep the shape of its images; it gave {self.image_shape} first, now "
                f"{shape}."
            )
        self.image_shape = shape
        return images


def _rows(indices: range, conditions: Tensor | None) -> Tensor:
    """Return indices (N, 1), or indices and conditions (N, 2)."""
    columns = [torch.arange(indices.start, indices.stop), *([] if conditions is None else [conditions])]
    return torch.stack(columns, 1)
