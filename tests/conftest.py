"""What the whole suite shares: one torch thread, hypothesis without deadlines, and small targets whose
answers are known."""

import io
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, settings
from PIL import Image
from torch import Tensor

from ganguard.architectures.checkpoint import save_checkpoint
from ganguard.architectures.networks import build_networks, parse_architecture
from ganguard.base.compute import Compute
from ganguard.base.seeds import seeded_weights

settings.register_profile(
    "ganguard", deadline=None, max_examples=25, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("ganguard")


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> Iterator[None]:
    """Tiny networks are slower, not faster, with more threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def compute() -> Compute:
    return Compute(device="cpu", threads=1)


@pytest.fixture(scope="session")
def tiny_checkpoint() -> Callable[..., Path]:
    """Write an untrained GAN of width 4 to a directory, as `ganguard train` would, and return the
    directory."""

    def write(
        directory: Path, kind: str = "sngan", image_shape: tuple[int, int, int] = (1, 8, 8), seed: int = 0
    ) -> Path:
        codes = {} if kind == "flow" else {"latent_dim": 5}
        architecture = parse_architecture({"kind": kind, "width": 4, **codes})
        with seeded_weights(seed):
            networks = build_networks(architecture, image_shape)
        return save_checkpoint(directory, networks, architecture, image_shape, {"steps": 0})

    return write


@pytest.fixture(scope="session")
def png() -> Callable[[np.ndarray], bytes]:
    """Bytes of a PNG file that Pillow, not ganguard, wrote."""

    def encode(pixels: np.ndarray) -> bytes:
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, format="PNG")
        return buffer.getvalue()

    return encode


class RampTarget:
    """Image i under a seed is filled with a number that both determine; what was asked for is written
    down."""

    identity = "ramp"
    image_shape = (1, 4, 4)

    def __init__(self) -> None:
        self.asked: list[range] = []

    def sample(self, indices: range, *, seed: int) -> Tensor:
        self.asked.append(indices)
        return self.paint([(3 * index + seed) % 256 for index in indices])

    def paint(self, values: list[int]) -> Tensor:
        return (
            torch.tensor(values, dtype=torch.uint8)
            .view(-1, 1, 1, 1)
            .expand(-1, *self.image_shape)
            .contiguous()
        )


class LatentRampTarget(RampTarget):
    """The same, whose codes hold the number."""

    latent_dim = 2

    def draw_latents(self, indices: range, *, seed: int) -> Tensor:
        return torch.tensor([[float(index), float(seed)] for index in indices]).view(-1, 2)

    def generate(self, latents: Tensor) -> Tensor:
        self.asked.append(range(len(latents)))
        return self.paint([(3 * int(index) + int(seed)) % 256 for index, seed in latents.tolist()])


@pytest.fixture(scope="session")
def ramp() -> Callable[..., RampTarget]:
    """A new target, with the capabilities asked for."""

    def make(*, latent: bool = False, white: bool = False) -> RampTarget:
        target = LatentRampTarget() if latent else RampTarget()
        if white:
            target.discriminator = object()
        return target

    return make
