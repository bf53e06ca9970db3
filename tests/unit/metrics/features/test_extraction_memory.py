"""The memory of feature networks above their images, whatever the size of these.

It is measured in a process of its own, since the peak is that of the whole process.
"""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from feature_networks import save_dinov2, save_script
from torch import Tensor, nn

from ganguard.base.compute import Compute
from ganguard.metrics.features.classifier import Classifier
from ganguard.metrics.features.extraction import extract_stream
from ganguard.metrics.features.huggingface import HuggingFace
from ganguard.metrics.features.network import CHUNK, MOST_BYTES, FeatureNetwork, extract
from ganguard.metrics.features.preprocessing import PIXELS_AT_ONCE, resized
from ganguard.metrics.features.random_network import RandomNetwork
from ganguard.metrics.features.torchscript import TorchScript

MEASURED = """
import sys
from pathlib import Path
import torch
from ganguard.base.compute import Compute
from ganguard.metrics.features.classifier import Classifier
from ganguard.metrics.features.network import extract
from ganguard.metrics.features.random_network import RandomNetwork

def peak():
    # Not ru_maxrss, which includes the parent's.
    return int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]) / 1024

kind, side, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
settings = {"random_network": RandomNetwork(), "classifier": Classifier()}[kind]
network = settings.untrained(3, 10) if kind == "classifier" else settings.load(Path(), 3)
images = torch.randint(0, 256, (count, 3, side, side), dtype=torch.uint8)
extract(network, images[:2, :, :8, :8], Compute())
before = peak()
extract(network, images, Compute())
print(peak() - before)
"""
GIBIBYTE = 1024.0  # megabytes


def _measured(kind: str, side: int, count: int) -> float:
    command = [sys.executable, "-c", MEASURED, kind, str(side), str(count)]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["random_network", "classifier"])
def test_the_peak_above_images_of_128_pixels_is_below_a_gibibyte(kind: str) -> None:
    """128 images at once took 1.3 GiB, and 256 of them 2.6."""
    assert _measured(kind, 128, 128) < GIBIBYTE


@pytest.mark.proof
@pytest.mark.parametrize("kind", ["random_network", "classifier"])
@pytest.mark.parametrize(("side", "count"), [(256, 100), (512, 40), (1024, 10)])
def test_the_peak_above_large_images_is_below_a_gibibyte(kind: str, side: int, count: int) -> None:
    found = _measured(kind, side, count)
    sys.stdout.write(f"{kind}, {count} images of {side}x{side}: {found:.0f} MiB above the images\n")
    assert found < GIBIBYTE


class Batches(FeatureNetwork):
    """The mean of each image, and how many images were taken at once."""

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[int] = []

    def features(self, images: Tensor) -> Tensor:
        self.batches.append(len(images))
        return images.mean(dim=(2, 3))


@pytest.mark.parametrize(
    ("network", "unbounded"),
    [
        (RandomNetwork().load(Path(), 3), 64),
        (Classifier().untrained(3, 10), 64),
        (Classifier(width=64).untrained(3, 10), 32),
        (Batches(), 32),
    ],
)
def test_no_chunk_takes_more_than_the_bound(network: FeatureNetwork, unbounded: int) -> None:
    """Up to the size at which CHUNK images fit, nothing changes; beyond it, fewer are taken, never none."""
    assert network.chunk(unbounded, unbounded) == CHUNK
    for height, width in ((128, 128), (64, 1024), (512, 512), (1024, 1024)):
        many = network.chunk(height, width)
        assert 1 <= many < CHUNK
        assert many == 1 or many * network.working_bytes(height, width) <= MOST_BYTES
        assert (many + 1) * network.working_bytes(height, width) > MOST_BYTES
    assert network.chunk(4096, 4096) == 1


def test_a_smaller_number_of_a_network_itself_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Batches, "at_once", 7)
    assert Batches().chunk(8, 8) == 7


def test_a_network_that_resizes_works_at_the_size_that_it_resizes_to(tmp_path: Path) -> None:
    model = HuggingFace(model=str(save_dinov2(tmp_path / "model"))).load(tmp_path, 3)
    assert model.chunk(32, 32) == model.chunk(1024, 1024) == 64
    keeps = save_dinov2(
        tmp_path / "keeps",
        preprocessor={
            "image_processor_type": "BitImageProcessor",
            "do_resize": False,
            "do_center_crop": False,
            "image_mean": [0.5, 0.5, 0.5],
            "image_std": [0.5, 0.5, 0.5],
        },
    )
    assert HuggingFace(model=str(keeps)).load(tmp_path, 3).chunk(1024, 1024) == 1


class Means(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        return images.float().mean(dim=[2, 3])


def test_a_program_works_at_the_size_that_it_is_given(tmp_path: Path) -> None:
    path = str(save_script(Means(), tmp_path / "means.pt"))
    assert TorchScript(path=path, trusted=True, size=64).load(tmp_path, 3).chunk(1024, 1024) > 100
    assert TorchScript(path=path, trusted=True).load(tmp_path, 3).chunk(1024, 1024) == 1


def test_chunks_of_large_images_change_nothing_and_streams_are_cut_alike(
    compute: Compute, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = torch.randint(0, 256, (21, 3, 40, 24), dtype=torch.uint8)
    network = RandomNetwork(dimensions=5).load(Path(), 3)
    whole = extract(network, images, compute)
    monkeypatch.setattr(
        "ganguard.metrics.features.network.MOST_BYTES", 4 * network.working_bytes(*images.shape[2:])
    )
    few = extract(network, images, compute)
    assert torch.allclose(whole, few, rtol=1e-4, atol=1e-5)
    assert torch.equal(extract_stream(network, images.split(5), compute), few)
    counted = Batches()
    monkeypatch.setattr(Batches, "bytes_a_pixel", network.bytes_a_pixel)
    extract_stream(counted, images.split(10), compute)
    assert counted.batches == [4, 4, 4, 4, 4, 1]


def test_images_are_resized_in_parts_of_the_same_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    images = torch.randint(0, 256, (9, 3, 40, 24), dtype=torch.uint8)
    whole = resized(images, 17, 33, "bicubic")
    assert len(images) * 40 * 33 < PIXELS_AT_ONCE
    monkeypatch.setattr("ganguard.metrics.features.preprocessing.PIXELS_AT_ONCE", 40 * 33 * 2)
    assert torch.equal(resized(images, 17, 33, "bicubic"), whole)
