"""The memory that metrics of images take above their inputs.

It is measured in a process of its own, since the peak is that of the whole process.
"""

import subprocess
import sys

import pytest

MEASURED = """
import sys
from pathlib import Path
import torch
from ganguard.metrics import fit_niqe, has_texture, ndb_jsd, niqe, piqe, psnr, ssim
from ganguard.metrics.ndb_jsd import Bins

torch.set_num_threads(1)

def peak():
    # Not ru_maxrss, which includes the parent's.
    return int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]) / 1024

def photos(count, side):
    coarse = torch.rand(count, 3, 8, 8, generator=torch.Generator().manual_seed(0)) * 255
    images = torch.empty(count, 3, side, side, dtype=torch.uint8)
    for i in range(count):  # one at a time, so that making them is not what is measured
        smooth = torch.nn.functional.interpolate(coarse[i : i + 1], (side, side), mode="bilinear")
        images[i] = (smooth[0] + torch.randint(0, 32, (3, side, side))).clamp(0, 255).to(torch.uint8)
    return images

images = photos(int(sys.argv[2]), int(sys.argv[3]))
ndb_jsd(images[:5, :, :4, :4].flatten(1), images[:5, :, :4, :4].flatten(1), bins=2)
before = peak()
{
    "bins": lambda: Bins.fit(images.flatten(1)).count(images.flatten(1)),
    "whitening": lambda: ndb_jsd(images.flatten(1), images.flatten(1), whitening=True),
    "piqe": lambda: piqe(images),
    "ssim": lambda: ssim(images, images),
    "psnr": lambda: psnr(images, images),
    "niqe": lambda: niqe(images, fit_niqe(images, block_size=96)),
}[sys.argv[1]]()
print(peak() - before)
"""


def _above(what: str, count: int, side: int) -> float:
    """Return the peak above the inputs in MiB."""
    given = [sys.executable, "-c", MEASURED, what, str(count), str(side)]
    return float(subprocess.run(given, capture_output=True, text=True, check=True).stdout)


@pytest.mark.parametrize(("what", "count", "side", "most"), [("bins", 1000, 64, 300), ("piqe", 4, 1024, 300)])
def test_pixels_take_little_above_the_images(what: str, count: int, side: int, most: float) -> None:
    """In MiB; the bins took 32 times the images' bytes, 380 MiB here, when scikit-learn made them."""
    assert _above(what, count, side) < most


@pytest.mark.slow
@pytest.mark.parametrize(
    ("what", "count", "side"),
    [("bins", 120, 512), ("niqe", 8, 1024), ("ssim", 8, 1024), ("psnr", 8, 1024)],
)
def test_larger_sets_take_less_than_a_gibibyte(what: str, count: int, side: int) -> None:
    assert _above(what, count, side) < 1024


@pytest.mark.proof
def test_bins_of_many_images_do_as_well() -> None:
    above = _above("bins", 3500, 128)
    sys.stdout.write(f"bins of 3,500 images of 128x128: {above:.0f} MiB above the inputs\n")
    assert above < 1024


@pytest.mark.proof
@pytest.mark.parametrize(("what", "count"), [("bins", 500), ("whitening", 200)])
def test_images_of_a_megapixel_do_as_well(what: str, count: int) -> None:
    above = _above(what, count, 1024)
    sys.stdout.write(f"{what} of {count} images of 1024x1024: {above:.0f} MiB above the inputs\n")
    assert above < 1024
