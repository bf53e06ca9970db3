"""Features of more images than memory holds, and features kept on disk.

Images come in chunks of any size and go through the network in blocks of one size, so that the features are
those of the whole set at once. The features of a block are kept under a key of all that they depend on: the
block's pixels, and the network with its weights, preprocessing, code and machine. So they are found again
under any file name of the images, and never taken for those of other images.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from itertools import chain
from pathlib import Path

import torch
from torch import Tensor

from ganguard.base.cache import code_version, content_key, tensor_digest, write_tensors
from ganguard.base.codecs import read_tensors
from ganguard.base.compute import Compute
from ganguard.base.errors import MetricError
from ganguard.base.images import require_images, shape_of
from ganguard.base.progress import Progress, silent
from ganguard.metrics.features import FEATURES
from ganguard.metrics.features.network import CHUNK, FeatureNetwork, FeatureSettings, Output, extract, pinned

_ROWS = "rows"


def network_key(settings: FeatureSettings, network: FeatureNetwork, compute: Compute) -> str:
    """Return a key (64 hex digits) of all that features depend on, except the images.

    Two networks that were trained with the same settings differ in their weights, and so in their keys.
    Raises CheckpointError as `pinned` does.
    """
    package = FEATURES.package(settings.kind) if settings.kind in FEATURES.table() else "ganguard"
    return content_key(
        settings=pinned(settings).model_dump(mode="json"),
        weights=tensor_digest(network.state_dict()),
        code=code_version("ganguard.base", "ganguard.metrics.features", *({package} - {"ganguard"})),
        libraries={name: version(name) for name in ("torch", *settings.libraries)},
        compute={"device": compute.torch_device().type, "threads": compute.threads},
    )


@dataclass(frozen=True)
class FeatureCache:
    """Features on disk, one safetensors file a block below `directory`.

    Several processes may use it at once.

    Attributes:
        directory: where the files are.
        network: `network_key` of the network.
    """

    directory: Path
    network: str

    def file(self, images: Tensor, output: Output) -> Path:
        """Return the file that holds the rows of images (N, C, H, W) uint8."""
        key = content_key(network=self.network, images=tensor_digest({"images": images}), output=output)
        return self.directory / key[:2] / f"{key}.safetensors"

    def find(self, images: Tensor, output: Output) -> Tensor | None:
        """Return the rows (N, D) float32 that were kept, or None if there are none that are intact."""
        try:
            tensors, said = read_tensors(self.file(images, output))
            rows = tensors[_ROWS]
            whole = said["sha256"] == tensor_digest(tensors) and len(rows) == len(images)
            return rows if whole else None
        except (KeyError, TypeError, ValueError):  # absent or damaged: extracted again
            return None

    def keep(self, images: Tensor, output: Output, rows: Tensor) -> None:
        """Keep the rows of images. Raises OSError if they cannot be written."""
        tensors = {_ROWS: rows}
        write_tensors(self.file(images, output), tensors, {"sha256": tensor_digest(tensors)})


def extract_stream(
    network: FeatureNetwork,
    chunks: Iterable[Tensor],
    compute: Compute,
    progress: Progress = silent,
    *,
    total: int = 0,
    output: Output = "features",
    cache: FeatureCache | None = None,
) -> Tensor:
    """Return rows (N, D) float32, on CPU, of the images of all chunks in their order, as `extract` does.

    No more than a chunk and a block of images are held in memory. Raises MetricError as `extract` does, and
    if the chunks differ in shape or hold no image.

    Args:
        network: the feature network.
        chunks: images (n, C, H, W) uint8.
        compute: device and threads.
        progress: told after each block.
        total: expected number of images, for `progress`; 0 if unknown.
        output: features, or probabilities of classes.
        cache: where rows are looked up, and kept.
    """
    rows: list[Tensor] = []
    done = 0
    for block in _of_the_network(network, chunks):
        found = cache.find(block, output) if cache else None
        if found is None:
            found = extract(network, block, compute, output=output)
            if cache:
                cache.keep(block, output, found)
        rows.append(found)
        if found.shape[1] != rows[0].shape[1]:
            raise MetricError(
                f"a feature network must keep its width; it gave {rows[0].shape[1]}, then {found.shape[1]}."
            )
        done += len(block)
        progress(done, max(done, total), output)
    if not rows:
        raise MetricError(f"{output} were requested of no images. Give at least one.")
    return torch.cat(rows)


def _of_the_network(network: FeatureNetwork, chunks: Iterable[Tensor]) -> Iterator[Tensor]:
    """Yield the images of all chunks, as many at a time as go through the network at once."""
    coming = iter(chunks)
    for first in coming:
        require_images(first, "images", MetricError)
        yield from blocks(chain([first], coming), network.chunk(*first.shape[2:]))


def blocks(chunks: Iterable[Tensor], size: int = CHUNK) -> Iterator[Tensor]:
    """Yield the images (n, C, H, W) uint8 of all chunks, `size` at a time; the last block may be short.

    Raises MetricError if a chunk is not images, or differs in shape.
    """
    held: Tensor | None = None
    for chunk in chunks:
        require_images(chunk, "images", MetricError)
        if held is not None and shape_of(chunk) != shape_of(held):
            raise MetricError(
                f"images of {shape_of(held)} and {shape_of(chunk)} (C, H, W) cannot be one set. Resize them."
            )
        *whole, held = (chunk if held is None else torch.cat([held, chunk])).split(size)
        yield from whole
    if held is not None and len(held):
        yield held
