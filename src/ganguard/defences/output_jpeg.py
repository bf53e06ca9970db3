"""Compression (Hu & Pang 2021): every image that is given out has been a JPEG file of a chosen quality."""

from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, ClassVar, Literal, Self

import numpy as np
import simplejpeg
import torch
from pydantic import BeforeValidator, Field
from torch import Tensor

from ganguard.base.images import has_opacity
from ganguard.base.settings import Positive
from ganguard.defences.protocol import OutputDefence, Tools
from ganguard.defences.streams import Streams

# Pixels of all images from which threads are faster: for fewer, starting and feeding them costs more than
# they save.
THREADED = 1 << 18
# Numbers in a piece of work: few enough that pixels reordered for the coder are still in the cache when it
# reads them.
VALUES_AT_ONCE = 1 << 19
_BLOCK = 16  # the differentiable JPEG takes sides that are multiples of it, in pixels


class Jpeg(OutputDefence):
    """Encode images as JPEG, and decode them again. Grey images are coded as three equal channels. Opacity,
    which JPEG does not know, is left as it is.

    Attributes:
        quality: 1 to 100, libjpeg's scale.
        subsampling: subsampling of the chroma.
    """

    kind: Literal["jpeg"] = "jpeg"
    quality: Annotated[Positive, Field(le=100)]
    subsampling: Annotated[
        Literal["444", "422", "420", "440", "411"],
        # YAML reads 420 without quotes as a number.
        BeforeValidator(lambda value: str(value) if type(value) is int else value),
    ] = "420"
    libraries: ClassVar[tuple[str, ...]] = ("numpy", "simplejpeg")

    def label(self) -> str:
        """Return the kind and quality, and the subsampling if it is not the default."""
        return f"JPEG {self.quality}" + ("" if self.subsampling == "420" else f" {self.subsampling}")

    def scaled(self, factor: float) -> Self:
        """Return the defence with quantisation tables about `factor` times as coarse.

        libjpeg multiplies its tables by 50 / quality below 50, and by 2 - quality / 50 from there on. The
        nearest quality is taken.
        """
        times = factor * (50 / self.quality if self.quality < 50 else 2 - self.quality / 50)
        quality = 50 / times if times > 1 else 50 * (2 - times)
        return self.model_copy(update={"quality": min(100, max(1, round(quality)))})

    def change(self, images: Tensor, streams: Streams, tools: Tools) -> Tensor:
        """Return images (N, C, H, W) uint8, coded and decoded one by one; many or large ones in threads.

        The channels of the result lie last in memory, as the decoder leaves them.
        """
        if has_opacity(images.shape[1]):
            return torch.cat([self.change(images[:, :-1], streams, tools), images[:, -1:]], 1)
        planes = images.numpy()
        count, _, height, width = planes.shape
        changed = np.empty((count, height, width, 3), np.uint8)
        workers = torch.get_num_threads() if count * height * width >= THREADED else 1
        # At least a piece for each worker.
        at_once = max(1, min(VALUES_AT_ONCE // (height * width * 3), -(-count // workers)))

        def code(start: int) -> None:
            for i, row in enumerate(_channels_last(planes[start : start + at_once]), start):
                file = simplejpeg.encode_jpeg(row, self.quality, "RGB", self.subsampling)
                simplejpeg.decode_jpeg(file, "RGB", buffer=changed[i])

        starts = range(0, count, at_once)
        if workers == 1:
            for start in starts:
                code(start)
        else:
            with ThreadPoolExecutor(workers) as pool:
                list(pool.map(code, starts))
        return torch.from_numpy(changed).permute(0, 3, 1, 2)[:, : images.shape[1]]

    def surrogate(self, images: Tensor) -> Tensor:
        """Return float images through the differentiable JPEG (Reich et al. 2024).

        It takes three channels; its rounding has the gradient of a polynomial.
        """
        from kornia.enhance import jpeg_codec_differentiable

        if has_opacity(images.shape[1]):
            return torch.cat([self.surrogate(images[:, :-1]), images[:, -1:]], 1)
        height, width = images.shape[2:]
        pad = (0, -width % _BLOCK, 0, -height % _BLOCK)
        colour = torch.nn.functional.pad(images.expand(-1, 3, -1, -1), pad, mode="replicate").add(1).div(2)
        quality = torch.tensor([float(self.quality)], device=images.device)
        coded = jpeg_codec_differentiable(colour, quality)[..., :height, :width].mul(2).sub(1)
        return coded if images.shape[1] == 3 else coded.mean(1, keepdim=True)


def _channels_last(planes: np.ndarray) -> np.ndarray:
    """Return images (N, C, H, W) as (N, H, W, 3), contiguous in memory; grey channels are repeated.

    Images that already lie so in memory are not copied.
    """
    rows = planes.transpose(0, 2, 3, 1)
    if rows.shape[3] == 3 and rows.flags.c_contiguous:
        return rows
    copied = np.empty((*rows.shape[:3], 3), np.uint8)
    for channel in range(3):  # three times as fast as copying the transposed array at once
        copied[..., channel] = planes[:, channel % planes.shape[1]]
    return copied
