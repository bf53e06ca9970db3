"""Heun's method against closed forms, and the published size of the network."""

import math
from collections.abc import Callable
from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from ganguard.architectures.flow import (
    FlowGenerator,
    _doubled,  # pyright: ignore[reportPrivateUsage]
    _halved,  # pyright: ignore[reportPrivateUsage]
    solver_times,
)
from ganguard.architectures.networks import build_networks, parse_architecture
from ganguard.base.errors import SpecError

Velocity = Callable[[Tensor, Tensor], Tensor]


def generator(image_shape: tuple[int, int, int] = (2, 8, 12), **said: float) -> FlowGenerator:
    G = build_networks(parse_architecture({"kind": "flow", "width": 4, **said}), image_shape).generator
    assert isinstance(G, FlowGenerator)
    return G


def moved(
    z: Tensor, velocity: Velocity, steps: int, monkeypatch: pytest.MonkeyPatch, spacing: float = 1.0
) -> Tensor:
    """The images of a G whose velocity is known."""
    G = generator(solver_steps=steps, spacing=spacing)
    monkeypatch.setattr(G, "velocity_at", lambda t, y=None: lambda x: velocity(x, t))
    return G(z)


def with_weights(G: FlowGenerator) -> FlowGenerator:
    """G with random weights instead of zeros."""
    drawn = torch.Generator().manual_seed(0)
    for parameter in G.parameters():
        torch.nn.init.normal_(parameter, std=0.2, generator=drawn)
    return G


