"""Damage that people know by sight, in steps: what an image looks like blurred, coded, noisy or shuffled.

Each function takes images (N, C, H, W) uint8, a level and a seed, and returns images of the same shape.
`fewer_modes` takes features instead, since it changes which images there are, and not how they look.
"""

from collections.abc import Callable

import numpy as np
import simplejpeg
import torch
import torch.nn.functional as F
from torch import Tensor

from ganguard.base.seeds import derived_seed, torch_generator

CLUSTERS = 10  # of an image set's features, some of which are dropped
FARTHEST = 4  # standard deviations at which the blur's kernel is cut off


def blurred(images: Tensor, sigma: float, seed: int = 0) -> Tensor:
    """Return images under a Gaussian blur of standard deviation `sigma` pixels; edges are mirrored."""
    floats = images.float()
    for axis, size in ((3, images.shape[3]), (2, images.shape[2])):
        matrix = _blur_matrix(size, sigma)
        floats = floats @ matrix.T if axis == 3 else matrix @ floats
    return _bytes(floats)


def _blur_matrix(size: int, sigma: float) -> Tensor:
    """Return (size, size): row i holds the weights of all pixels in pixel i of a blurred line.

    A line continues beyond its ends as in a mirror, so a pixel's weight is the sum over its mirror images.
    """
    reach = max(1, round(FARTHEST * sigma))
    offsets = torch.arange(-reach, reach + 1)
    weights = torch.exp(-0.5 * (offsets / sigma) ** 2)
    weights = weights / weights.sum()
    seen = (torch.arange(size)[:, None] + offsets) % (2 * size)
    columns = torch.where(seen < size, seen, 2 * size - 1 - seen)
    return torch.zeros(size, size).scatter_add_(1, columns, weights.expand(size, -1).contiguous())


def jpeg_coded(images: Tensor, quality: float, seed: int = 0) -> Tensor:
    """Return images as JPEG files of this quality, 1 to 100, show them, with halved chroma."""
    colour = images.shape[1] == 3
    space, sampling = ("RGB", "420") if colour else ("GRAY", "Gray")
    rows = images.permute(0, 2, 3, 1) if colour else images.reshape(-1, *images.shape[2:], 1)
    pixels = np.ascontiguousarray(rows.numpy())
    files = (
        simplejpeg.encode_jpeg(row, quality=round(quality), colorspace=space, colorsubsampling=sampling)
        for row in pixels
    )
    shown = torch.from_numpy(np.stack([simplejpeg.decode_jpeg(file, space) for file in files]))
    return shown.permute(0, 3, 1, 2).contiguous() if colour else shown.reshape(images.shape)


def checkered(images: Tensor, amplitude: float, seed: int = 0) -> Tensor:
    """Return images with `amplitude` levels of 255 added to every other pixel, and taken from the rest.

    Generators leave such boards where their upsampling overlaps (Odena et al. 2016).
    """
    height, width = images.shape[2:]
    board = (torch.arange(height)[:, None] + torch.arange(width)) % 2 * 2 - 1
    return _bytes(images.float() + amplitude * board)


def noisy(images: Tensor, std: float, seed: int = 0) -> Tensor:
    """Return images with Gaussian noise of standard deviation `std` levels of 255 on each number."""
    generator = torch_generator(seed, "noise")
    return _bytes(images.float() + std * torch.randn(images.shape, generator=generator))


def tinted(images: Tensor, shift: float, seed: int = 0) -> Tensor:
    """Return colour images with `shift` levels of 255 more red and as much less blue; grey ones brighter."""
    shifts = torch.zeros(images.shape[1])
    shifts[0] = shift
    if images.shape[1] >= 3:
        shifts[2] = -shift
    return _bytes(images.float() + shifts.view(1, -1, 1, 1))


def coarse(images: Tensor, factor: float, seed: int = 0) -> Tensor:
    """Return images scaled down by `factor` in both sides, with antialiasing, and bilinearly up again."""
    height, width = images.shape[2:]
    small = max(1, round(height / factor)), max(1, round(width / factor))
    floats = F.interpolate(images.float(), small, mode="bilinear", antialias=True)
    return _bytes(F.interpolate(floats, (height, width), mode="bilinear"))


def shuffled(images: Tensor, pieces: float, seed: int = 0) -> Tensor:
    """Return images cut into `pieces` x `pieces` equal patches, which change places, in each image others.

    No patch stays where it was. Pixels beyond the last whole patch stay.
    """
    n, channels, height, width = images.shape
    k = min(int(pieces), height, width)
    h, w = height // k, width // k
    generator = torch_generator(seed, "shuffle")
    # A patch's place in a random circle of all patches, whose next one it becomes: so none stays.
    circle = torch.rand(n, k * k, generator=generator).argsort(1)
    takes = torch.empty_like(circle).scatter_(1, circle, circle.roll(1, 1))
    patches = images[:, :, : k * h, : k * w].reshape(n, channels, k, h, k, w).permute(0, 2, 4, 1, 3, 5)
    patches = patches.reshape(n, k * k, -1).gather(1, takes[..., None].expand(-1, -1, channels * h * w))
    whole = patches.reshape(n, k, k, channels, h, w).permute(0, 3, 1, 4, 2, 5)
    found = images.clone()
    found[:, :, : k * h, : k * w] = whole.reshape(n, channels, k * h, k * w)
    return found


def fewer_modes(features: Tensor, share: float, seed: int = 0) -> Tensor:
    """Return rows (N, D) of which a share of CLUSTERS clusters is replaced by repeats of the others' rows.

    The clusters are those that k-means finds in the features. At least one is dropped and one is kept; of
    rows that are all equal, none.
    """
    from sklearn.cluster import KMeans  # takes a second to import

    count = min(CLUSTERS, len(features) - 1, len(features.unique(dim=0)))
    if count < 2:
        return features
    found = KMeans(count, random_state=derived_seed(seed, "modes") % 2**32).fit(features.numpy())
    cluster_of = torch.from_numpy(found.labels_).long()
    generator = torch_generator(seed, "modes")
    dropped = torch.randperm(count, generator=generator)[: min(count - 1, max(1, round(share * count)))]
    lost = torch.isin(cluster_of, dropped)
    kept = torch.nonzero(~lost)[:, 0]
    rows = torch.arange(len(features))
    rows[lost] = kept[torch.randint(len(kept), (int(lost.sum()),), generator=generator)]
    return features[rows]


def _bytes(floats: Tensor) -> Tensor:
    return floats.round().clamp(0, 255).to(torch.uint8)


Function = Callable[[Tensor, float, int], Tensor]
OF_IMAGES: dict[str, Function] = {
    "blur": blurred,
    "jpeg": jpeg_coded,
    "checkerboard": checkered,
    "noise": noisy,
    "tint": tinted,
    "resolution": coarse,
    "patches": shuffled,
}
"""Damage to images, by name. The other name, "modes", is `fewer_modes`, which takes features."""
