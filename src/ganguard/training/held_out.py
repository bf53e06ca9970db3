"""Images that a flow does not learn from: its loss on them says at which step it knew their law best."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import torch
from torch import Tensor

from ganguard.architectures.networks import Flowing, GeneratorNetwork
from ganguard.base.errors import SpecError
from ganguard.base.image_rows import ImageRows, Images
from ganguard.base.images import to_float
from ganguard.base.labels import Labels
from ganguard.base.seeds import torch_generator
from ganguard.training.assembling import Training
from ganguard.training.division import divided
from ganguard.training.early_stopping import Best, Looks, Watch
from ganguard.training.flow import FlowTraining
from ganguard.training.restoring import Restorer
from ganguard.training.settings import TrainingSettings
from ganguard.training.velocity_loss import velocity_loss

EVERY = 100  # steps between two looks, if the settings leave it open
DRAWS = 1024  # lines from noise to a held-out image, at least, that a look takes
BATCH = 64


@dataclass(frozen=True)
class HeldOut:
    """Images that a flow does not learn from.

    Attributes:
        images: (M, C, H, W) uint8.
        y: (M,) int64, their classes; None without classes.
        every: steps of G between two looks.
        seed: seed of the noise and times, which are the same at every look, so that two looks differ by the
            network alone.
    """

    images: Images
    y: Tensor | None
    every: int
    seed: int

    def looks(self, restorer: Restorer | None) -> Looks:
        """Return the looks at a training: at its loss on these images, which a guessed defence's restorer, if
        there is one, restores as it can by then."""
        return Looks(lambda G: self.loss(G, restorer), self.every)

    @torch.no_grad()
    def loss(self, G: GeneratorNetwork, restorer: Restorer | None = None) -> float:
        """Return the loss of a flow's G, with times that are spread evenly over the law that a training draws
        from."""
        velocity, device = cast(Flowing, G).velocity, next(G.parameters()).device
        rows = torch.arange(len(self.images)).repeat(math.ceil(DRAWS / len(self.images)))
        draws = torch_generator(self.seed, "held out noise")
        z = torch.randn(len(rows), *self.images.shape[1:], generator=draws)
        even = (torch.randperm(len(rows), generator=draws) + 0.5) / len(rows)
        t, total = torch.special.ndtri(even).sigmoid(), 0.0
        for some in torch.arange(len(rows)).split(BATCH):
            x = to_float(self.images[rows[some]].to(device))
            y = None if self.y is None else self.y[rows[some]].to(device)
            x = restorer.restored(x, y) if restorer else x
            total += len(some) * velocity_loss(velocity, x, z[some].to(device), t[some].to(device), y).item()
        return total / len(rows)


@dataclass(frozen=True)
class TrainingImages:
    """The images of a training, divided into what it learns from and what is held out.

    Attributes:
        images: (N, C, H, W) uint8, those to learn from.
        labels: their classes; None without classes.
        held_out: the others, or None if there are none.
    """

    images: Images
    labels: Labels | None
    held_out: HeldOut | None = None

    def best(
        self, training: Training, watch: Watch | None, directory: Path, begun: int, steps: int, seed: int
    ) -> Best | None:
        """Return what keeps the best state of a training that goes on at step `begun` of `steps`.

        None if neither a judge nor held-out images choose it.
        """
        looks = watch.looks(seed, training.labels) if watch else None
        if self.held_out and isinstance(training, FlowTraining):
            looks = self.held_out.looks(training.restorer)
        return Best(looks, directory, begun, steps) if looks else None


def hold_out(
    images: Images, labels: Labels | None, settings: TrainingSettings, *, seed: int
) -> TrainingImages:
    """Hold out a share of the images (N, C, H, W) uint8, drawn by the seed, if the settings say so.

    No image is on both sides (`division.py`). Raises SpecError if none would be held out, or none be left.
    """
    if settings.held_out is None:
        return TrainingImages(images, labels)
    count = round(settings.held_out * len(images))
    if not 0 < count < len(images):
        raise SpecError(
            f"held_out: {settings.held_out:g} of {len(images):,} images are {count:,}; at least one must be "
            "held out, and one be left. Choose another share, or leave it out."
        )
    rows = divided(images, count, seed=seed)
    if rows is None:
        raise SpecError(
            f"held_out: the {len(images):,} images are equal, or answers to one code, so that none can be "
            "held out. Give more images, or leave held_out out."
        )
    kept, held = rows
    y = None if labels is None else labels.numbers[held]
    out = HeldOut(_rows(images, held), y, settings.held_out_every or EVERY, seed)
    return TrainingImages(_rows(images, kept), None if labels is None else labels.of(kept), out)


def _rows(images: Images, rows: Tensor) -> Images:
    if isinstance(images, ImageRows):
        return ImageRows(images.images, images.rows[rows])
    return images[rows]
