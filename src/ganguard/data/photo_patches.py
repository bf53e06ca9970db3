"""Crops of colour photographs that scikit-image and scikit-learn ship: real images of any small size, without
a download.

There are ten photographs. Six are everyday scenes from skimage: an astronaut, a cat, coffee, a motorcycle, a
rocket, and galaxies seen through a telescope. Two more from skimage show tissue under a microscope and a
retina; sklearn adds a pagoda and a flower. All are in the public domain but the last two, which are CC BY 2.0
(by danielbuechele and vultilion).
"""

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, ClassVar, Literal

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
SHORTEST_HALF = 225  # pixels of the shorter side of its halves
FEWEST_HALVED = 21  # crops, with the first of the halves that are held out


class PhotoPatches(DatasetSettings):
    """Square crops at random places, equally many from each photograph, no two of a photograph at the same
    place.

    A crop's group is its photograph, so the splits share no photograph. Copies are therefore graded on scenes
    that nobody trained on, and accuracy is far lower than on data of one kind: the two splits lie more than a
    hundred times as far apart as two halves of one split (Fréchet distance on random features). There are no
    labels: a classifier of the photographs it was trained on could say nothing about the others. Crops of one
    photograph overlap, and crops of its black parts may be equal.

    With `split: halves`, each photograph is cut in two across its longer side. Seven of ten crops come from
    one half and are trained on; the others come from the other half, and are the reference. Then both splits
    show the same scenes, and no crop shares a pixel with one of the other split.

    Attributes:
        size: side of a crop in pixels, 8 to 300.
        count: crops in all. A smaller count gives the first crops of a larger one.
        downscale: the photographs are first made smaller by this factor (each pixel becomes the mean of a
            square), so a crop shows size x downscale pixels of the original, at most 300. 1 shows texture, 4
            shows objects.
        seed: decides the places.
        split: "photographs" holds out whole photographs, "halves" a half of each.
    """

    unsaid: ClassVar[frozenset[str]] = DatasetSettings.unsaid | {"split"}
    kind: Literal["photo_patches"] = "photo_patches"
    size: Annotated[Positive, Field(ge=8)] = 32
    count: Positive = 5_000
    downscale: Positive = 4
    seed: NonNegative = 0
    split: Literal["photographs", "halves"] = "photographs"

    @model_validator(mode="after")
    def _fits(self) -> "PhotoPatches":
        halved = self.split == "halves"
        most, what = (SHORTEST_HALF, "half the width") if halved else (SHORTEST_SIDE, "the height")
        if (side := self.size * self.downscale) > most:
            raise ValueError(
                f"size x downscale must be at most {most}, {what} of the smallest photograph; "
                f"got {self.size} x {self.downscale} = {side}"
            )
        if halved and self.count < FEWEST_HALVED:
            raise ValueError(
                f"split: halves holds out the 21st crop at the earliest, so that count must be at least "
                f"{FEWEST_HALVED}; got {self.count}. Raise count, or leave split out"
            )
        return self

    def own_shape(self) -> tuple[int, int, int]:
        """Return (3, size, size)."""
        return 3, self.size, self.size

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
        parts = photographs if self.split == "photographs" else _halves(photographs)
        groups, held_out = self._groups(parts, len(files))
        images = room_for(self.count, (3, self.size, self.size), self.kind)
        done = 0
        for group, part in enumerate(parts):
            rows = (groups == group).nonzero()[:, 0]
            name = files[group % len(files)].name + ("/held out" if group >= len(files) else "")
            images[rows] = self._crops(part, name, len(rows))
            done += len(rows)
            progress(done, self.count, "cropping")
        return RealImages(images, None, (), groups, held_out)

    def _groups(self, parts: list[Tensor], photographs: int) -> tuple[Tensor, Tensor | None]:
        """Return the part that each crop is taken from, (count,), and which crops are held out, or None.

        Raises DataError if some part has fewer places than crops.
        """
        places = [(p.shape[1] - self.size + 1) * (p.shape[2] - self.size + 1) for p in parts]
        whole = self.split == "photographs"
        most = min(
            (count if whole else _first_beyond(count, held_out=part >= photographs)) * photographs
            + part % photographs
            for part, count in enumerate(places)
        )
        if self.count > most:  # so that no more numbers than that are held
            at = f"{self.size}x{self.size} pixels and downscale {self.downscale}"
            narrow = "" if whole else " before some half is full"
            raise DataError(
                f"{self.kind}: {self.count:,} crops were asked for, but at {at} there are places for "
                f"{most:,}{narrow}. Lower count, size or downscale."
            )
        numbers = torch.arange(self.count)
        if whole:
            return numbers % photographs, None
        held_out = _held_out(numbers // photographs)
        return numbers % photographs + photographs * held_out, held_out

    def _crops(self, photograph: Tensor, name: str, count: int) -> Tensor:
        """Return `count` crops (count, 3, size, size) of a photograph (3, H, W), at places in an order drawn
        from the seed."""
        # A view (3, rows, columns, size, size).
        windows = photograph.unfold(1, self.size, 1).unfold(2, self.size, 1)
        rows, columns = windows.shape[1:3]
        order = uniform(self.seed, f"photo_patches/{name}", range(rows * columns), 1)[:, 0]
        places = torch.from_numpy(np.argsort(order, kind="stable")[:count])
        return windows[:, places // columns, places % columns].transpose(0, 1)


def _held_out(numbers: Tensor) -> Tensor:
    """Return which crops of a photograph, by their numbers (n,), come from its held-out half: 3 in 10."""
    return numbers % 10 % 3 == 2


def _first_beyond(places: int, *, held_out: bool) -> int:
    """Return the number of the first crop of a photograph for which a half with so many places has none."""
    enough = torch.arange(4 * (places + 4))  # at least 3 in 10 of these come from either half
    return int((_held_out(enough) == held_out).nonzero()[places])


def _halves(photographs: list[Tensor]) -> list[Tensor]:
    """Return the halves of photographs (3, H, W) that are trained on, and after them those that are held out.

    Each is cut across its longer side. Left and upper halves are held out of every second one, or skies would
    lie in one split.
    """
    trained, held_out = list[Tensor](), list[Tensor]()
    for number, photograph in enumerate(photographs):
        along = 1 if photograph.shape[1] > photograph.shape[2] else 2
        middle = photograph.shape[along] // 2
        halves = photograph.narrow(along, 0, middle), photograph.narrow(along, middle, middle)
        trained.append(halves[number % 2])
        held_out.append(halves[1 - number % 2])
    return trained + held_out


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
