"""Write the histograms of a step over the clusters of the train split, and read them back."""

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from ganguard.base.cache import write_json
from ganguard.base.errors import DataError
from ganguard.base.settings import Rows, Settings, read_record
from ganguard.comparison.bin_shares import bin_shares
from ganguard.metrics.ndb_jsd import Bins
from ganguard.results.bins import BinnedSubject, BinShares

_FILE = "bins.json"


class _BinsFile(Settings):
    shares: Rows[BinShares]


def write_bins(
    directory: Path, bins: Bins | None, sets: Mapping[BinnedSubject, Tensor]
) -> list[dict[str, object]]:
    """Write to bins.json how many images (N, C, H, W) uint8 of each set fall into each bin.

    Returns what was written, for a digest: nothing without bins, or of sets that are too small.
    """
    shares = [found for subject, images in sets.items() for found in bin_shares(subject, images, bins)]
    written = _BinsFile(shares=tuple(shares)).model_dump(mode="json")
    if shares:
        write_json(directory / _FILE, written)
    return written["shares"]


def read_bins(directory: Path) -> tuple[BinShares, ...]:
    """Return the histograms that a step wrote, if it wrote any. Raises DataError if they are damaged."""
    path = directory / _FILE
    return read_record(path, _BinsFile, DataError).shares if path.is_file() else ()
