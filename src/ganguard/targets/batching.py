"""Micro-batches of one fixed size.

A convolution library chooses its kernel by the batch size, and BatchNorm or minibatch statistics mix the rows
of a batch. So a network only ever runs on batches of `MICRO_BATCH` rows, the last one padded: then an image
has the same bits however it is requested.
"""

from collections.abc import Callable

import torch
from torch import Tensor

MICRO_BATCH = 64


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
