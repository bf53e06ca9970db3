import pytest
import torch

from ganguard.base.errors import DataError, InputError
from ganguard.base.images import require_images, shape_of, to_float, to_uint8

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
        torch.zeros(2, 2, 4, 4, dtype=torch.uint8),
    ],
    ids=["floats", "no batch", "two channels"],
)
def test_what_is_not_images_is_refused_with_what_came(images: torch.Tensor) -> None:
    with pytest.raises(DataError, match=rf"faces must be a uint8 tensor.*got {images.dtype}") as caught:
        require_images(images, "faces", DataError)
    assert str(tuple(images.shape)) in str(caught.value)


def test_images_pass_the_door_unchanged() -> None:
    assert require_images(ALL_BYTES, "images", InputError) is ALL_BYTES
