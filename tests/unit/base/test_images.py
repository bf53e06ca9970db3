import pytest
import torch

from ganguard.base.codecs import decode_image, encode_png
from ganguard.base.errors import DataError, InputError
from ganguard.base.images import (
    colours_of,
    composed,
    composed_floats,
    in_channels,
    require_images,
    shape_of,
    to_float,
    to_uint8,
)

ALL_BYTES = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16)


def test_every_byte_survives_the_round_trip() -> None:
    assert torch.equal(to_uint8(to_float(ALL_BYTES)), ALL_BYTES)


def test_both_ends_of_the_range_are_exact() -> None:
    floats = to_float(ALL_BYTES)
    assert floats.dtype == torch.float32
    assert floats.min().item() == -1.0
    assert floats.max().item() == 1.0


def test_floats_go_to_the_nearest_byte() -> None:
    """A third of a level either way must not change the byte; truncating would lower half of them."""
    level = 1 / 127.5
    for offset in (-0.33, 0.33):
        assert torch.equal(to_uint8(to_float(ALL_BYTES) + offset * level), ALL_BYTES)


def test_rounding_agrees_with_exact_arithmetic() -> None:
    values = torch.linspace(-1, 1, 1001, dtype=torch.float64)
    distance = (to_uint8(values.view(1, 1, 1, -1)).double().flatten() - (values + 1) * 127.5).abs()
    assert distance.max().item() <= 0.5 + 1e-5  # float32 arithmetic may pick the other byte at a tie


def test_values_outside_the_range_are_clamped() -> None:
    outside = torch.tensor([-9.0, -1.001, 1.001, 9.0]).view(1, 1, 2, 2)
    assert to_uint8(outside).flatten().tolist() == [0, 0, 255, 255]


def test_conversion_leaves_its_input_alone() -> None:
    floats = to_float(ALL_BYTES)
    before = floats.clone()
    to_uint8(floats)
    assert torch.equal(floats, before)


def test_a_network_output_that_wants_gradients_is_converted() -> None:
    assert not to_uint8(torch.zeros(1, 1, 2, 2, requires_grad=True)).requires_grad


def test_shape_of_leaves_the_count_out() -> None:
    assert shape_of(torch.zeros(7, 3, 5, 6)) == (3, 5, 6)


@pytest.mark.parametrize(
    "images",
    [
        torch.zeros(2, 1, 4, 4),
        torch.zeros(1, 4, 4, dtype=torch.uint8),
        torch.zeros(2, 0, 4, 4, dtype=torch.uint8),
        torch.zeros(2, 5, 4, 4, dtype=torch.uint8),
    ],
    ids=["floats", "no batch", "no channel", "five channels"],
)
def test_what_is_not_images_is_refused_with_what_came(images: torch.Tensor) -> None:
    with pytest.raises(DataError, match=rf"faces must be a uint8 tensor.*got {images.dtype}") as caught:
        require_images(images, "faces", DataError)
    assert str(tuple(images.shape)) in str(caught.value)


def test_images_pass_the_door_unchanged() -> None:
    assert require_images(ALL_BYTES, "images", InputError) is ALL_BYTES


@pytest.mark.parametrize(("channels", "left"), [(1, 1), (2, 1), (3, 3), (4, 3)])
def test_opacity_is_composed_before_white(channels: int, left: int) -> None:
    images = torch.randint(0, 256, (5, channels, 6, 7), dtype=torch.uint8)
    seen = composed(images)
    assert seen.shape == (5, left, 6, 7)
    assert colours_of(channels) == left
    if channels == left:
        assert seen is images
        return
    part = images[:, -1:].double() / 255
    exact = images[:, :-1] * part + 255 * (1 - part)
    assert (seen - exact).abs().max() <= 0.5
    floats = composed_floats(to_float(images))
    assert (floats - (exact / 127.5 - 1)).abs().max() < 1e-5


def test_full_opacity_changes_nothing_and_none_leaves_the_background() -> None:
    colours = torch.randint(0, 256, (2, 3, 4, 5), dtype=torch.uint8)
    for level, wanted in ((255, colours), (0, torch.full_like(colours, 255))):
        assert torch.equal(composed(torch.cat([colours, torch.full_like(colours[:, :1], level)], 1)), wanted)
    clear = torch.cat([colours, torch.zeros_like(colours[:, :1])], 1)
    assert int(composed(clear, 0).max()) == 0


def test_gradients_flow_through_opacity() -> None:
    images = (torch.rand(2, 4, 3, 3) - 0.5).requires_grad_()
    composed_floats(images).square().sum().backward()
    assert images.grad is not None
    assert (images.grad[:, -1].abs() > 0).all()


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("wanted", [1, 2, 3, 4])
def test_images_of_any_channels_become_ones_of_any_others(channels: int, wanted: int) -> None:
    images = torch.randint(0, 256, (2, channels, 4, 5), dtype=torch.uint8)
    made = in_channels(images, wanted)
    assert made.shape == (2, wanted, 4, 5)
    if channels % 2 == wanted % 2 == 0:
        assert torch.equal(made[:, -1], images[:, -1])
    elif wanted % 2 == 0:
        assert (made[:, -1] == 255).all()
    if wanted >= channels:  # nothing is lost
        assert channels % 2 == 0 or torch.equal(in_channels(made, channels), images)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_a_png_keeps_every_channel(channels: int) -> None:
    image = torch.randint(0, 256, (channels, 5, 7), dtype=torch.uint8)
    image[-1, 0] = 0  # transparent, if it is opacity: the colours below must last
    png = encode_png(image)
    assert torch.equal(decode_image(png, "a", opacity="held"), image)
    assert decode_image(png, "a").shape[0] == colours_of(channels)
    assert decode_image(png, "a", opacity="always").shape[0] == colours_of(channels) + 1
