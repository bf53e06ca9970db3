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
        self.f = nn.Linear(6, {values})
    def forward(self, z):
        return (2 * self.f(z)).tanh().view(-1, {channels}, {height}, {width})

class D(nn.Module):
    def __init__(self):
        super().__init__()
        self.f, self.last = nn.Linear({values}, 8), nn.Linear(8, 1)
    def features(self, images):
        return self.f(images.flatten(1)).relu()
    def forward(self, images):
        return self.last(self.features(images))

def make():
    torch.manual_seed(0)
    return G(), D()
"""


@pytest.mark.slow
@pytest.mark.parametrize(("channels", "height", "width"), [(4, 13, 21), (1, 5, 64)])
def test_any_shape_is_audited_from_end_to_end(
    cli: Cli, tmp_path: Path, channels: int, height: int, width: int
) -> None:
    values = channels * height * width
    name = f"any_shape_{channels}"
    said = {"values": values, "channels": channels, "height": height, "width": width}
    source = FACTORY
    for key, value in said.items():
        source = source.replace(f"{{{key}}}", str(value))
    (tmp_path / f"{name}.py").write_text(source)
    (tmp_path / "real").mkdir()
    random = np.random.default_rng(0)
    for number in range(100):
        pixels = random.integers(0, 256, (height, width, channels), dtype=np.uint8)
        Image.fromarray(pixels[..., 0] if channels == 1 else pixels).save(tmp_path / "real" / f"{number}.png")
    training = {"steps": 2, "batch_size": 8, "n_dis": 1}
    sizes = {"width": 4, "latent_dim": 5}
    kinds = sorted(ARCHITECTURES.builtin) if channels == 4 else ["pggan"]
    spec = {
        "target": {"python": f"{name}:make"},
        "real": {"kind": "image_folder", "path": "real", **({"alpha": "keep"} if channels == 4 else {})},
        "features": "random_network",
        "attacks": [
            *(
                {"kind": "fidelity", "architecture": {"kind": kind, **sizes}, "query_budget": 30, **training}
                for kind in kinds
            ),
            {
                "kind": "accuracy_white_box",
                "architecture": {"kind": "dcgan", **sizes},
                "query_budget": 30,
                "real_fraction": 0.9,
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
    (tmp_path / "square.py").write_text(
        FACTORY.replace("{values}", "784")
        .replace("{channels}", "1")
        .replace("{height}", "28")
        .replace("{width}", "28")
    )
    code, _, err = cli(
        "attack", "fidelity", "python:square:make", *common, "--set", f"architecture={refused}"
    )
    assert code == 2
    assert "published widths are for images of 32, 48, 64, 128 pixels; got 28" in err
    assert not list(tmp_path.glob("copy/**/*.parquet"))
