"""Images in the form that a pretrained network takes: channels, side, and scale.

Side and scale are those of its preprocessor_config.json. The steps and their order are those of transformers'
image processors: resize, crop, rescale, normalise. They resize with Pillow, so resizing here is antialiased,
unlike plain interpolation, and both its passes, over the rows and then over the columns, round to whole
bytes.
"""

from pathlib import Path
from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from torch import Tensor

from ganguard.base.errors import CheckpointError, MetricError
from ganguard.base.settings import one_line, read_record

LARGEST_SIDE = 4096  # pixels
PIXELS_AT_ONCE = 1 << 22  # that are resized at once; each takes some 30 bytes
# Processors of transformers that take the steps of this module; others crop or pad in ways of their own.
KNOWN = frozenset({"Beit", "Bit", "Blip", "CLIP", "DINOv3ViT", "DeiT", "Siglip", "ViT"})

Side = Annotated[int, Field(gt=0, le=LARGEST_SIDE)]
Mode = Literal["nearest-exact", "bilinear", "bicubic"]
Resample = Literal[0, 2, 3]
Scale = Annotated[float, Field(gt=0)]
MODES: dict[Resample, Mode] = {0: "nearest-exact", 2: "bilinear", 3: "bicubic"}  # Pillow's numbers


def with_channels(images: Tensor, channels: int | None) -> Tensor:
    """Return images (N, C, H, W) with `channels` channels, by repeating grey ones; None changes nothing.

    Raises MetricError if colour images would have to become grey.
    """
    if channels in (None, images.shape[1]):
        return images
    if images.shape[1] != 1:
        raise MetricError(
            f"the feature network takes grey images; these have {images.shape[1]} channels. Convert them to "
            "grey."
        )
    return images.expand(-1, channels or 1, -1, -1)


