"""What `ganguard measure` prints: one type a key, as its published schema says, and what was measured."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
import torch
from PIL import Image

from ganguard import __version__
from ganguard.base.compute import Compute
from ganguard.metrics import frechet_distance
from ganguard.metrics.features.network import extract
from ganguard.metrics.features.random_network import RandomNetwork
from ganguard.results.measured import measured_schema, write_measured_schema

Cli = Callable[..., tuple[int, str, str]]
SCHEMA = Path(__file__).parents[3] / "docs" / "measure.schema.json"


def _images(count: int, seed: int, channels: int = 1, side: int = 8) -> np.ndarray:
    """Images (N, H, W, C)."""
    return np.random.default_rng(seed).integers(0, 256, (count, side, side, channels), dtype=np.uint8)


def _folder(name: str, images: np.ndarray) -> str:
    Path(name).mkdir()
    for number, image in enumerate(images):
        Image.fromarray(image.squeeze()).save(Path(name) / f"{number:03d}.png")
    return name


def _measured(cli: Cli, *arguments: str) -> dict[str, Any]:
    code, out, err = cli("measure", *arguments)
    assert code == 0, err
    said = json.loads(out)
    jsonschema.validate(said, json.loads(SCHEMA.read_text()))
    return said


def _refused(cli: Cli, *arguments: str) -> str:
    code, out, err = cli("measure", *arguments)
    assert (code, out) == (2, "") and "Traceback" not in err
    return err.splitlines()[-1]


def test_the_published_schema_is_that_of_the_record(tmp_path: Path) -> None:
    write_measured_schema(tmp_path / "schema.json")
    assert (tmp_path / "schema.json").read_text() == SCHEMA.read_text()
    kinds = {name: kind.get("type") for name, kind in measured_schema()["properties"].items()}
    assert kinds["frechet_distance"] == kinds["niqe"] == "number"
    assert "null" not in SCHEMA.read_text()


def test_it_says_what_was_measured_and_how(cli: Cli) -> None:
    b = Path(_folder("b", _images(40, 1, 3)))
    (b / "._000.png").write_bytes(b"no image")
    Image.fromarray(_images(1, 2)[0, ..., 0]).save(b / "x.png")
    said = _measured(cli, "digits", "b", "--size", "8", "--metrics", "all", "--samples", "30")
    assert (said["images"], said["features"]) == ([30, 30], "random_network")
    assert said["sets"]["A"] == {
        "kind": "digits",
        "images": 30,
        "held": 1797,
        "width": 8,
        "height": 8,
        "channels": 3,
        "size": 8,
        "stray": 0,
        "unreadable": 0,
        "made_rgb": 0,
        "converted": "RGB",
    }
    assert said["sets"]["B"] == {
        "kind": "image_folder",
        "images": 30,
        "held": 41,
        "width": 8,
        "height": 8,
        "channels": 3,
        "size": 8,
        "crop": "centre",
        "stray": 1,
        "unreadable": 0,
        "made_rgb": 1,
    }
    assert said["network"] == {
        "settings": RandomNetwork().model_dump(),
        "dimensions": 64,
        "scaled_by": "B",
    }
    assert said["compute"] == {"device": "cpu", "threads": 1}
    assert said["versions"]["ganguard"] == __version__ and said["versions"]["numpy"] == np.__version__
    assert "which images are pairs is not known" in said["not_measured"]["psnr"]
    assert "pairs" not in said and "psnr" not in said
    assert said["notes"] == [
        "all images of A were made RGB",
        "The scale of 64 features comes from 30 different images of B, so distances depend on which set "
        "gives it. Give at least 64, or take the scale of an audit's `features`.",
    ]


def test_a_number_without_features_says_nothing_of_a_network(cli: Cli) -> None:
    said = _measured(cli, "digits", "digits", "--metrics", "ssim", "--samples", "9")
    assert "network" not in said and said["pairs"] == {"count": 9, "by": "place"}


def test_grey_against_colour_is_measured_as_grey_in_three_channels(cli: Cli) -> None:
    grey, colour = _images(30, 0), _images(30, 1, 3)
    a, b, repeated = _folder("a", grey), _folder("b", colour), _folder("r", grey.repeat(3, axis=3))
    names = ("--metrics", "frechet_distance,psnr")
    code, _, err = cli("measure", a, b, *names)
    assert code == 0 and "all images of A were made RGB" in err
    found = _measured(cli, a, b, *names)
    same = _measured(cli, repeated, b, *names)
    assert found["frechet_distance"] == same["frechet_distance"] and found["psnr"] == same["psnr"]
    assert _measured(cli, b, a, *names)["sets"]["B"]["converted"] == "RGB"
    grey_both = _measured(cli, a, b, *names, "--channels", "1")
    assert grey_both["sets"]["B"]["converted"] == "grey" and grey_both["psnr"] != found["psnr"]
    assert _measured(cli, a, a, "--metrics", "ssim", "--channels", "3")["sets"]["A"]["channels"] == 3
    assert "--channels must be 1 (grey) or 3 (RGB); got 2" in _refused(cli, a, b, "--channels", "2")


def test_a_harvest_of_grey_images_is_compared_with_colour(
    cli: Cli, tiny_checkpoint: Callable[..., Path]
) -> None:
    tiny_checkpoint(Path("made"))
    b = _folder("b", _images(30, 1, 3))
    said = _measured(cli, "made", b, "--samples", "20", "--metrics", "precision")
    assert said["sets"]["A"]["kind"] == "checkpoint" and said["sets"]["A"]["converted"] == "RGB"


def _features(images: np.ndarray) -> np.ndarray:
    network = RandomNetwork().load(Path(), images.shape[3])
    return extract(network, torch.from_numpy(images).permute(0, 3, 1, 2).contiguous(), Compute()).numpy()


def _statistics(name: str, features: np.ndarray, **others: np.ndarray) -> str:
    np.savez(name, mu=features.mean(0), sigma=np.cov(features, rowvar=False), **others)
    return name


def test_statistics_of_others_give_the_distance_of_their_images(cli: Cli) -> None:
    """As pytorch-fid writes them: features as the network gives them, without a scale."""
    a, b = _images(300, 0), _images(320, 1) // 2
    wanted = frechet_distance(_features(a), _features(b))
    np.savez("a.npz", a)
    stats = _statistics("b.npz", _features(b))
    for sides in (("a.npz", stats), (stats, "a.npz")):
        said = _measured(cli, *sides, "--features", "random_network")
        assert said["frechet_distance"] == pytest.approx(wanted, rel=1e-5)
        assert said["network"]["scaled_by"] == "nothing" and said["spread"] == {}
        assert "one network" in said["notes"][0]
    assert said["sets"]["A"] == {
        "kind": "statistics",
        "images": 0,
        "held": 0,
        "stray": 0,
        "unreadable": 0,
        "made_rgb": 0,
    }
    both = _measured(cli, stats, _statistics("a.stats.npz", _features(a)))
    assert both["frechet_distance"] == pytest.approx(wanted, rel=1e-5) and both["features"] == ""
    every = _measured(cli, "a.npz", stats, "--features", "random_network", "--metrics", "all")
    assert "only mean and covariance are known" in every["not_measured"]["precision"]


def test_what_statistics_do_not_allow_is_refused(cli: Cli) -> None:
    np.savez("a.npz", _images(300, 0))
    stats = _statistics("b.npz", np.random.default_rng(0).normal(size=(99, 5)))
    assert "do not say of which network. Name it, such as --features inception" in _refused(
        cli, "a.npz", stats
    )
    network = ("--features", "random_network")
    assert "64 dimensions, B of 5: they are of different networks" in _refused(cli, "a.npz", stats, *network)
    assert "They allow --metrics frechet_distance_unscaled" in _refused(
        cli, "a.npz", stats, *network, "--metrics", "precision"
    )
    np.savez("bad.npz", mu=np.zeros(2), sigma=np.array([[1.0, 2], [2, 1]]))
    assert "bad.npz: the covariance must have no negative eigenvalue" in _refused(cli, "a.npz", "bad.npz")


def test_adms_files_are_images(cli: Cli) -> None:
    """Its samples hold labels too, its reference batches statistics of two layers."""
    images = _images(20, 0, 3)
    _folder("a", images)
    np.savez_compressed("samples.npz", images, np.arange(20))
    moments = {"mu": np.zeros(3), "sigma": np.eye(3), "mu_s": np.zeros(2), "sigma_s": np.eye(2)}
    np.savez("reference.npz", images, **moments)
    for file in ("samples.npz", "reference.npz"):
        said = _measured(cli, "a", file, "--metrics", "frechet_distance,coverage")
        assert said["frechet_distance"] < 1e-6 and said["coverage"] == 1
        assert said["sets"]["B"]["kind"] == "npz" and said["sets"]["B"]["held"] == 20
    assert _measured(cli, "a", "samples.npz", "--samples", "7", "--metrics", "piqe,ssim,all")["images"] == [
        7,
        7,
    ]


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        (
            {"arr_0": _images(3, 0).astype(float)},
            "(N, H, W, C) uint8 with C of 1 to 4; got float64",
        ),
        ({"arr_0": _images(3, 0, 3).transpose(0, 3, 1, 2)}, "images.transpose(0, 2, 3, 1)"),
        ({"arr_0": _images(3, 0, 5)}, "C of 1 to 4; got uint8 (3, 8, 8, 5)"),
        ({"arr_0": np.zeros((3, 8), np.uint8)}, "got uint8 (3, 8)"),
        ({"arr_0": np.array([{}], object)}, "would have to be unpickled"),
        ({"arr_0": np.asfortranarray(_images(3, 0))}, "numpy.ascontiguousarray"),
        ({"mu": np.zeros(3)}, "holds mu; wanted arr_0"),
        ({"mu": np.zeros(3), "sigma": np.eye(2)}, "must be of shapes (D,) and (D, D)"),
        ({"mu": np.zeros(3, complex), "sigma": np.eye(3)}, "must be real numbers"),
        ({}, "holds no array"),
    ],
)
def test_an_archive_of_anything_else_is_refused(cli: Cli, arrays: dict[str, np.ndarray], said: str) -> None:
    np.savez("x.npz", **arrays)
    assert said in _refused(cli, "x.npz", "digits")


@pytest.mark.parametrize("damage", ["cut", "nonsense", "flipped", "another size"])
def test_a_damaged_archive_is_refused(cli: Cli, damage: str) -> None:
    np.savez_compressed("x.npz", _images(50, 0))
    content = bytearray(Path("x.npz").read_bytes())
    if damage == "flipped":
        content[len(content) // 2] ^= 255
    if damage == "another size":  # the header claims more than the file holds
        np.savez("x.npz", _images(50, 0))
        content = bytearray(Path("x.npz").read_bytes().replace(b"(50, 8, 8, 1)", b"(99, 8, 8, 1)"))
    Path("x.npz").write_bytes({"cut": content[:-30], "nonsense": b"no archive"}.get(damage, content))
    assert "x.npz" in _refused(cli, "x.npz", "digits")


def test_the_units_of_a_number_are_those_of_its_name(cli: Cli) -> None:
    """Statistics have the distance that papers print, under its name too; kid alone is of nothing scaled."""
    rows = np.random.default_rng(0).normal(size=(90, 4))
    np.savez("s.npz", mu=rows.mean(0), sigma=np.cov(rows.T))
    both = _measured(cli, "s.npz", "s.npz")
    assert both["frechet_distance"] == both["frechet_distance_unscaled"] == pytest.approx(0, abs=1e-9)
    named = _measured(cli, "s.npz", "s.npz", "--metrics", "frechet_distance_unscaled")
    assert "frechet_distance" not in named
    assert _measured(cli, "digits", "digits", "--metrics", "kid")["network"]["scaled_by"] == "nothing"
    assert _measured(cli, "digits", "digits", "--metrics", "ndb,jsd")["spread"] == {}


def test_a_mistyped_number_is_refused_before_images_are_read(cli: Cli) -> None:
    assert "unknown metric 'fidd'" in _refused(cli, "nowhere", "digits", "--metrics", "fidd")
    assert "--metrics: a name is empty" in _refused(cli, "digits", "digits", "--metrics", "")
