"""Growing: a schedule of the step alone, and G, D, the average and real images that follow it."""

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file

from ganguard.architectures.checkpoint import save_checkpoint
from ganguard.architectures.networks import build_networks, parse_architecture
from ganguard.base.compute import Compute
from ganguard.training.growth import Growth, growth_at
from ganguard.training.initial_weights import InitialWeights
from ganguard.training.loop import train_generator
from ganguard.training.settings import TrainingSettings


def test_the_schedule_is_that_of_the_zoo() -> None:
    """48,000 updates at 4 pixels and 96,000 at each further size, of which 19,200 fade it in."""
    steps, levels = 48_000 + 2 * 96_000, 3
    places = [0, 47_999, 48_000, 57_600, 67_200, 143_999, 144_000, 163_200, steps - 1]
    assert [growth_at(step, steps, levels) for step in places] == [
        (0, 1.0),
        (0, 1.0),
        (1, 0.0),
        (1, pytest.approx(0.5)),
        (1, pytest.approx(1)),
        (1, 1.0),
        (2, 0.0),
        (2, pytest.approx(1)),
        (2, 1.0),
    ]


@given(steps=st.integers(1, 5000), levels=st.integers(1, 7))
def test_growth_never_goes_back(steps: int, levels: int) -> None:
    found = [growth_at(step, steps, levels) for step in range(0, steps, max(1, steps // 50))]
    assert found == sorted(found)
    assert all(0 <= level < levels and 0 <= alpha <= 1 for level, alpha in found)


def test_networks_and_real_images_grow_alike() -> None:
    settings = parse_architecture({"kind": "pggan", "width": 4, "latent_dim": 4})
    networks = build_networks(settings, (1, 16, 16))
    growth = Growth([networks.generator, networks.discriminator], 50)
    assert [step for step in range(50) if growth.go_to(step)] == [10, 30]
    growth.go_to(0)
    real = torch.randn(3, 1, 16, 16)
    seen, made = growth.seen(real), networks.generator(torch.randn(3, 4))
    for images in (seen, made):  # of 4x4 pixels
        assert torch.equal(images, images[:, :, ::4, ::4].repeat_interleave(4, 2).repeat_interleave(4, 3))


def test_adam_keeps_its_moments_when_a_gan_grows(tmp_path: Path, compute: Compute) -> None:
    """Adam has no moments of a level before it is in use. Of 10 updates, 2 use 4x4 pixels alone, and 4 use
    all three levels."""
    architecture = {"kind": "pggan", "width": 4, "latent_dim": 4}
    settings = TrainingSettings.model_validate({"architecture": architecture, "steps": 10, "batch_size": 4})
    train_generator(torch.zeros(8, 1, 16, 16, dtype=torch.uint8), settings, tmp_path, seed=0, compute=compute)
    saved, networks = (
        load_file(tmp_path / "training.safetensors"),
        build_networks(settings.architecture, (1, 16, 16)),
    )
    names = [name for name, _ in networks.generator.named_parameters()]
    updates = [
        int(saved[f"G/{names.index(name)}/step"])
        for name in ("first.weight", "blocks.0.conv.weight", "blocks.1.conv.weight")
    ]
    assert updates == [10, 8, 4]


def test_what_cannot_grow_is_left_alone() -> None:
    networks = build_networks(parse_architecture({"kind": "sngan", "width": 4}), (1, 8, 8))
    growth, real = Growth([networks.generator], 10), torch.randn(2, 1, 8, 8)
    assert not any(growth.go_to(step) for step in range(10))
    assert torch.equal(growth.seen(real), real)


def test_what_was_half_grown_goes_on_as_a_whole(tmp_path: Path) -> None:
    settings = parse_architecture({"kind": "pggan", "width": 4, "latent_dim": 4})
    networks = build_networks(settings, (1, 16, 16))
    for module in (networks.generator, networks.discriminator):
        module.set_growth(0, 1.0)  # type: ignore[operator]
    begun = save_checkpoint(tmp_path / "half", networks, settings, (1, 16, 16), {})
    fresh = build_networks(settings, (1, 16, 16))
    InitialWeights(checkpoint=begun).put_into(fresh)
    assert (fresh.generator.level, fresh.discriminator.level) == (2, 2)  # type: ignore[attr-defined]
