"""What can be made of a few bought images without any training, beside handing them out again?

    python benchmarks/few_images.py AUDIT [IMAGES] [PURCHASES]

AUDIT is the directory of a finished audit of a target that it trained on labelled real images, such as
`ganguard audit digits`. PURCHASES times (24), IMAGES (200) are bought of that target, by seeds of no audit.
From each purchase 4,000 images are drawn again, in several ways, and compared with the audit's own draw of
the target by the audit's features. Printed is, for each way, the geometric mean of the ratio of its Fréchet
distance to that of the purchase drawn as it is, with its 95 % t-interval, and the share of purchases in which
it came closer.

The ways:

- noise: a little Gaussian noise on each image.
- neighbours: x + (x' - x") / 5, with x' and x" among the eight nearest of x: an image varies as those around
  it do.
- groups: the weights of groups of similar images (k-means of pixels, an average of 15 of them) are drawn 0.3
  of the way towards equal ones.
- sorted: the same with the real classes, half of the way. Each image is sorted by its nearest real training
  images, in place of a person who looks at it.
- sorted, neighbours: both.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import exp, log
from pathlib import Path

import numpy as np
import torch
from sklearn.cluster import KMeans
from sklearn.neighbors import KNeighborsClassifier
from torch import Tensor

from ganguard.audit.steps.real import load_real
from ganguard.audit.steps.yardstick_files import Yardsticks
from ganguard.base.seeds import torch_generator
from ganguard.metrics import frechet_distance
from ganguard.results.intervals import t_interval
from ganguard.targets.protocol import BlackBoxTarget
from of_audit.finished import FIRST, asked, embedding_of, only, target_of

DRAWN = 4000  # images that are drawn again from a purchase, and measured
NOISE = 5.0  # grey levels
NEAREST, APART = 8, 0.2  # neighbours that differences are taken of, and the weight of a difference
GROUPS, TRIES, FLATTENED = (10, 12, 14), 5, 0.3
SORTED = 0.5


@dataclass(frozen=True)
class Purchase:
    """A few images, and what may be known of them.

    Attributes:
        images: (N, C, H, W) uint8.
        classes: (N,) int64, the class that each is sorted into.
        seed: of everything that is drawn from them.
    """

    images: Tensor
    classes: Tensor
    seed: int

    def rows(self) -> Tensor:
        """Return the pixels, (N, C·H·W) float."""
        return self.images.flatten(1).float()


Way = Callable[[Purchase], Tensor]
"""Draws DRAWN images from a purchase: (DRAWN, C, H, W) uint8."""


def again(bought: Purchase, weights: Tensor | None = None) -> Tensor:
    """Return which images are drawn, (DRAWN,), with replacement. weights: (N,); None draws all alike."""
    alike = torch.ones(len(bought.images)) if weights is None else weights
    return torch.multinomial(alike, DRAWN, replacement=True, generator=torch_generator(bought.seed, "again"))


def with_noise(bought: Purchase) -> Tensor:
    """Add Gaussian noise."""
    drawn = bought.rows()[again(bought)]
    noise = torch.randn(drawn.shape, generator=torch_generator(bought.seed, "noise"))
    return as_images(drawn + NOISE * noise, bought)


def between_neighbours(bought: Purchase, weights: Tensor | None = None) -> Tensor:
    """Add the difference of two of an image's neighbours, itself among them."""
    rows, source = bought.rows(), torch_generator(bought.seed, "neighbours")
    near = torch.cdist(rows, rows).topk(NEAREST + 1, largest=False).indices
    drawn = again(bought, weights)
    one, other = (near[drawn, torch.randint(NEAREST + 1, (DRAWN,), generator=source)] for _ in range(2))
    return as_images(rows[drawn] + APART * (rows[one] - rows[other]), bought)


def as_images(rows: Tensor, bought: Purchase) -> Tensor:
    """Return pixels (n, C·H·W) as images (n, C, H, W) uint8."""
    return rows.round().clamp(0, 255).to(torch.uint8).view(-1, *bought.images.shape[1:])