def codes(G: FlowGenerator, count: int = 3) -> Tensor:
    return torch.randn(count, G.latent_dim, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("steps", [1, 2, 7])
def test_a_constant_velocity_is_followed_exactly(steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    z = codes(generator())
    images = moved(z, lambda x, t: torch.full_like(x, 0.5), steps, monkeypatch)
    assert torch.allclose(images, z.view(3, 2, 8, 12) + 0.5, atol=1e-6)


@pytest.mark.parametrize("steps", [1, 2, 7])
def test_heun_steps_and_one_of_euler(steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of dx/dt = -x, a step h of Heun multiplies by 1 - h + h²/2, and one of Euler by 1 - h."""
    z, h = codes(generator()), 1 / steps
    images = moved(z, lambda x, t: -x, steps, monkeypatch)
    factor = (1 - h + h * h / 2) ** (steps - 1) * (1 - h)
    assert torch.allclose(images, factor * z.view(3, 2, 8, 12), atol=1e-6)


@pytest.mark.parametrize("steps", [1, 2, 7])
@pytest.mark.parametrize("spacing", [1.0, 1.5, 4.0])
def test_steps_are_as_long_as_their_spacing_says(
    steps: int, spacing: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    lengths = [((steps - i) ** spacing - (steps - i - 1) ** spacing) / steps**spacing for i in range(steps)]
    assert sum(lengths) == pytest.approx(1) and lengths == sorted(lengths, reverse=True)
    z = codes(generator())
    images = moved(z, lambda x, t: -x, steps, monkeypatch, spacing)
    factor = math.prod(1 - h + h * h / 2 for h in lengths[:-1]) * (1 - lengths[-1])
    assert torch.allclose(images, factor * z.view(3, 2, 8, 12), atol=1e-6)
    times = solver_times(steps, spacing)
    assert [b - a for a, b in pairwise(times)] == pytest.approx(lengths)


def test_a_flow_says_its_spacing_only_if_it_has_one() -> None:
    """A checkpoint and a key of one whose steps are equally long are as they were."""
    assert "spacing" not in parse_architecture({"kind": "flow"}).model_dump(mode="json")
    said = parse_architecture({"kind": "flow", "spacing": 1.5}).model_dump(mode="json")
    assert said["spacing"] == 1.5
    for wrong in (0.5, 5, "wide"):
        with pytest.raises(SpecError, match="spacing"):
            parse_architecture({"kind": "flow", "spacing": wrong})


def test_more_steps_come_nearer_to_the_solution(monkeypatch: pytest.MonkeyPatch) -> None:
    """The velocity that turns noise N(0, 1) into N(0, 1/16), whose solution is z / 4."""
    z = codes(generator(), 50)

    def velocity(x: Tensor, t: Tensor) -> Tensor:
        at = t[:, None, None, None]
        return x * (at / 16 - (1 - at)) / ((1 - at) ** 2 + at**2 / 16)

    wanted = z.view(50, 2, 8, 12) / 4
    errors = [
        (moved(z, velocity, steps, monkeypatch) - wanted).square().mean().sqrt().item()
        for steps in (4, 16, 64)
    ]
    assert errors[0] > 4 * errors[1] > 12 * errors[2]
    assert errors[2] < 0.01


def test_times_are_those_of_the_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[float] = []

    def velocity(x: Tensor, t: Tensor) -> Tensor:
        assert t.shape == (1,)  # of all images
        seen.extend(t.unique().tolist())
        return x

    moved(codes(generator()), velocity, 4, monkeypatch)
    assert seen == pytest.approx([0, 0.25, 0.25, 0.5, 0.5, 0.75, 0.75])


def test_a_new_network_stands_still() -> None:
    G = generator()
    z = codes(G)
    assert torch.equal(G(z), z.view(3, 2, 8, 12))


def test_one_time_for_all_is_that_time_for_each() -> None:
    G = with_weights(generator())
    x = codes(G).view(3, 2, 8, 12)
    assert torch.allclose(G.velocity(x, torch.tensor([0.3])), G.velocity(x, torch.full((3,), 0.3)), atol=1e-5)


@pytest.mark.parametrize("classes", [0, 2])
def test_sampling_follows_the_velocity_of_each_time(classes: int) -> None:
    """Sampling computes what it knows of a time once, in its own memory; the velocity is asked anew here."""
    G = with_weights(generator(classes=classes, solver_steps=4))
    z, y = codes(G), torch.tensor([0, 1, 1]) if classes else None
    x = z.view(3, 2, 8, 12)
    for t in (0.0, 0.25, 0.5):
        v = G.velocity(x, torch.full((3,), t), y)
        x = x + (v + G.velocity(x + v / 4, torch.full((3,), t + 0.25), y)) / 8
    x = x + G.velocity(x, torch.full((3,), 0.75), y) / 4
    with torch.inference_mode():
        images = G(z) if y is None else G(z, y)
    assert torch.allclose(images, x, atol=1e-5)
    assert (images - z.view(3, 2, 8, 12)).abs().max() > 0.1


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_resampling_is_that_of_torch_to_the_bit(layout: torch.memory_format) -> None:
    h = torch.randn(3, 5, 4, 6, generator=torch.Generator().manual_seed(0)).contiguous(memory_format=layout)
    assert torch.equal(_halved(h), F.avg_pool2d(h, 2))
    assert torch.equal(_doubled(h), F.interpolate(h, scale_factor=2.0))


def test_its_codes_are_as_large_as_its_images() -> None:
    assert generator((3, 9, 14)).latent_dim == 3 * 9 * 14


def test_the_size_of_the_network() -> None:
    """Two levels of 8x8 images."""
    found = {
        width: sum(p.numel() for p in generator((1, 8, 8), width=width).parameters()) for width in (16, 32)
    }
    assert found == {16: 100_993, 32: 397_057}


def test_times_and_classes_change_the_velocity() -> None:
    G = generator(classes=2)
    torch.nn.init.normal_(G.network.to_image.weight, generator=torch.Generator().manual_seed(0))
    x, y = codes(G, 1).view(1, 2, 8, 12).expand(4, -1, -1, -1), torch.tensor([0, 0, 1, 1])
    torch.nn.init.normal_(G.network.middle.conv2.weight, generator=torch.Generator().manual_seed(1))
    v = G.velocity(x, torch.tensor([0.2, 0.7, 0.2, 0.7]), y).flatten(1)
    assert torch.pdist(v).min() > 1e-4
    assert not math.isnan(v.sum().item())
