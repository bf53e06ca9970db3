"""Crops of colour photographs that scikit-image and scikit-learn ship: real images of any small size, without
a download.

There are ten photographs. Six are everyday scenes from skimage: an astronaut, a cat, coffee, a motorcycle, a
rocket, and galaxies seen through a telescope. Two more from skimage show tissue under a microscope and a
retina; sklearn adds a pagoda and a flower. All are in the public domain but the last two, which are CC BY 2.0
(by danielbuechele and vultilion).
"""

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import PIL
import torch
from pydantic import Field, model_validator
from torch import Tensor

from ganguard.base.cache import content_key, file_digest
from ganguard.base.codecs import decode_image
from ganguard.base.errors import DataError
from ganguard.base.images import room_for
from ganguard.base.progress import Progress, silent
from ganguard.base.seeds import uniform
from ganguard.base.settings import NonNegative, Positive
from ganguard.data.dataset import DatasetSettings, RealImages

PHOTOGRAPHS = {
    "skimage": (
        "data/astronaut.png",
        "data/chelsea.png",
        "data/coffee.png",
        "data/hubble_deep_field.jpg",
        "data/ihc.png",
        "data/motorcycle_left.png",  # the right one shows the same scene
        "data/retina.jpg",
        "data/rocket.jpg",
    ),
    "sklearn": ("datasets/images/china.jpg", "datasets/images/flower.jpg"),
}
"""The files of the photographs by their package."""

SHORTEST_SIDE = 300  # pixels of the smallest photograph, the cat


class PhotoPatches(DatasetSettings):
    """Square crops at random places, equally many from each photograph, no two of a photograph at the same
    place.

    A crop's group is its photograph, so the splits share no photograph. Copies are therefore graded on scenes
    that nobody trained on, and accuracy is far lower than on data of one kind: the two splits lie more than a
    hundred times as far apart as two halves of one split (Fréchet distance on random features). There are no
    labels: a classifier of the photographs it was trained on could say nothing about the others. Crops of one
    photograph overlap, and crops of its black parts may be equal.

    Attributes:
        size: side of a crop in pixels, 8 to 300.
        count: crops in all. A smaller count gives the first crops of a larger one.
        downscale: the photographs are first made smaller by this factor (each pixel becomes the mean of a
            square), so a crop shows size x downscale pixels of the original, at most 300. 1 shows texture, 4
            shows objects.
        seed: decides the places.
    """

    kind: Literal["photo_patches"] = "photo_patches"
    size: Annotated[Positive, Field(ge=8)] = 32
    count: Positive = 5_000
    downscale: Positive = 4
    seed: NonNegative = 0

    @model_validator(mode="after")
    def _fits(self) -> "PhotoPatches":
        if (side := self.size * self.downscale) > SHORTEST_SIDE:
            raise ValueError(
                f"size x downscale must be at most {SHORTEST_SIDE}, the height of the smallest photograph; "
                f"got {self.size} x {self.downscale} = {side}"
            )
        return self

    def fingerprint(self) -> str:
        """Return a text that changes with the settings, the photographs' files, and the version of Pillow,
        which decodes them. Raises DataError."""
        digests = [file_digest(file) for file in _files()]
        return content_key(settings=self.model_dump(mode="json"), files=digests, pillow=PIL.__version__)

    def load(self, progress: Progress = silent) -> RealImages:
        """Return the images (count, 3, size, size) uint8; crop i comes from photograph i modulo 10.

        Raises DataError if packages or files are absent, or there are fewer places than crops.
        """
        files = _files()
        photographs = [_smaller(decode_image(file, str(file), 3), self.downscale) for file in files]
        self._require_places(photographs)
        images = room_for(self.count, (3, self.size, self.size), self.kind)
        done = 0
        for number, photograph in enumerate(photographs):
            crops = self._crops(photograph, files[number].name, len(images[number :: len(files)]))
            images[number :: len(files)] = crops
            done += len(crops)
            progress(done, self.count, "cropping")
        return RealImages(images, None, (), torch.arange(self.count) % len(files))

    def _require_places(self, photographs: list[Tensor]) -> None:
        fewest = min(
            (height - self.size + 1) * (width - self.size + 1)
            for _, height, width in (p.shape for p in photographs)
        )
        most = fewest * len(photographs)
        if self.count > most:
            raise DataError(
                f"{self.kind}: {self.count:,} crops were asked for, but at {self.size}x{self.size} pixels "
                f"and downscale {self.downscale} there are places for {most:,}. Lower count, size or "
                "downscale."
            )

    def _crops(self, photograph: Tensor, name: str, count: int) -> Tensor:
        """Return `count` crops (count, 3, size, size) of a photograph (3, H, W), at places in an order drawn
        from the seed."""
        # A view (3, rows, columns, size, size).
        windows = photograph.unfold(1, self.size, 1).unfold(2, self.size, 1)
        rows, columns = windows.shape[1:3]
        order = uniform(self.seed, f"photo_patches/{name}", range(rows * columns), 1)[:, 0]
        places = torch.from_numpy(np.argsort(order, kind="stable")[:count])
        return windows[:, places // columns, places % columns].transpose(0, 1)


def _files() -> list[Path]:
    """Return the photographs' files in their packages, without importing these."""
    files: list[Path] = []
    for package, names in PHOTOGRAPHS.items():
        spec = find_spec(package)
        if spec is None or spec.origin is None:
            raise DataError(
                f"photo_patches needs the photographs in the package {package}, which is not installed. "
                f"{_INSTALL}"
            )
        files += [Path(spec.origin).parent / name for name in names]
    absent = [str(file) for file in files if not file.is_file()]
    if absent:
        raise DataError(
            f"{absent[0]}: photo_patches needs this photograph, and the installed package lacks it. "
            f"{_INSTALL}"
        )
    return files


_INSTALL = "Run: pip install ganguard[photos]"


def _smaller(image: Tensor, factor: int) -> Tensor:
    """Scale an image (3, H, W) uint8 down to (3, H // factor, W // factor): each pixel is the mean of a
    square, and the pixels left over at the edges are dropped."""
    _, height, width = (side // factor for side in image.shape)
    squares = image[:, : height * factor, : width * factor].reshape(3, height, factor, width, factor)
    return squares.double().mean((2, 4)).round().to(torch.uint8)