def flattened(groups: Tensor, by: float) -> Tensor:
    """Return weights (N,) that draw each group `by` of the way from its share to an equal one.

    groups: (N,) int64.
    """
    shares = groups.bincount().double() / len(groups)
    wanted = (1 - by) * shares + by / (shares > 0).sum()
    return (wanted / shares.clamp(min=1e-9))[groups]


def of_groups(bought: Purchase) -> Tensor:
    """Draw groups of similar images more alike than they were bought."""
    rows = bought.rows().numpy()
    found = [
        torch.from_numpy(KMeans(count, n_init=1, random_state=seed).fit_predict(rows)).long()
        for count in GROUPS
        for seed in range(TRIES)
    ]
    weights = torch.stack([flattened(groups, FLATTENED) for groups in found]).mean(0)
    return bought.images[again(bought, weights)]


def of_classes(bought: Purchase) -> Tensor:
    """Draw classes more alike than they were bought."""
    return bought.images[again(bought, flattened(bought.classes, SORTED))]


WAYS: Mapping[str, Way] = {
    "noise": with_noise,
    "neighbours": between_neighbours,
    "groups": of_groups,
    "sorted": of_classes,
    "sorted, neighbours": lambda bought: between_neighbours(bought, flattened(bought.classes, SORTED)),
}


def features_of(images: Tensor, embed: Callable[[Tensor], Tensor]) -> Tensor:
    """Return the features of images (n, C, H, W) uint8, of which many may be equal."""
    rows, places = images.flatten(1).unique(dim=0, return_inverse=True)
    return embed(rows.view(-1, *images.shape[1:]))[places]


def sorter(audit: Path) -> Callable[[Tensor], Tensor]:
    """Return a function from images (N, C, H, W) uint8 to the classes (N,) of the nearest real ones."""
    real = load_real(only(audit, "real"))
    labels = real.labels_of(real.train)
    if labels is None:
        raise SystemExit(f"{audit}: its real images have no classes to sort by.")
    known = KNeighborsClassifier(3).fit(real.images[real.train].flatten(1).numpy(), labels.numbers.numpy())
    return lambda images: torch.from_numpy(known.predict(images.flatten(1).numpy()))


def main(audit: Path, images: int, purchases: int) -> None:
    """Buy, draw, compare and print."""
    embed, target = embedding_of(audit), target_of(audit)
    theirs, classes_of = Yardsticks.read(only(audit, "yardsticks")).draws[0].points, sorter(audit)
    distances = {name: list[float]() for name in ("as bought", *WAYS)}
    for seed in range(FIRST, FIRST + purchases):
        bought = buy(target, images, seed, classes_of)
        for name, found in distances.items():
            drawn = WAYS[name](bought) if name in WAYS else bought.images[again(bought)]
            found.append(frechet_distance(features_of(drawn, embed), theirs))
        print(f"purchase {seed}: " + ", ".join(f"{k} {v[-1]:.3f}" for k, v in distances.items()), flush=True)
    plain = distances.pop("as bought")
    print(f"as bought: {np.mean(plain):.3f} ± {np.std(plain, ddof=1):.3f}")
    for name, found in distances.items():
        logs = [log(value / bought) for value, bought in zip(found, plain, strict=True)]
        mean, half = t_interval(logs)
        closer = sum(value < 0 for value in logs) / purchases
        print(
            f"{name}: ratio {exp(mean):.2f} ({exp(mean - half):.2f} to {exp(mean + half):.2f}), {closer:.0%}"
        )


def buy(target: BlackBoxTarget, images: int, seed: int, classes_of: Callable[[Tensor], Tensor]) -> Purchase:
    """Return a purchase by a seed of its own."""
    bought = target.sample(range(images), seed=seed)
    return Purchase(bought, classes_of(bought), seed)


if __name__ == "__main__":
    torch.set_num_threads(1)
    said = asked(__doc__, images=200, purchases=24)
    main(said.audit, said.images, said.purchases)
