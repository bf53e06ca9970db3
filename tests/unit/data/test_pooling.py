"""Pooling: means of squares, against a slow twin; refused where sides do not divide."""

from pathlib import Path

import numpy as np
import pytest
import torch
from idx_files import write_idx
from PIL import Image

from ganguard.base.errors import DataError, SpecError
from ganguard.data import pooling
from ganguard.data.dataset import fingerprint, load_dataset, parse_dataset
from ganguard.data.digits import Digits
from ganguard.data.idx import IdxImages
from ganguard.data.image_folder import ImageFolder
from ganguard.data.pooling import pooled

IMAGES = torch.randint(0, 256, (7, 4, 6, 9), generator=torch.Generator().manual_seed(0)).to(torch.uint8)


def _slow(image: torch.Tensor, pool: int) -> list[list[list[int]]]:
    """The mean of each square of an image (C, H, W), and colours weighed by opacity if there is any."""
    pixels = image.double().numpy()
    weights = pixels[-1] if len(image) in (2, 4) else np.ones(pixels.shape[1:])
    made = np.zeros((len(image), *(side // pool for side in pixels.shape[1:])))
    for channel, row, column in np.ndindex(*made.shape):
        at = np.s_[row * pool : row * pool + pool, column * pool : column * pool + pool]
        own = weights[at] if channel < len(image) - 1 or len(image) in (1, 3) else np.ones((pool, pool))
        made[channel, row, column] = (pixels[channel][at] * own).sum() / max(own.sum(), 1)
    return np.round(made).astype(int).tolist()


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_a_pixel_is_the_mean_of_a_square(channels: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pooling, "AT_ONCE", 500)  # some images at once, not all
    made = pooled(IMAGES[:, :channels], 3, "x")
    assert made.dtype == torch.uint8 and made.is_contiguous()
    assert made.tolist() == [_slow(image[:channels], 3) for image in IMAGES]


def test_colours_under_full_transparency_do_not_show() -> None:
    image = torch.tensor([[[10, 250], [10, 250]], [[255, 0], [255, 0]]], dtype=torch.uint8)[None]
    assert pooled(image, 2, "x").flatten().tolist() == [10, 128]


def test_any_data_set_is_pooled_after_its_size(tmp_path: Path) -> None:
    Image.fromarray(np.arange(192, dtype=np.uint8).reshape(8, 8, 3)).save(tmp_path / "a.png")
    Image.fromarray(np.full((12, 12, 3), 7, np.uint8)).save(tmp_path / "b.png")
    whole = load_dataset(ImageFolder(path=str(tmp_path), size=8))
    settings = ImageFolder(path=str(tmp_path), size=8, pool=4)
    real = load_dataset(settings)
    assert torch.equal(real.images, pooled(whole.images, 4, "x"))
    assert settings.image_shape() == (3, 2, 2)
    assert load_dataset(Digits(pool=2)).images.shape == (1797, 1, 4, 4)
    assert torch.equal(load_dataset(Digits(pool=2)).labels, load_dataset(Digits()).labels)


def test_what_does_not_divide_is_refused_unread_where_that_can_be_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(DataError, match=r"^digits: pool 3 does not divide images of 8x8 pixels\. Set `pool`"):
        load_dataset(Digits(pool=3))
    path = str(write_idx(tmp_path / "x-images-idx3-ubyte", np.zeros((2, 6, 9), np.uint8)))
    with pytest.raises(DataError, match="pool 2 does not divide images of 9x6 pixels"):
        load_dataset(IdxImages(path=path, pool=2))
    monkeypatch.setattr(IdxImages, "load", None)
    with pytest.raises(DataError, match="pool 3 does not divide images of 8x8"):
        load_dataset(IdxImages(path=path, size=8, pool=3))


def test_without_it_settings_are_written_as_before() -> None:
    assert "pool" not in Digits().model_dump()
    assert parse_dataset(Digits(pool=2).model_dump(mode="json")) == Digits(pool=2)
    assert fingerprint(Digits(pool=2)) == fingerprint(Digits())
    with pytest.raises(SpecError, match=r"digits\.pool"):
        parse_dataset({"kind": "digits", "pool": 0})
