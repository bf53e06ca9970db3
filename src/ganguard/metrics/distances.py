"""Which points of large sets lie inside which balls, as fast as float32 and as exact as float64.

A tile of squared distances is one float32 matrix product. Its rounding error is bounded (Higham 2002, section
3.1), so a comparison is decided if its two sides differ by more than the bound. The few comparisons that are
left are made again in float64, from the differences of the two rows. Memory holds a few tiles, whatever the
size of the sets.
"""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

BLOCK = 2048  # rows of either set that are compared at once: a tile of distances is 16 MB
# Squared distances of a and b count as equal if they differ by less than this share of |a|² + |b|²: such a
# difference is nothing but rounding.
TIE = 1e-12
SPARE = 3  # neighbours to look at beyond the k-th, so that rounding cannot hide the k-th
_UNIT = 2.0**-24  # relative rounding error of float32
# Largest power of two by which rows are scaled up: float32 holds the factor, and float64 decides about
# smaller entries.
_MOST_SCALED = 100
_FLOOR = 1e-30  # largest loss by underflow in a squared distance of rows whose largest entry is about 1
_PAIR_BYTES = 1 << 20  # of float64 differences at once: few enough to stay in the cache
_DOUBTFUL = 64  # a tile is computed again in float64 if more than one pair in 64 is undecided

Pairs = tuple[Tensor, Tensor]  # (P,) row indices into one block, and into the other


@dataclass(frozen=True)
class Block:
    """Some rows of a set.

    Attributes:
        rows: (n, D), as they came.
        near: (n, D) float32, around the origin of their frame and scaled by it.
        norms: (n,) squared norms of `near`.
    """

    rows: Tensor
    near: Tensor
    norms: Tensor

    def part(self, start: int, stop: int) -> "Block":
        """Return the rows from `start` up to `stop`."""
        return Block(self.rows[start:stop], self.near[start:stop], self.norms[start:stop])


