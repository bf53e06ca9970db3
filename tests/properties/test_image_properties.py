"""Images through bytes, files and a hostile door."""

import io
import warnings

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor

from ganguard.base.codecs import decode_image, encode_png
from ganguard.base.errors import DataError
from ganguard.base.images import to_float, to_uint8
from ganguard.data.crops import centre_crop_resize

SIDES = st.integers(1, 24)
CHANNELS = st.sampled_from([1, 3])


def _noise(channels: int, height: int, width: int, seed: int = 0) -> Tensor:
    return torch.from_numpy(
        np.random.default_rng(seed).integers(0, 256, (channels, height, width), dtype=np.uint8)
    )


@given(channels=CHANNELS, height=SIDES, width=SIDES, seed=st.integers(0, 99))
def test_png_is_lossless_at_any_size(channels: int, height: int, width: int, seed: int) -> None:
    image = _noise(channels, height, width, seed)
    assert torch.equal(decode_image(encode_png(image), "noise"), image)


@given(st.lists(st.floats(-1, 1, width=32), min_size=1, max_size=50))
def test_bytes_of_floats_are_stable(values: list[float]) -> None:
    """What was once rounded stays: storing and reading an image again and again does not wear it off."""
    once = to_uint8(torch.tensor(values).view(1, 1, 1, -1))
    assert torch.equal(to_uint8(to_float(once)), once)
    assert ((to_float(once).flatten() - torch.tensor(values)).abs() <= 0.5 / 127.5 + 1e-6).all()


@given(channels=CHANNELS, height=SIDES, width=SIDES, size=SIDES, level=st.integers(0, 255))
def test_a_flat_image_stays_flat_at_any_size(
    channels: int, height: int, width: int, size: int, level: int
) -> None:
    image = torch.full((channels, height, width), level, dtype=torch.uint8)
    assert torch.equal(
        centre_crop_resize(image, size), torch.full((channels, size, size), level, dtype=torch.uint8)
    )


def _file(kind: str) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(_noise(3, 12, 14).permute(1, 2, 0).numpy()).save(buffer, format=kind)
    return buffer.getvalue()


FILES = {kind: _file(kind) for kind in ("PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF", "PPM")}


@settings(max_examples=150)
@given(
    kind=st.sampled_from(sorted(FILES)),
    changes=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=6),
    keep=st.floats(0, 1),
)
def test_a_damaged_file_is_an_image_or_a_data_error(
    kind: str, changes: list[tuple[float, int]], keep: float
) -> None:
    """Pillow raises a dozen sorts of errors on broken files; a user sees one."""
    content = bytearray(FILES[kind])
    for place, value in changes:
        content[int(place * len(content))] = value
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns of odd metadata; what counts is what is raised
        try:
            image = decode_image(bytes(content[: round(keep * len(content))]), "damaged")
        except DataError as problem:
            assert str(problem).startswith("damaged: ")
        else:
            assert image.dtype == torch.uint8
            assert image.shape[0] in (1, 3)
