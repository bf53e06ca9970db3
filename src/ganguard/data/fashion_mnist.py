"""Fashion-MNIST: 70,000 grey pictures of clothes, 28x28 pixels, in ten classes (Xiao, Rasul & Vollgraf 2017;
MIT licence)."""

from dataclasses import replace
from pathlib import Path
from typing import Literal

from pydantic import field_validator

from ganguard.base.errors import DataError
from ganguard.base.progress import Progress, silent
from ganguard.base.settings import absolute, one_line
from ganguard.data.dataset import DatasetSettings, RealImages
from ganguard.data.idx import IdxImages

DEBIAN = Path("/usr/share/datasets/fashion-mnist")  # where the package dataset-fashion-mnist puts the files
CLASSES = (
    "T-shirt",
    "trouser",
    "pullover",
    "dress",
    "coat",
    "sandal",
    "shirt",
    "sneaker",
    "bag",
    "ankle boot",
)
SIDE = 28  # pixels
_BEGINNINGS = {"train": "train", "test": "t10k"}


class FashionMnist(DatasetSettings):
    """The pictures, in the order of their file.

    Attributes:
        path: folder of the four files that are published, kept as an absolute path. None takes the folder of
            Debian's package dataset-fashion-mnist.
        part: "train" for the 60,000 pictures of the training file, "test" for the 10,000 of the other.
    """

    kind: Literal["fashion_mnist"] = "fashion_mnist"
    path: str | None = None
    part: Literal["train", "test"] = "train"

    @field_validator("path")
    @classmethod
    def _absolute(cls, path: str | None) -> str | None:
        return None if path is None else absolute(path)

    def own_shape(self) -> tuple[int, int, int]:
        """Return (1, 28, 28)."""
        return 1, SIDE, SIDE

    def fingerprint(self) -> str:
        """Return a text that changes with the files' paths, sizes or times of change. Raises DataError if
        they are absent."""
        return self._file().fingerprint()

    def load(self, progress: Progress = silent) -> RealImages:
        """Return the pictures (N, 1, 28, 28) uint8, with labels (N,) of the ten classes.

        Raises DataError if the files are absent, or are not those of Fashion-MNIST.
        """
        file = self._file()
        real = file.load(progress)
        if tuple(real.images.shape[1:]) != self.own_shape() or real.classes != tuple(map(str, range(10))):
            raise DataError(
                f"{one_line(file.path, 200)}: not Fashion-MNIST, which has pictures of {SIDE}x{SIDE}, and "
                "labels 0 to 9 in the file beside it. Another set in its format is {kind: idx, path: …}."
            )
        return replace(real, classes=CLASSES)

    def _file(self) -> IdxImages:
        folder = DEBIAN if self.path is None else Path(self.path)
        name = f"{_BEGINNINGS[self.part]}-images-idx3-ubyte"
        for file in (folder / f"{name}.gz", folder / name):
            if file.is_file():
                return IdxImages(path=str(file))
        raise DataError(
            f"{self.kind}: {one_line(folder, 200)} holds no {name}.gz. Run `apt-get install "
            "dataset-fashion-mnist` (Debian, Ubuntu), or download the four files from "
            "github.com/zalandoresearch/fashion-mnist and set `path` to their folder."
        )
