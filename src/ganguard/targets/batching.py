"""Micro-batches of one fixed size.

A convolution library chooses its kernel by the batch size, and BatchNorm or minibatch statistics mix the rows
of a batch. So a network only ever runs on batches of `MICRO_BATCH` rows, the last one padded: then an image
has the same bits however it is requested.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from ganguard.base.errors import TargetError

MICRO_BATCH = 64
MOST_BYTES = 4 << 30  # of a micro-batch of float images: 2048x2048 pixels in colour


@torch.inference_mode()
def in_micro_batches(
    function: Callable[[Tensor], Tensor], rows: Tensor, device: torch.device, size: int = MICRO_BATCH
) -> Tensor:
    """Return `function` of rows (N, ...), applied to `size` rows at a time on `device`.

    Results are (N, ...) on CPU, in order. The last micro-batch is filled up with copies of its first row. N
    must be at least 1.
    """
    outputs: list[Tensor] = []
    for chunk in rows.split(size):
        missing = size - len(chunk)
        padded = torch.cat([chunk, chunk[:1].expand(missing, *chunk.shape[1:])]) if missing else chunk
        outputs.append(function(padded.to(device))[: len(chunk)].cpu())
    return torch.cat(outputs)


def require_micro_batch(image_shape: tuple[int, int, int]) -> None:
    """Raise TargetError if MICRO_BATCH float images (C, H, W) take more than MOST_BYTES."""
    if MICRO_BATCH * math.prod(image_shape) * 4 > MOST_BYTES:
        raise TargetError(
            f"images {image_shape} (C, H, W) are too large: {MICRO_BATCH} of them are made at once, which "
            f"takes more than {MOST_BYTES >> 30} GiB."
        )
