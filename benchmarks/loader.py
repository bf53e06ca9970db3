"""Images a second from the loader, beside those that a training takes, both measured on this machine.

    python benchmarks/loader.py [IMAGES] [STEPS] [THREADS]

A folder of IMAGES JPEG files of CelebA's size (178x218 pixels, smooth noise) is read at 32x32 pixels. It is
decoded once into the image cache; then random batches of 64 are drawn from the mapped cache, as floats on the
CPU, as a training draws them. That is done with the file in memory, and once after the system was told to
forget it.

The peer is the training that has to be fed: SNGAN-32 of the published widths, of which D sees 320 images a
step of G, for STEPS steps. Each line has images a second, and how many times the training's that is. A
decoded set is cached only if it has more than 32 MiB, so IMAGES must be at least 11,000.
"""

import gc
import io
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import scipy.ndimage
import torch
from PIL import Image

from ganguard.base.compute import Compute, cores
from ganguard.base.image_rows import ImageRows
from ganguard.base.images import to_float
from ganguard.data.image_folder import ImageFolder
from ganguard.data.splits import split
from ganguard.training.device import batch
from ganguard.training.loop import train_generator
from ganguard.training.settings import TrainingSettings

BATCH, ROUNDS, BATCHES = 64, 5, 200
DISTINCT = 500  # different images; the files repeat them
SNGAN = {"architecture": {"kind": "sngan", "width_factor": 1}, "batch_size": BATCH, "ema_decay": 0}


def folder_of(place: Path, count: int) -> ImageFolder:
    """Write `count` JPEG files."""
    generator = np.random.default_rng(0)
    content: list[bytes] = []
    for _ in range(DISTINCT):
        noise = scipy.ndimage.gaussian_filter(generator.normal(size=(218, 178, 3)), (3, 3, 0)) * 600 + 128
        buffer = io.BytesIO()
        Image.fromarray(noise.clip(0, 255).astype(np.uint8)).save(buffer, "JPEG", quality=90)
        content.append(buffer.getvalue())
    place.mkdir()
    for number in range(count):
        (place / f"{number:06}.jpg").write_bytes(content[number % DISTINCT])
    return ImageFolder(path=str(place), size=32, channels=3)


def rows_of(folder: ImageFolder) -> ImageRows:
    """Return the train split, as `ganguard train` takes it."""
    real = folder.load()
    return ImageRows(real.images, split(real).train)


def batches_a_second(images: ImageRows, batches: int) -> float:
    """Return the images a second of batches as a training step draws them."""
    generator, cpu = torch.Generator().manual_seed(0), torch.device("cpu")
    begun = time.perf_counter()
    for _ in range(batches):
        to_float(batch(images, torch.randint(len(images), (BATCH,), generator=generator), cpu))
    return BATCH * batches / (time.perf_counter() - begun)


def forgotten(cache: Path) -> None:
    """Make the system drop the cache's files from memory; nothing maps them now."""
    gc.collect()
    os.sync()
    for file in cache.rglob("images"):
        with file.open("rb") as opened:
            os.posix_fadvise(opened.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def training_rate(images: ImageRows, place: Path, steps: int, threads: int) -> float:
    """Return the images a second that D sees, from the first step to the last."""
    settings, seen = TrainingSettings.model_validate({**SNGAN, "steps": steps}), list[float]()

    def progress(done: int, total: int, note: str = "") -> None:
        seen.append(time.perf_counter())

    train_generator(images, settings, place, seed=0, compute=Compute(threads=threads), progress=progress)
    return BATCH * settings.completed().n_dis * steps / (seen[-1] - seen[0])


def main(count: int, steps: int, threads: int) -> None:
    """Write, decode, draw, train, and print."""
    torch.set_num_threads(threads)
    print(f"{count:,} images, {threads} threads, torch {torch.__version__}", flush=True)
    with tempfile.TemporaryDirectory() as place:
        os.environ["GANGUARD_IMAGE_CACHE"] = str(Path(place) / "cache")
        folder = folder_of(Path(place) / "images", count)
        begun = time.perf_counter()
        images = rows_of(folder)
        found = {"decoded, once": count / (time.perf_counter() - begun)}
        begun = time.perf_counter()
        images = rows_of(folder)
        found["opened again"] = count / (time.perf_counter() - begun)
        found["batches, file in memory"] = statistics.median(
            batches_a_second(images, BATCHES) for _ in range(ROUNDS)
        )
        del images
        forgotten(Path(place) / "cache")
        images = rows_of(folder)
        found["batches, file forgotten"] = batches_a_second(images, 20)
        trained = training_rate(images, Path(place) / "training", steps, threads)
    print(f"{'training SNGAN-32':26} {trained:12,.1f} images/s", flush=True)
    for what, rate in found.items():
        print(f"{what:26} {rate:12,.0f} images/s   {rate / trained:10,.1f} x the training", flush=True)


if __name__ == "__main__":
    given = [int(value) for value in sys.argv[1:]]
    main(*given, *(20_000, 2, cores())[len(given) :])
