"""Small networks that learn from a purchase which image belongs to which code."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ganguard.base.images import to_float
from ganguard.base.seeds import derived_seed, seeded_weights, torch_generator

SIDE = 16  # pixels of an image's side that are compared, at most
DIMENSIONS = 32  # numbers that describe an image: its first principal components
WIDTH, STEPS, BATCH = 256, 400, 128
LEARNING_RATE, WEIGHT_DECAY = 2e-3, 0.1
AT_ONCE = 8192  # codes that are answered at once


@dataclass(frozen=True)
class Students:
    """Networks that were trained alike, but for their seeds, to describe a target's image of a code.

    Attributes:
        networks: each maps codes (N, latent_dim) to descriptions (N, D).
        mean: of the codes that they learnt from.
        std: of these, one number.
    """

    networks: tuple[nn.Module, ...]
    mean: Tensor
    std: Tensor

    def answers(self, codes: Tensor) -> Tensor:
        """Return the description of each code by each student, (students, N, D) float32."""
        z = (codes - self.mean) / self.std
        with torch.no_grad():
            return torch.stack(
                [torch.cat([student(part) for part in z.split(AT_ONCE)]) for student in self.networks]
            )

    def describe(self, codes: Tensor) -> Tensor:
        """Return the mean of the students' descriptions of codes, (N, D) float32."""
        return self.answers(codes).mean(0)

    def disagreement(self, codes: Tensor) -> Tensor:
        """Return how far the students' descriptions of each code are apart: their variance, summed over
        dimensions, (N,) float32."""
        return self.answers(codes).var(0, correction=0).sum(1)


def seen_pixels(images: Tensor) -> Tensor:
    """Return what is compared of images (N, C, H, W) uint8: pixels in [-1, 1], means of squares if a side has
    more than SIDE, (N, P) float32."""
    size = min(images.shape[2], SIDE), min(images.shape[3], SIDE)
    parts = images.split(AT_ONCE)
    return torch.cat([nn.functional.adaptive_avg_pool2d(to_float(part), size).flatten(1) for part in parts])


def described(images: Tensor) -> Tensor:
    """Return the first principal components of images (N, C, H, W) uint8, (N, D) float32, scaled so that the
    variance of a component is 1 on average."""
    x = seen_pixels(images).double()
    x = x - x.mean(0)
    _, directions = torch.linalg.eigh(x.T @ x)
    y = x @ directions[:, -DIMENSIONS:].flip(1)
    return (y / y.square().mean().sqrt().clamp(min=1e-6)).float()


def teach(codes: Tensor, images: Tensor, *, students: int, seed: int) -> Students:
    """Train students on the images of codes, by the squared error of their descriptions.

    Args:
        codes: (N, latent_dim), those that were sent.
        images: (N, C, H, W) uint8, those that came.
        students: how many.
        seed: of their weights and batches.
    """
    mean, std = codes.mean(0), codes.std(correction=0).clamp(min=1e-6)
    z, y = (codes - mean) / std, described(images)
    return Students(
        tuple(_student(z, y, derived_seed(seed, "student", str(number))) for number in range(students)),
        mean,
        std,
    )


def _student(z: Tensor, y: Tensor, seed: int) -> nn.Module:
    """Return a network that was trained to map codes (N, d) to descriptions (N, D)."""
    with seeded_weights(seed):
        network = nn.Sequential(
            nn.Linear(z.shape[1], WIDTH),
            nn.SiLU(),
            nn.Linear(WIDTH, WIDTH),
            nn.SiLU(),
            nn.Linear(WIDTH, y.shape[1]),
        )
    optimiser = torch.optim.AdamW(network.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, STEPS)
    generator = torch_generator(seed, "batches")
    for _ in range(STEPS):
        rows = torch.randint(len(z), (BATCH,), generator=generator)
        optimiser.zero_grad()
        (network(z[rows]) - y[rows]).square().mean().backward()
        optimiser.step()
        schedule.step()
    return network.eval()
