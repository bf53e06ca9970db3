"""Which points lie inside which balls, for large sets: float32 where that decides it, exact float64 where it
does not.

A tile of squared distances is one float32 matrix product. Its rounding error is bounded (Higham 2002, section
3.1): a comparison whose two sides are further apart than that is decided; the few others are made again from
the differences of the two rows, in float64. So the answers are those of float64, at the speed of float32.
Memory holds a few tiles, whatever the size of the sets.
"""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

BLOCK = 2048  # rows of either set that are compared at once: a tile of distances is 16 MB
# of |a|² + |b|²: squared distances of a and b that differ by less are equal, and only rounding parts them
TIE = 1e-12
SPARE = 3  # nearest neighbours that are looked at beyond the k-th, so that rounding cannot hide the k-th
_UNIT = 2.0**-24  # relative rounding error of float32
# powers of two that rows are scaled up by: float32 holds the factor, and what is smaller is left to float64
_MOST_SCALED = 100
_FLOOR = 1e-30  # what underflow may take from a squared distance of rows whose largest entry is about 1
_PAIR_BYTES = 1 << 20  # of float64 differences at once: few enough to stay in the cache
_DOUBTFUL = 64  # a tile with more than one pair in so many to look at again is computed anew, in float64

Pairs = tuple[Tensor, Tensor]  # (P,) row indices into one block, and into the other


@dataclass(frozen=True)
class Block:
    """Some rows (n, D) of a set: as they came, as float32 around the origin of their frame, and those rows'
    squared norms."""

    rows: Tensor
    near: Tensor
    norms: Tensor

    def part(self, start: int, stop: int) -> "Block":
        """Some of its rows."""
        return Block(self.rows[start:stop], self.near[start:stop], self.norms[start:stop])


