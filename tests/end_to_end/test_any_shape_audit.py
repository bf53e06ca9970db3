"""An audit of a generator of images that are neither square nor opaque, by copies of every architecture."""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from ganguard.architectures import ARCHITECTURES
from ganguard.results.records import read_results

Cli = Callable[..., tuple[int, str, str]]
FACTORY = """
import torch
from torch import nn

class G(nn.Module):
    latent_dim = 6
    def __init__(self):
        super().__init__()
        self.f = nn.Linear(6, VALUES)
    def forward(self, z):
        return (2 * self.f(z)).tanh().view(-1, SHAPE)

class D(nn.Module):
    def __init__(self):
        super().__init__()
        self.f, self.last = nn.Linear(VALUES, 8), nn.Linear(8, 1)
    def features(self, images):
        return self.f(images.flatten(1)).relu()
    def forward(self, images):
        return self.last(self.features(images))

def make():
    torch.manual_seed(0)
    return G(), D()
"""


def _write_factory(file: Path, channels: int, height: int, width: int) -> None:
    source = FACTORY.replace("VALUES", str(channels * height * width))
    file.write_text(source.replace("SHAPE", f"{channels}, {height}, {width}"))


def _write_images(folder: Path, count: int, channels: int, height: int, width: int) -> None:
    folder.mkdir()
    random = np.random.default_rng(0)
    for number in range(count):
        pixels = random.integers(0, 256, (height, width, channels), dtype=np.uint8)
        Image.fromarray(pixels[..., 0] if channels == 1 else pixels).save(folder / f"{number}.png")


@pytest.mark.slow
@pytest.mark.parametrize(("channels", "height", "width"), [(4, 13, 21), (1, 5, 64)])
def test_any_shape_is_audited_from_end_to_end(
    cli: Cli, tmp_path: Path, channels: int, height: int, width: int
) -> None:
    name = f"any_shape_{channels}"
    _write_factory(tmp_path / f"{name}.py", channels, height, width)
    _write_images(tmp_path / "real", 100, channels, height, width)
    training = {"steps": 2, "batch_size": 8}
    of_gans = {"latent_dim": 5}, {"n_dis": 1}
    kinds = sorted(ARCHITECTURES.builtin) if channels == 4 else ["pggan"]
    spec = {
        "target": {"python": f"{name}:make"},
        "real": {"kind": "image_folder", "path": "real", **({"alpha": "keep"} if channels == 4 else {})},
        "features": "random_network",
        "attacks": [
            *(
                {
                    "kind": "fidelity",
                    "architecture": {"kind": kind, "width": 4, **codes},
                    "query_budget": 30,
                    **training,
                    **how,
                }
                for kind in kinds
                for codes, how in [({}, {}) if kind == "flow" else of_gans]
            ),
            {
                "kind": "accuracy_white_box",
                "architecture": {"kind": "dcgan", "width": 4, "latent_dim": 5},
                "query_budget": 30,
                "real_fraction": 0.9,
                "n_dis": 1,
                **training,
            },
        ],
        "samples": 30,
        "even_if": "target_broken",
    }
    (tmp_path / "spec.yaml").write_text(yaml.safe_dump(spec))
    code, _, err = cli("audit", "spec.yaml", "--out", "out", "--processes", "1")
    assert code == 0, err
    results = read_results(tmp_path / "out")
    assert results.target.image_shape == (channels, height, width)
    copied = {m.attack or "" for m in results.measurements if m.subject == "substitute"}
    assert len(copied) == len(kinds) + 1
    assert all(any(kind in attack for attack in copied) for kind in kinds)
    assert results.failures == ()
    said_in_report = (tmp_path / "out" / "report.html").read_text()
    assert ("colour with opacity; seen before a white background" in said_in_report) is (channels == 4)
    for picture in (tmp_path / "out" / "grids").glob("*.png"):
        with Image.open(io.BytesIO(picture.read_bytes())) as grid:
            assert grid.mode == ("RGB" if channels == 4 else "L")


def test_a_copy_that_cannot_be_built_is_refused_before_anything_is_bought(cli: Cli, tmp_path: Path) -> None:
    """SNGAN's published widths are of four sizes; 28 is built as it is, and 31 as 32."""
    common = ("--query-budget", "5", "--set", "steps=1", "--out", "copy")
    refused = "{kind: sngan, width_factor: 0.01}"
    _write_factory(tmp_path / "square.py", 1, 28, 28)
    code, _, err = cli(
        "attack", "fidelity", "python:square:make", *common, "--set", f"architecture={refused}"
    )
    assert code == 2
    assert "published widths are for images of 32, 48, 64, 128 pixels; got 28" in err
    assert not list(tmp_path.glob("copy/**/*.parquet"))


@pytest.mark.parametrize(
    ("real", "said"),
    [
        ({"size": "21x13", "alpha": "drop"}, "Set `alpha: keep` of the real data."),
        ({"size": 13}, "Set `size: 21x13` and `alpha: keep` of the real data."),
        ({"channels": 1, "alpha": "keep"}, "Set `channels: 3` of the real data."),
    ],
)
def test_real_images_of_another_shape_are_told_the_settings_that_mend_it(
    cli: Cli, tmp_path: Path, real: dict[str, object], said: str
) -> None:
    _write_factory(tmp_path / "stickers.py", 4, 13, 21)
    _write_images(tmp_path / "real", 50, 4, 13, 21)
    spec = {
        "target": {"python": "stickers:make"},
        "real": {"kind": "image_folder", "path": "real", **real},
        "features": "random_network",
        "attacks": [{"kind": "fidelity", "architecture": "dcgan", "query_budget": 10, "steps": 1}],
        "samples": 10,
    }
    (tmp_path / "spec.yaml").write_text(yaml.safe_dump(spec))
    code, _, err = cli("audit", "spec.yaml", "--out", "out", "--processes", "1")
    assert code == 2
    assert said in " ".join(err.split())
    assert not (tmp_path / "out" / "purchases").exists()
