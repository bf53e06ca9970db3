"""Number of statistically different bins (NDB), and the divergence of the same histograms.

K-means puts the reference rows into K bins. Each row of the query goes to the bin of the nearest centre. In
each bin, a two-proportions z-test asks whether the query's share p_q differs from the reference's p_r:

    z = (p_r - p_q) / √( p (1 - p) (1/n_r + 1/n_q) ),    p = (n_r p_r + n_q p_q) / (n_r + n_q)

Richardson & Weiss 2018, section 3.
"""

from dataclasses import dataclass

import numpy as np
import torch
from scipy.special import erfc, rel_entr
from torch import Tensor

from ganguard.base.errors import MetricError
from ganguard.base.seeds import derived_seed, torch_generator
from ganguard.metrics.arrays import (
    Features,
    as_flag,
    as_number,
    as_rows,
    as_whole,
    require_same_width,
)
from ganguard.metrics.clustering import Rows, k_means, moments

MOST_NUMBERS = 1 << 25  # float64, 256 MiB: of all centres; of wider rows, fewer columns are clustered by
NO_SPREAD = 1e-6  # added to each standard deviation, so that none divides by 0


@dataclass(frozen=True)
class NdbJsd:
    """Histograms of two sets over the same bins, and how far they differ.

    Attributes:
        different_bins: NDB, the number of bins in which the query's share differs from the reference's.
        bins: number of bins.
        share: NDB / bins, in [0, 1]; lower is better.
        expected_share: average share for equal distributions, as long as the bins do not overfit.
        jsd: Jensen-Shannon divergence of the two histograms by the natural logarithm, in [0, ln 2]; lower is
            better.
        reference_counts: reference rows in each bin, the largest bin of the reference first.
        query_counts: query rows in each bin, in the same order.
        different: which of the bins are counted in different_bins.
    """

    different_bins: int
    bins: int
    share: float
    expected_share: float
    jsd: float
    reference_counts: tuple[int, ...]
    query_counts: tuple[int, ...]
    different: tuple[bool, ...]

    @property
    def reference_proportions(self) -> tuple[float, ...]:
        """The reference's histogram, which sums to 1."""
        return tuple(count / sum(self.reference_counts) for count in self.reference_counts)

    @property
    def query_proportions(self) -> tuple[float, ...]:
        """The query's histogram, which sums to 1."""
        return tuple(count / sum(self.query_counts) for count in self.query_counts)


def ndb_jsd(
    reference: Features,
    query: Features,
    *,
    bins: int = 100,
    significance: float = 0.05,
    seed: int = 0,
    whitening: bool = False,
) -> NdbJsd:
    """Return NDB and JSD of a query (M, D) against a reference (N, D): flattened images or features.

    No correction is made for testing `bins` times. Equal distributions give a share of about `significance`
    (less if bins hold few rows), and a divergence of about (bins - 1) / 8 · (1/N + 1/M). That holds for
    pixels of photographs, and for noise of up to some 64 dimensions. Beyond, k-means fits the noise of the
    very rows that it then counts: with 20 rows a bin, equal Gaussians in 512 dimensions give a share of 0.8.
    So measure the baseline too, ndb_jsd(reference, held_out), with real rows that the reference lacks.

    NDB grows with N and M: keep both fixed. The authors used 500 to 800 reference rows a bin, and whitening
    for photographs. Their code clusters by a random sixth of the dimensions if there are more than 1,000;
    here all are used up to 335,544 dimensions for 100 bins (334x334 pixels in colour), and of wider rows as
    many that are drawn, the same for all sets.

    Raises MetricError for bins below 2, fewer different rows than bins, a query of one row, significance
    outside (0, 1), other shapes, NaN or infinity.

    Args:
        reference: (N, D), N at least `bins`.
        query: (M, D), M at least 2.
        bins: K, the number of clusters.
        significance: level of the test of each bin.
        seed: starting point of k-means. The bins depend on it, and on the order of the reference's rows.
        whitening: subtract each dimension's mean in the reference, and divide by its standard deviation
            there.
    """
    significance = as_number(significance, "significance")
    if not 0 < significance < 1:
        raise MetricError(f"significance must lie between 0 and 1; got {significance}.")
    fitted = Bins.fit(reference, bins, seed=seed, whitening=whitening)
    return compare_bins(fitted.counts.numpy(), fitted.count(query), significance)