@dataclass(frozen=True)
class Frame:
    """A common origin amid the points, and a common scale.

    Small numbers lose the fewest digits, and scaled ones do not overflow.

    Attributes:
        origin: (D,).
        scale: power of two that brings the largest entry to about 1.
    """

    origin: Tensor
    scale: float

    @staticmethod
    def around(*sets: Tensor) -> "Frame":
        """Return a frame for sets (N, D) of points. Its origin is the median of a sample of the first set."""
        sample = sets[0][:: max(1, len(sets[0]) // 1024)]
        largest = max(abs(edge.item()) for points in sets for edge in points.aminmax())
        power = min(-math.ceil(math.log2(2 * largest)), _MOST_SCALED) if largest else 0
        return Frame(sample.median(0).values, 2.0**power)

    def block(self, rows: Tensor) -> Block:
        """Return rows (n, D) of one of the sets as a block."""
        near = rows.sub(self.origin).mul_(self.scale).float()
        return Block(rows, near, torch.linalg.vector_norm(near, dim=1).square_())

    def inside(
        self, a: Block, b: Block, distances: Tensor, radii: Tensor, *, balls: Literal["a", "b"]
    ) -> Pairs:
        """Return every pair of rows in which one row lies in the ball around the other, ties included.

        Args:
            a: block of rows.
            b: block of rows.
            distances: `tile(a, b)`.
            radii: float64 squared radii of the balls, in the points' own units.
            balls: the block whose rows are the centres.

        Returns:
            Indices into a, and indices into b.
        """
        centres, shape = (a, (-1, 1)) if balls == "a" else (b, (1, -1))
        scaled = radii * self.scale**2
        doubt = rounding(a.near.shape[1], centres.norms.double(), scaled)
        i, j = (distances <= (scaled + doubt).float().view(shape)).nonzero(as_tuple=True)
        unsure = distances[i, j] > (scaled - doubt).float()[i if balls == "a" else j]
        if unsure.count_nonzero() * _DOUBTFUL > distances.numel():
            return self._inside_exactly(a, b, radii.view(shape))
        sure, again_i, again_j = ~unsure, i[unsure], j[unsure]
        slack = TIE / self.scale**2 * (a.norms[again_i].double() + b.norms[again_j])
        within = (
            exact_distances(a.rows, b.rows, again_i, again_j) - slack
            <= radii[again_i if balls == "a" else again_j]
        )
        return torch.cat([i[sure], again_i[within]]), torch.cat([j[sure], again_j[within]])

    def _inside_exactly(self, a: Block, b: Block, radii: Tensor) -> Pairs:
        x, y = (block.rows.double() - self.origin for block in (a, b))
        i, j = (float64_distances(x, y, slack=TIE) <= radii).nonzero(as_tuple=True)
        return i, j


def tile(a: Block, b: Block) -> Tensor:
    """Return |a|² + |b|² - 2 a·b of two blocks of one frame, (n, m) float32."""
    return torch.addmm(b.norms, a.near, b.near.T, alpha=-2).add_(a.norms[:, None])


def rounding(width: int, norms: Tensor, distances: Tensor) -> Tensor:
    """Return a bound on the float32 error of squared distances of at most d from rows with squared norm |a|².

    The bound is (D + 16) u (|a|² + |b|²), in which |b|² is at most 2 |a|² + 2 d.
    """
    return (width + 16) * _UNIT * (3 * norms + 2 * distances) + _FLOOR


def exact_distances(a: Tensor, b: Tensor, i: Tensor, j: Tensor) -> Tensor:
    """Return the squared distances of pairs (a[i], b[j]) from their differences, (P,) float64."""
    at_once = max(1, _PAIR_BYTES // (8 * a.shape[1]))
    # Filled in place: small results allocated amid large differences would fragment the heap.
    found = torch.empty(len(i), dtype=torch.float64)
    for left, right, part in zip(i.split(at_once), j.split(at_once), found.split(at_once), strict=True):
        torch.sum((a[left].double() - b[right]).square_(), 1, out=part)
    return found


def float64_distances(a: Tensor, b: Tensor, slack: float = 0.0) -> Tensor:
    """Return |a|² + |b|² - 2 a·b less `slack` times |a|² + |b|², (n, m).

    It is right to about 1e-15 of |a|² + |b|².
    """
    norms_a, norms_b = (points.square().sum(1).mul_(1 - slack) for points in (a, b))
    return torch.addmm(norms_b, a, b.T, alpha=-2).add_(norms_a[:, None])


def squared_radii(points: Tensor, k: int) -> Tensor:
    """Return the squared distance of each of points (N, D) to its k-th nearest neighbour among the others.

    The result is (N,) float64; N must exceed k.
    """
    frame = Frame.around(points)
    nearest, which = nearest_neighbours(frame, points, min(k + SPARE, len(points) - 1))
    norms = _norms(frame, points)
    radii = _kth_exactly(points, nearest, which, k, norms)
    scaled = radii * frame.scale**2
    # A neighbour beyond those that were kept may be nearer.
    doubtful = nearest.amax(1) - rounding(points.shape[1], norms, scaled) < scaled
    doubtful &= (radii > 0) & (which.shape[1] < len(points) - 1)
    rows = doubtful.nonzero()[:, 0]
    radii[rows] = _exact_radii(frame, points, rows, k)
    return radii


def _kth_exactly(points: Tensor, nearest: Tensor, which: Tensor, k: int, norms: Tensor) -> Tensor:
    """Return the k-th smallest squared distance to the candidate neighbours, (N,) float64.

    Float32 shows which candidates are surely nearer than the k-th, and which are surely further. Only the
    others, mostly one, are computed from differences. The doubt is three rounding errors: each side may be
    off by one, and the third covers the comparison's own rounding.

    Args:
        points: (N, D).
        nearest: (N, K) float32 squared distances to the candidates.
        which: (N, K) indices of the candidates.
        k: which neighbour.
        norms: (N,) squared norms in the frame.
    """
    kth = nearest.kthvalue(k, 1).values.double()
    doubt = 3 * rounding(points.shape[1], norms, kth.clamp(min=0))
    beyond = nearest.double() - kth[:, None]
    found = torch.where(beyond > 0, torch.inf, -torch.inf).double()
    i, place = (beyond.abs() <= doubt[:, None]).nonzero(as_tuple=True)
    found[i, place] = exact_distances(points, points, i, which[i, place])
    return found.kthvalue(k, 1).values


def nearest_neighbours(frame: Frame, points: Tensor, count: int) -> Pairs:
    """Return the float32 squared distances to the `count` nearest other points, and their indices.

    Both are (N, count), in no order.
    """
    nearest = torch.full((len(points), count), torch.inf)
    which = torch.zeros(len(points), count, dtype=torch.int64)

    def take(rows: slice, distances: Tensor, begin: int) -> None:
        found, places = distances.topk(min(count, distances.shape[1]), largest=False, sorted=False)
        candidates = torch.cat([nearest[rows], found], 1)
        nearest[rows], kept = candidates.topk(count, largest=False, sorted=False)
        which[rows] = torch.cat([which[rows], places + begin], 1).gather(1, kept)

    quarter = max(1, BLOCK // 4)

    def serve_both(a: Block, b: Block, i: int, j: int) -> None:
        """Offer rows from i on to those from j on as neighbours, and the other way round."""
        distances = tile(a, b)
        take(slice(i, i + len(a.rows)), distances, j)
        take(slice(j, j + len(b.rows)), distances.T.contiguous(), i)

    for i in range(0, len(points), BLOCK):
        a = frame.block(points[i : i + BLOCK])
        parts = [(start, a.part(start, start + quarter)) for start in range(0, len(a.rows), quarter)]
        # The block with itself, in quarters: symmetric tiles are not computed twice.
        for number, (start, part) in enumerate(parts):
            rows = slice(i + start, i + start + len(part.rows))
            take(rows, tile(part, part).fill_diagonal_(torch.inf), i + start)
            for begin, other in parts[number + 1 :]:
                serve_both(part, other, i + start, i + begin)
        for j in range(i + BLOCK, len(points), BLOCK):
            serve_both(a, frame.block(points[j : j + BLOCK]), i, j)
    return nearest, which


def _norms(frame: Frame, points: Tensor) -> Tensor:
    return torch.cat([frame.block(rows).norms for rows in points.split(BLOCK)]).double()


def _exact_radii(frame: Frame, points: Tensor, rows: Tensor, k: int) -> Tensor:
    """Return the squared radii of some rows from float64 distances to all points.

    Sets with many equal points need it.
    """
    found: list[Tensor] = []
    for some in rows.split(128):
        a = points[some].double() - frame.origin
        tiles = [float64_distances(a, block.double() - frame.origin) for block in points.split(BLOCK)]
        # k + 1, since the nearest point of all is the row itself.
        found.append(torch.cat(tiles, 1).topk(k + 1, largest=False).values[:, -1])
    return torch.cat(found) if found else torch.empty(0, dtype=torch.float64)
