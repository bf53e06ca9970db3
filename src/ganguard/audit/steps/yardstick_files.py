"""Write and read the file of the yardsticks step: what copies are compared with."""

from dataclasses import dataclass, fields
from pathlib import Path

from safetensors.torch import load_file
from torch import Tensor

from ganguard.base.cache import tensor_digest, write_tensors
from ganguard.comparison.compare import NEIGHBOURS, Published, compare, compare_with_train
from ganguard.metrics import Balls, NiqeModel
from ganguard.metrics.ndb_jsd import Bins
from ganguard.results.records import Measurement, Subject

_FILE, _NATURAL = "balls.safetensors", "niqe.safetensors"
_DRAWS = ("target/0", "target/1")
_REFERENCE = "reference"
_TRAIN = "train/points"
_BINS, _TRAIN_BINS = "bins", "train bins"


@dataclass(frozen=True)
class Yardsticks:
    """Features and models that images are measured against.

    Attributes:
        draws: features of each of the auditor's draws of the target, with their neighbourhoods.
        reference: features of the reference split of the real images, with their neighbourhoods.
        bins: bins of the first draw's pixels; None if it has too few images, or too many equal ones.
        train: features (M, D) of the train split of the real images.
        natural: the NIQE model of the real images; None if it cannot be fitted to them.
        train_bins: bins of the train split's pixels; None as `bins`.
    """

    draws: tuple[Balls, Balls]
    reference: Balls
    train: Tensor
    bins: Bins | None
    natural: NiqeModel | None
    train_bins: Bins | None

    def write(self, directory: Path) -> str:
        """Write them, and return a digest of all but the NIQE model, which the real images determine."""
        if self.natural is not None:
            self.natural.save(directory / _NATURAL)
        tensors = _tensors(_REFERENCE, self.reference) | {_TRAIN: self.train}
        for name, balls in zip(_DRAWS, self.draws, strict=True):
            tensors |= _tensors(name, balls)
        for name, bins in ((_BINS, self.bins), (_TRAIN_BINS, self.train_bins)):
            if bins is not None:
                tensors |= {f"{name}/{part}": tensor for part, tensor in vars(bins).items()}
        write_tensors(directory / _FILE, tensors)
        return tensor_digest(tensors)

    def to_real(
        self, subject: Subject, measured: Balls, draw: int = 0, published: Published | None = None
    ) -> list[Measurement]:
        """Return every number against the reference split, and the Fréchet distance to the train split."""
        held_out = compare(subject, measured, self.reference, "reference", draw, published=published)
        return [*held_out, compare_with_train(subject, measured.points, self.train, draw)]

    @staticmethod
    def read(directory: Path) -> "Yardsticks":
        """Read what a yardsticks step wrote."""
        tensors = load_file(directory / _FILE)
        first, second, reference = (
            Balls(tensors[f"{name}/points"], tensors[f"{name}/squared_radii"], NEIGHBOURS)
            for name in (*_DRAWS, _REFERENCE)
        )
        natural = NiqeModel.load(directory / _NATURAL) if (directory / _NATURAL).is_file() else None
        bins, train_bins = _bins(tensors, _BINS), _bins(tensors, _TRAIN_BINS)
        return Yardsticks((first, second), reference, tensors[_TRAIN], bins, natural, train_bins)


def _bins(tensors: dict[str, Tensor], name: str) -> Bins | None:
    parts = {field.name: tensors.get(f"{name}/{field.name}") for field in fields(Bins)}
    known = {part: tensor for part, tensor in parts.items() if tensor is not None}
    return Bins(**known) if known else None


def _tensors(name: str, balls: Balls) -> dict[str, Tensor]:
    return {f"{name}/points": balls.points, f"{name}/squared_radii": balls.squared_radii}
