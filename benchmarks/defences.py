"""The cost of a defence beside the bare call of the library that it stands on, measured in turns.

    python benchmarks/defences.py

Printed are images a second of both. The bare calls are:

- NumPy's own generator, one for all images (ours draws a stream for each image);
- scipy.ndimage, on float and on byte arrays as they lie in memory;
- simplejpeg, one image after the other on one thread, or chunks of images on every core, keeping all that is
decoded: once from pixels with channels last, as it takes them, once from planes, which both sides have to
reorder;
- for adversarial noise, the same number of forward and backward passes of the same network.
"""

import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import scipy.ndimage
import simplejpeg
import torch

from ganguard.base.compute import cores
from ganguard.base.images import to_float
from ganguard.defences.output_adversarial_noise import AdversarialNoise
from ganguard.defences.output_filter import GaussianFilter, MedianFilter
from ganguard.defences.output_jpeg import Jpeg
from ganguard.defences.output_noise import GaussianNoise
from ganguard.defences.protocol import OutputDefence, Tools
from ganguard.defences.streams import Streams
from ganguard.metrics.features.network import load_features, parse_features

ROUNDS, MOST_ROUNDS, LONG = 3, 500, 6.0  # fewest, most, and the seconds after which a row gets no more rounds
STEPS = 5  # of adversarial noise
NETWORK = load_features(parse_features({"kind": "random_network", "seed": 1}), Path(), 3).eval().features
Work = Callable[[], object]


def seconds(work: Work) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def row(what: str, images: int, ours: Work, bare: Work) -> None:
    """Print images a second of both, from the best round of each, and the median over rounds of the ratio."""
    for work in (ours, bare):  # warm up
        work()
    pairs: list[tuple[float, float]] = []
    while len(pairs) < ROUNDS or (len(pairs) < MOST_ROUNDS and sum(map(sum, pairs)) < LONG):
        pairs.append((seconds(ours), seconds(bare)))
    mine, theirs = (images / min(times) for times in zip(*pairs, strict=True))
    ratio = statistics.median(other / own for own, other in pairs)
    print(f"{what:44} {mine:10,.0f} /s   bare {theirs:10,.0f} /s   {ratio:5.2f}", flush=True)


def bare_noise(images: torch.Tensor) -> Work:
    generator, rows = np.random.Generator(np.random.Philox(0)), images.numpy()

    def work() -> object:
        noise = generator.standard_normal(rows.shape, np.float32)
        return np.rint(np.clip(rows + noise * (0.2 * 127.5), 0, 255)).astype(np.uint8)

    return work


def bare_jpeg(images: torch.Tensor, workers: int) -> Work:
    rows = images.permute(0, 2, 3, 1).numpy()

    def code(part: range) -> list[np.ndarray]:
        pixels = (np.ascontiguousarray(rows[i]) for i in part)  # no copy if channels already lie last
        return [
            simplejpeg.decode_jpeg(simplejpeg.encode_jpeg(image, 50, "RGB", "420"), "RGB") for image in pixels
        ]

    def work() -> object:
        parts = [range(len(rows))[k::workers] for k in range(workers)]
        if workers == 1:
            return code(parts[0])
        with ThreadPoolExecutor(workers) as pool:
            return list(pool.map(code, parts))

    return work


def bare_passes(images: torch.Tensor) -> Work:
    floats = to_float(images)

    def work() -> None:
        for part in floats.split(64):
            with torch.no_grad():
                NETWORK(part)
            for _ in range(STEPS):
                moved = part.clone().requires_grad_()
                torch.autograd.grad(NETWORK(moved).square().sum(), moved)

    return work


def main() -> None:
    tools = Tools(lambda settings: NETWORK)
    for side, count in ((64, 64), (256, 16)):
        images = torch.randint(
            0, 256, (count, 3, side, side), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
        )
        # As smooth as photographs.
        images = torch.from_numpy(scipy.ndimage.gaussian_filter(images.numpy(), (0, 0, 2, 2)))
        streams = Streams.drawn(count, torch.Generator().manual_seed(1))
        floats, rows = to_float(images).numpy(), images.numpy()
        libraries: list[tuple[OutputDefence, Work]] = [
            (GaussianNoise(std=0.2), bare_noise(images)),
            (
                GaussianFilter(sigma=1),
                lambda f=floats: scipy.ndimage.gaussian_filter(f, (0, 0, 1, 1), mode="nearest"),
            ),
            (
                MedianFilter(size=3),
                lambda r=rows: scipy.ndimage.median_filter(r, (1, 1, 3, 3), mode="nearest"),
            ),
            (AdversarialNoise(budget=8, steps=STEPS), bare_passes(images)),
        ]
        for threads in dict.fromkeys((1, cores())):
            torch.set_num_threads(threads)
            for defence, bare in libraries:
                what = f"{side}x{side}, {threads} thread(s): {defence.label()}"
                row(what, count, lambda d=defence: d.change(images, streams, tools), bare)  # noqa: B023 - called at once
            jpeg = Jpeg(quality=50)
            for lie, lying in (
                ("planes", images),
                ("channels last", images.to(memory_format=torch.channels_last)),
            ):
                what = f"{side}x{side}, {threads} thread(s): {jpeg.label()}, {lie}"
                work = lambda i=lying: jpeg.change(i, streams, tools)  # noqa: B023, E731 - called at once
                row(what, count, work, bare_jpeg(lying, threads))


if __name__ == "__main__":
    main()
