"""Images of a data set as a target."""

from pathlib import Path

import pytest
import torch

from ganguard.base.codecs import encode_png
from ganguard.base.compute import Compute
from ganguard.base.errors import DataError, SpecError, TargetError
from ganguard.targets.load import load_target, parse_target
from ganguard.targets.protocol import BlackBoxTarget, LatentTarget


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Ten images of one grey each: 0, 10, ... 90."""
    (tmp_path / "mine").mkdir()
    for grey in range(10):
        (tmp_path / "mine" / f"{grey}.png").write_bytes(
            encode_png(torch.full((1, 8, 8), 10 * grey, dtype=torch.uint8))
        )
    return tmp_path / "mine"


def _load(folder: Path, compute: Compute) -> BlackBoxTarget:
    said = {"images": {"kind": "image_folder", "path": str(folder), "size": 8, "channels": 1}}
    settings = parse_target(said)
    assert parse_target(settings.model_dump(mode="json")) == settings
    return load_target(settings, compute)


def test_each_image_is_one_of_them_and_as_likely(folder: Path, compute: Compute) -> None:
    target = _load(folder, compute)
    assert target.image_shape == (1, 8, 8)
    assert not isinstance(target, LatentTarget)
    drawn = target.sample(range(5000), seed=0)
    assert drawn.dtype == torch.uint8
    assert torch.equal(drawn, drawn[:, :, :1, :1].expand_as(drawn))
    counts = torch.bincount(drawn[:, 0, 0, 0].long() // 10, minlength=10)
    assert counts.sum() == 5000
    assert ((counts - 500).abs() < 5 * 500**0.5).all()


def test_an_image_follows_from_seed_and_index_alone(folder: Path, compute: Compute) -> None:
    target = _load(folder, compute)
    whole = target.sample(range(100), seed=1)
    assert torch.equal(
        torch.cat([target.sample(range(37), seed=1), target.sample(range(37, 100), seed=1)]), whole
    )
    assert not torch.equal(target.sample(range(100), seed=2), whole)


def test_it_is_known_by_its_images(folder: Path, compute: Compute) -> None:
    before = _load(folder, compute).identity
    assert _load(folder, compute).identity == before
    (folder / "0.png").write_bytes(encode_png(torch.full((1, 8, 8), 255, dtype=torch.uint8)))
    assert _load(folder, compute).identity != before


def test_what_holds_no_images_is_refused(tmp_path: Path, compute: Compute) -> None:
    with pytest.raises(DataError, match="nowhere"):
        _load(tmp_path / "nowhere", compute)
    with pytest.raises(SpecError, match="unknown data set"):
        parse_target({"images": "digit"})


def test_in_order_each_image_is_had_once_whatever_the_seed(folder: Path, compute: Compute) -> None:
    settings = parse_target({"images": str(folder), "in_order": True})
    assert parse_target(settings.model_dump(mode="json")) == settings
    target = load_target(settings, compute)
    assert target.sample(range(10), seed=3)[:, 0, 0, 0].tolist() == list(range(0, 100, 10))
    assert torch.equal(target.sample(range(4, 6), seed=9), target.sample(range(10), seed=0)[4:6])
    assert target.identity != load_target(parse_target({"images": str(folder)}), compute).identity
    with pytest.raises(TargetError, match="10 images were bought before; 11 are wanted"):
        target.sample(range(5, 11), seed=0)


@pytest.mark.parametrize("absent", ["no/such/folder", "digitz", ""])
def test_a_text_that_is_no_path_and_no_data_set_is_refused(absent: str) -> None:
    with pytest.raises(SpecError, match="data set"):
        parse_target({"images": absent})