@dataclass(frozen=True)
class Frame:
    """A common origin (D,) amid the points, and a power of two that brings their largest entry to about 1:
    small numbers lose the fewest digits, and none overflows."""

    origin: Tensor
    scale: float

    @staticmethod
    def around(*sets: Tensor) -> "Frame":
        """For sets (N, D) of points. The origin is the median of some of the first set's."""
        some = sets[0][:: max(1, len(sets[0]) // 1024)]
        largest = max(abs(edge.item()) for points in sets for edge in points.aminmax())
        power = min(-math.ceil(math.log2(2 * largest)), _MOST_SCALED) if largest else 0
        return Frame(some.median(0).values, 2.0**power)

    def block(self, rows: Tensor) -> Block:
        """Rows (n, D) of one of the sets."""
        near = rows.sub(self.origin).mul_(self.scale).float()
        return Block(rows, near, torch.linalg.vector_norm(near, dim=1).square_())

    def inside(
        self, a: Block, b: Block, distances: Tensor, radii: Tensor, *, balls: Literal["a", "b"]
    ) -> Pairs:
        """Every pair of which one is in the ball of the other, ties included: indices into a, and into b.

        distances: `tile(a, b)`. radii: squared, in float64 and the points' own units, of the balls around the
        rows of one.
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
    """|a|² + |b|² - 2 a·b of two blocks of one frame, (n, m) float32."""
    return torch.addmm(b.norms, a.near, b.near.T, alpha=-2).add_(a.norms[:, None])


def rounding(width: int, norms: Tensor, distances: Tensor) -> Tensor:
    """How far float32 can be off where a point is at a squared distance of at most d from a row: (D + 16) u
    (|a|² + |b|²), in which |b|² is at most 2 |a|² + 2 d."""
    return (width + 16) * _UNIT * (3 * norms + 2 * distances) + _FLOOR


def exact_distances(a: Tensor, b: Tensor, i: Tensor, j: Tensor) -> Tensor:
    """Squared distances of pairs (a[i], b[j]) from their differences, (P,) float64."""
    at_once = max(1, _PAIR_BYTES // (8 * a.shape[1]))
    found = torch.empty(
        len(i), dtype=torch.float64
    )  # filled in place: small results amid large differences would split the heap
    for left, right, part in zip(i.split(at_once), j.split(at_once), found.split(at_once), strict=True):
        torch.sum((a[left].double() - b[right]).square_(), 1, out=part)
    return found


def float64_distances(a: Tensor, b: Tensor, slack: float = 0.0) -> Tensor:
    """|a|² + |b|² - 2 a·b, (n, m), right to about 1e-15 of |a|² + |b|², of which a share of `slack` is taken
    off."""
    norms_a, norms_b = (points.square().sum(1).mul_(1 - slack) for points in (a, b))
    return torch.addmm(norms_b, a, b.T, alpha=-2).add_(norms_a[:, None])


def squared_radii(points: Tensor, k: int) -> Tensor:
    """Squared distance of each of points (N, D) to its k-th nearest neighbour among the others, (N,) float64;
    N above k."""
    frame = Frame.around(points)
    nearest, which = _nearest_neighbours(frame, points, min(k + SPARE, len(points) - 1))
    norms = _norms(frame, points)
    radii = _kth_exactly(points, nearest, which, k, norms)
    scaled = radii * frame.scale**2
    doubtful = (
        nearest.amax(1) - rounding(points.shape[1], norms, scaled) < scaled
    )  # one that was not looked at may be nearer
    doubtful &= (radii > 0) & (which.shape[1] < len(points) - 1)
    rows = doubtful.nonzero()[:, 0]
    radii[rows] = _exact_radii(frame, points, rows, k)
    return radii


def _kth_exactly(points: Tensor, nearest: Tensor, which: Tensor, k: int, norms: Tensor) -> Tensor:
    """The k-th smallest squared distance, (N,) float64, to the neighbours `which` (N, K), that float32 puts
    at `nearest`.

    Float32 shows which of them are surely nearer than the k-th, and which further; only the others, mostly
    one, are computed from differences. Twice the rounding error parts them (each side may be off by one); a
    third is for its own rounding.
    """
    kth = nearest.kthvalue(k, 1).values.double()
    doubt = 3 * rounding(points.shape[1], norms, kth.clamp(min=0))
    beyond = nearest.double() - kth[:, None]
    found = torch.where(beyond > 0, torch.inf, -torch.inf).double()
    i, place = (beyond.abs() <= doubt[:, None]).nonzero(as_tuple=True)
    found[i, place] = exact_distances(points, points, i, which[i, place])
    return found.kthvalue(k, 1).values


def _nearest_neighbours(frame: Frame, points: Tensor, count: int) -> Pairs:
    """Squared distances, in float32, to the `count` others that are nearest by them, and which those are: (N,
    count) each."""
    nearest = torch.full((len(points), count), torch.inf)
    which = torch.zeros(len(points), count, dtype=torch.int64)

    def take(rows: slice, distances: Tensor, begin: int) -> None:
        found, places = distances.topk(min(count, distances.shape[1]), largest=False, sorted=False)
        candidates = torch.cat([nearest[rows], found], 1)
        nearest[rows], kept = candidates.topk(count, largest=False, sorted=False)
        which[rows] = torch.cat([which[rows], places + begin], 1).gather(1, kept)

    quarter = max(1, BLOCK // 4)

    def serve_both(a: Block, b: Block, i: int, j: int) -> None:
        """Rows from i on, and others from j on."""
        distances = tile(a, b)
        take(slice(i, i + len(a.rows)), distances, j)
        take(slice(j, j + len(b.rows)), distances.T.contiguous(), i)

    for i in range(0, len(points), BLOCK):
        a = frame.block(points[i : i + BLOCK])
        parts = [(start, a.part(start, start + quarter)) for start in range(0, len(a.rows), quarter)]
        for number, (start, part) in enumerate(
            parts
        ):  # a block with itself: what is symmetric is not computed twice
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
    """Of some rows, by distances to all the points, in float64: what a set with many equal points needs."""
    found: list[Tensor] = []
    for some in rows.split(128):
        a = points[some].double() - frame.origin
        tiles = [float64_distances(a, block.double() - frame.origin) for block in points.split(BLOCK)]
        found.append(
            torch.cat(tiles, 1).topk(k + 1, largest=False).values[:, -1]
        )  # the nearest of all is the row itself
    return torch.cat(found) if found else torch.empty(0, dtype=torch.float64)