def resized(images: Tensor, height: int, width: int, mode: Mode) -> Tensor:
    """Resize images (N, C, H, W) uint8 to (N, C, height, width) uint8.

    Rows are resized first, as in Pillow up to version 12, with which published numbers were made. Raises
    MetricError for sides over LARGEST_SIDE.
    """
    if images.shape[2:] == (height, width):
        return images
    if max(height, width) > LARGEST_SIDE:
        raise MetricError(
            f"the feature network would scale images of {images.shape[2]}x{images.shape[3]} pixels to "
            f"{height}x{width}; the largest side is {LARGEST_SIDE}. Crop them first."
        )
    larger = max(images.shape[2], height) * max(images.shape[3], width)
    parts = images.split(max(1, PIXELS_AT_ONCE // larger))  # floats of all would take much memory
    return torch.cat([_resized(part, height, width, mode) for part in parts])


def _resized(images: Tensor, height: int, width: int, mode: Mode) -> Tensor:
    floats = images.float()
    for size in ((images.shape[2], width), (height, width)):
        floats = (
            F.interpolate(floats, size, mode=mode, antialias=mode != "nearest-exact")
            .add_(0.5)
            .floor_()
            .clamp_(0, 255)
        )
    return floats.to(torch.uint8)


class Edges(BaseModel):
    """A size as transformers writes it: the shortest edge, or both; null for the ones that do not apply.

    Attributes:
        edge: a size written as a bare number: the shortest edge if the centre is cropped afterwards, else
            both edges.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    edge: Side | None = None
    shortest_edge: Side | None = None
    height: Side | None = None
    width: Side | None = None
    longest_edge: None = None

    @model_validator(mode="after")
    def _one_of_them(self) -> "Edges":
        said = [self.edge, self.shortest_edge, self.height]
        if said.count(None) != 2 or (self.height is None) != (self.width is None):
            raise ValueError("must be a number, or shortest_edge, or height and width")
        return self

    def of(self, height: int, width: int, *, before_crop: bool) -> tuple[int, int]:
        """Return the height and width to which an image of this height and width is resized or cropped."""
        short = self.shortest_edge or (self.edge if before_crop else None)
        if short is None:
            return self.height or self.edge or 1, self.width or self.edge or 1
        longer = short * max(height, width) // min(height, width)
        return (short, longer) if height <= width else (longer, short)


def _from_number(value: object) -> object:
    return {"edge": value} if isinstance(value, int) else value


Size = Annotated[Edges, BeforeValidator(_from_number)]


class Preprocessing(BaseModel):
    """The content of a preprocessor_config.json, in its own names.

    If do_resize or do_center_crop is absent, it is true if the size that it needs is present.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)
    image_processor_type: str | None = None
    feature_extractor_type: str | None = None
    do_resize: bool | None = None
    size: Size | None = None
    resample: Resample | None = None
    do_center_crop: bool | None = None
    crop_size: Size | None = None
    do_rescale: bool | None = None
    rescale_factor: Scale | None = None
    do_normalize: bool | None = None
    image_mean: tuple[float, float, float] | None = None
    image_std: tuple[Scale, Scale, Scale] | None = None

    @model_validator(mode="after")
    def _whole(self) -> "Preprocessing":
        named = self.image_processor_type or self.feature_extractor_type
        if named is not None and _stem(named) not in KNOWN:
            raise ValueError(
                f"image_processor_type must be one of {', '.join(sorted(KNOWN))}; got {one_line(named, 80)}"
            )
        if self.resizes and (self.size is None or self.resample is None):
            raise ValueError("must say size and resample, or do_resize: false")
        if self.crops and (self.crop_size is None or self.crop_size.shortest_edge):
            raise ValueError("must say crop_size with height and width, or do_center_crop: false")
        if self.do_normalize is not False and (self.image_mean is None or self.image_std is None):
            raise ValueError("must say image_mean and image_std, or do_normalize: false")
        return self

    @property
    def resizes(self) -> bool:
        """Whether images are resized."""
        return self.size is not None if self.do_resize is None else self.do_resize

    @property
    def crops(self) -> bool:
        """Whether the centre is cropped."""
        return self.crop_size is not None if self.do_center_crop is None else self.do_center_crop

    def size_of(self, height: int, width: int) -> tuple[int, int]:
        """Return the height and width that images of this height and width have for the network."""
        if self.resizes and self.size:
            height, width = self.size.of(height, width, before_crop=self.crops)
        if self.crops and self.crop_size:
            height, width = self.crop_size.of(height, width, before_crop=False)
        return height, width

    def __call__(self, images: Tensor) -> Tensor:
        """Return images (N, 3, H, W) uint8 as float32 in the form that the network takes.

        Raises MetricError if they are too small.
        """
        if self.resizes and self.size:
            side = self.size.of(*images.shape[2:], before_crop=self.crops)
            images = resized(images, *side, MODES[self.resample or 0])
        if self.crops and self.crop_size:
            images = _centre(images, *self.crop_size.of(*images.shape[2:], before_crop=False))
        floats = images.float()
        if self.do_rescale is not False:
            floats = floats * (self.rescale_factor or 1 / 255)
        if self.do_normalize is not False:
            statistics = self.image_mean, self.image_std
            mean, std = (floats.new_tensor(values).view(1, 3, 1, 1) for values in statistics)
            floats = (floats - mean) / std
        return floats


def read_preprocessing(file: Path) -> Preprocessing:
    """Read a preprocessor_config.json.

    Raises CheckpointError if it is absent, damaged, or of a kind that is not known here.
    """
    if not file.is_file():
        raise CheckpointError(
            f"{file}: no such file; it gives the size and scale of images that the model takes. Copy it from "
            "where the model was published."
        )
    return read_record(file, Preprocessing, CheckpointError)


def _stem(processor: str) -> str:
    """Return the name of a processor without its endings: "BitImageProcessorFast" -> "Bit"."""
    for ending in ("Fast", "Pil", "ImageProcessor", "FeatureExtractor"):
        processor = processor.removesuffix(ending)
    return processor


def _centre(images: Tensor, height: int, width: int) -> Tensor:
    """Return the (height, width) in the middle of images (N, C, H, W)."""
    top, left = (images.shape[2] - height) // 2, (images.shape[3] - width) // 2
    if top < 0 or left < 0:
        raise MetricError(
            f"the feature network crops {height}x{width} pixels from the middle of images; these have "
            f"{images.shape[2]}x{images.shape[3]}. Give larger images."
        )
    return images[:, :, top : top + height, left : left + width]
