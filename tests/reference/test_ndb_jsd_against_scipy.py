"""NDB and JSD against SciPy.

The test of each bin is compared with the chi-square test of a 2x2 table, which is equivalent; the divergence
with SciPy's; and bins with the nearest centre, found row by row.
"""

import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon
from scipy.stats import chi2_contingency
from sklearn.cluster import KMeans

from ganguard.base.seeds import derived_seed
from ganguard.metrics.ndb_jsd import NdbJsd, ndb_jsd


def _slow(reference: np.ndarray, query: np.ndarray, bins: int, whitening: bool) -> NdbJsd:
    if whitening:
        mean, std = reference.mean(0), reference.std(0) + 1e-6
        reference, query = (reference - mean) / std, (query - mean) / std
    seed = derived_seed(3, "ndb_jsd") % 2**32
    centres = KMeans(bins, n_init=1, max_iter=100, random_state=seed).fit(reference).cluster_centers_

    def counts(rows: np.ndarray) -> list[int]:
        nearest = [
            min(range(bins), key=lambda k, row=row: float(((row - centres[k]) ** 2).sum())) for row in rows
        ]
        return [nearest.count(k) for k in range(bins)]

    table = sorted(zip(counts(reference), counts(query), strict=True), key=lambda both: -both[0])
    p, q = np.array([a for a, _ in table]) / len(reference), np.array([b for _, b in table]) / len(query)
    different = []
    for a, b in table:
        others = [[a, len(reference) - a], [b, len(query) - b]]
        different.append(bool(chi2_contingency(others, correction=False).pvalue < 0.05))
    share = sum(different) / bins
    return NdbJsd(
        sum(different), bins, share, 0.05, jensenshannon(p, q) ** 2, tuple(p), tuple(q), tuple(different)
    )


@pytest.mark.parametrize("whitening", [False, True])
@pytest.mark.parametrize(("n", "m", "width", "bins"), [(300, 200, 2, 10), (400, 500, 8, 25)])
def test_it_agrees(n: int, m: int, width: int, bins: int, whitening: bool) -> None:
    generator = np.random.default_rng(n)
    scales = np.linspace(0.1, 5, width)
    reference, query = (
        generator.normal(size=(n, width)) * scales,
        (generator.normal(size=(m, width)) + 0.3) * scales,
    )
    found = ndb_jsd(reference, query, bins=bins, seed=3, whitening=whitening)
    wanted = _slow(reference, query, bins, whitening)
    assert 0 < wanted.different_bins < bins
    assert (found.different_bins, found.share) == (wanted.different_bins, pytest.approx(wanted.share))
    assert found.jsd == pytest.approx(wanted.jsd, rel=1e-9)
    assert found.reference_proportions == pytest.approx(wanted.reference_proportions)
    assert _by_bin(found) == _by_bin(wanted)


def _by_bin(found: NdbJsd) -> list[tuple[float, float, bool]]:
    """Return each bin's shares and whether they differ, in an order that does not depend on ties between
    bins.
    """
    shares = zip(found.reference_proportions, found.query_proportions, found.different, strict=True)
    return sorted((round(p, 9), round(q, 9), bool(different)) for p, q, different in shares)