@dataclass(frozen=True)
class Bins:
    """The bins of a reference, with which any number of queries are compared without clustering again.

    Attributes:
        centres: (K, D) float64, of the scaled rows; (K, E) for rows so wide that E of their columns are used.
        counts: reference rows in each bin, (K,) int64, the largest first.
        mean: (D,) float64, subtracted from each row; 0 without whitening.
        std: (D,) float64, by which each row is divided; 1 without whitening.
    """

    centres: Tensor
    counts: Tensor
    mean: Tensor
    std: Tensor

    @staticmethod
    def fit(reference: Features, bins: int = 100, *, seed: int = 0, whitening: bool = False) -> "Bins":
        """Return the bins that k-means++ finds in reference (N, D); arguments and errors as of `ndb_jsd`."""
        bins, seed = as_whole(bins, "bins", 2), as_whole(seed, "seed")
        whitening = as_flag(whitening, "whitening")
        x = as_rows(reference, "reference", bins)
        _require_different_rows(x, bins)
        width, columns = x.shape[1], _columns(x.shape[1], bins)
        mean, std = torch.zeros(width).double(), torch.ones(width).double()
        if whitening:
            mean, variance = moments(Rows(x, None, mean))
            std = variance.sqrt_().add_(NO_SPREAD)
        rows = _scaled(x, columns, mean, std)
        origin = moments(rows)[0]  # near which squared distances lose the fewest digits
        near = _scaled(x, columns, mean, std, origin)
        centres = k_means(near, bins, seed=derived_seed(seed, "ndb_jsd") % 2**32).add_(origin)
        counts = torch.from_numpy(Bins(centres, torch.empty(0), mean, std).count(x, "reference"))
        order = counts.argsort(descending=True, stable=True)
        return Bins(centres[order], counts[order], mean, std)

    def count(self, query: Features, name: str = "query", *, at_least: int = 2) -> np.ndarray:
        """Return the number of rows of a query (M, D) in each bin, (K,) int64.

        A row belongs to the bin of its nearest centre; to the first if several are equally near. The counts
        of parts of a query add up to those of the whole. Raises MetricError for fewer than `at_least` rows,
        another width, NaN or infinity.
        """
        y = as_rows(query, name, at_least)
        require_same_width(self.mean[None], y)
        # Products near the centres' mean lose the fewest digits; rounded, it keeps pixels whole numbers.
        origin = self.centres.mean(0).round()
        centres = self.centres - origin
        norms = torch.linalg.vector_norm(centres, dim=1).square_()
        found = torch.zeros(len(centres), dtype=torch.int64)
        rows = _scaled(y, _columns(y.shape[1], len(centres)), self.mean, self.std, origin)
        for _, block in rows.blocks():
            nearest = torch.addmm(norms, block, centres.T, alpha=-2).argmin(1)
            found += torch.bincount(nearest, minlength=len(found))
        return found.numpy()


def _columns(width: int, bins: int) -> Tensor | None:
    """Return the columns of rows that are used, in order and drawn once for all; None for all of them."""
    if (most := max(1, MOST_NUMBERS // bins)) >= width:
        return None
    return torch.randperm(width, generator=torch_generator(0, "ndb_jsd", "columns"))[:most].sort().values


def _scaled(
    x: Tensor, columns: Tensor | None, mean: Tensor, std: Tensor, origin: Tensor | None = None
) -> Rows:
    """Return the chosen columns of rows, less their mean, over their standard deviation, less an origin."""
    if columns is not None:
        mean, std = mean[columns], std[columns]
    scale = std if bool((std != 1).any()) else None
    return Rows(x, columns, mean if origin is None else mean + origin * std, scale)


def compare_bins(in_reference: np.ndarray, in_query: np.ndarray, significance: float = 0.05) -> NdbJsd:
    """Return NDB and JSD from the numbers of rows in each bin, (bins,) each; neither set may be empty."""
    p_r, p_q = (count / count.sum() for count in (in_reference, in_query))
    different = _p_values(in_reference, in_query) < significance
    return NdbJsd(
        different_bins=int(different.sum()),
        bins=len(different),
        share=float(different.mean()),
        expected_share=significance,
        jsd=_jensen_shannon(p_r, p_q),
        reference_counts=tuple(in_reference.tolist()),
        query_counts=tuple(in_query.tolist()),
        different=tuple(different.tolist()),
    )


def different_rows(x: Tensor) -> int:
    """Return how many rows of (N, D) are different from all others before them."""
    is_float = x.dtype.is_floating_point  # -0.0 + 0.0 is 0.0
    return len({hash(((row.double() + 0.0) if is_float else row).numpy().tobytes()) for row in x})


def _require_different_rows(x: Tensor, bins: int) -> None:
    if (different := different_rows(x)) >= bins:
        return
    remedy = f"Set bins to at most {different}, or measure" if different >= 2 else "Measure"
    raise MetricError(
        f"{bins} bins need at least {bins} different rows of the reference; got {different}. {remedy} more "
        "images that differ."
    )


def _p_values(in_x: np.ndarray, in_y: np.ndarray) -> np.ndarray:
    """Return the two-tailed p-values of the z-test of each bin, from counts (bins,).

    The p-value is 1 if a bin holds nothing, or everything.
    """
    n_x, n_y = in_x.sum(), in_y.sum()
    pooled = (in_x + in_y) / (n_x + n_y)
    error = np.sqrt(pooled * (1 - pooled) * (1 / n_x + 1 / n_y))
    z = np.divide(in_x / n_x - in_y / n_y, error, out=np.zeros(len(error)), where=error > 0)
    return erfc(np.abs(z) / np.sqrt(2))


def _jensen_shannon(p: np.ndarray, q: np.ndarray) -> float:
    """Return (KL(p || m) + KL(q || m)) / 2 with m = (p + q) / 2."""
    m = (p + q) / 2
    return float(rel_entr(p, m).sum() + rel_entr(q, m).sum()) / 2
