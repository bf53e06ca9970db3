"""A generator that draws noise, as a target: each image has noise of its own, from its seed and index."""

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor, nn

from ganguard.base.cache import tensor_digest
from ganguard.base.compute import use_threads
from ganguard.base.errors import TargetError
from ganguard.base.images import to_uint8
from ganguard.targets.batching import in_micro_batches
from ganguard.targets.foreign.made import require_made
from ganguard.targets.foreign.purity import require_pure

Make = Callable[[Sequence[int], int], object]
"""Indices and a seed -> floats (N, C, H, W) in [-1, 1]. Image i must follow from (seed, i) alone."""
_CPU = torch.device("cpu")
_UNKNOWN = (0, 0, 0)  # shape of images of which none was made yet


class SeededTarget:
    """A BlackBoxTarget whose image i is a pure function of (seed, i), and of nothing that a client sends.

    Args:
        make: makes a batch.
        batch: images that `make` makes at once; the last batch of a request is filled up.
        threads: torch's, while it does.
        what: what messages call that which makes the images, such as "generator".

    Attributes:
        batch: images that are made at once.
        notes: remarks on a generator that works and may not be what its owner means, a sentence each.
    """

    def __init__(self, make: Make, *, batch: int, threads: int, what: str) -> None:
        self._make, self.batch, self._threads, self._what = make, batch, threads, what
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
        rows = torch.arange(2 * probed)[:, None]
        self.image_shape = _UNKNOWN
        with use_threads(self._threads):
            floats = self._first_floats(probed)
            images = to_uint8(floats)
            remarks = require_pure(
                partial(self._images, 0), module, rows[:probed], rows[probed:], images, impure
            )
        self.identity = f"{identity}:{tensor_digest({'probe': images})}"
        self.notes += tuple(f"The {self._what}: {remark}." for remark in remarks)
        return floats

    def _first_floats(self, count: int) -> Tensor:
        """Return the first images of the seed 0, floats (count, C, H, W) in [-1, 1]."""
        return in_micro_batches(partial(self._floats, 0), torch.arange(count)[:, None], _CPU, self.batch)

    def sample(self, indices: range, *, seed: int) -> Tensor:
        """Return images (len(indices), C, H, W) uint8; image i is a pure function of (seed, i)."""
        with use_threads(self._threads):
            return self._images(seed, torch.arange(indices.start, indices.stop)[:, None])

    def _images(self, seed: int, rows: Tensor) -> Tensor:
        """Return images (N, C, H, W) uint8 of indices (N, 1)."""
        return in_micro_batches(lambda chunk: to_uint8(self._floats(seed, chunk)), rows, _CPU, self.batch)

    def _floats(self, seed: int, rows: Tensor) -> Tensor:
        return self._checked(self._make(rows[:, 0].tolist(), seed), len(rows))

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
