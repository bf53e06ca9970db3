"""Output defences beside the libraries that they stand on, and what their settings promise."""

import io
from pathlib import Path

import numpy as np
import pytest
import simplejpeg
import skimage.filters
import torch
from PIL import Image
from torch import Tensor

from ganguard.base.errors import SpecError
from ganguard.base.images import to_float
from ganguard.defences import output_jpeg
from ganguard.defences.output_adversarial_noise import AdversarialNoise
from ganguard.defences.output_carlini_wagner import CarliniWagner
from ganguard.defences.output_filter import GaussianFilter, MedianFilter
from ganguard.defences.output_jpeg import Jpeg
from ganguard.defences.output_noise import GaussianNoise
from ganguard.defences.protocol import Tools, parse_defence
from ganguard.defences.streams import Streams
from ganguard.metrics.features.network import load_features, parse_features

TOOLS = Tools()


def _images(count: int, channels: int, side: int) -> Tensor:
    coarse = torch.rand(count, channels, 5, 5, generator=torch.Generator().manual_seed(0))
    return (torch.nn.functional.interpolate(coarse, (side, side), mode="bilinear") * 255).to(torch.uint8)


def _streams(count: int) -> Streams:
    return Streams.drawn(count, torch.Generator().manual_seed(1))


def _through_skimage(images: Tensor, sigma: float) -> np.ndarray:
    rows = images.permute(0, 2, 3, 1).numpy() / 255
    filtered = [skimage.filters.gaussian(row, sigma, mode="nearest", channel_axis=-1) for row in rows]
    return np.stack(filtered).transpose(0, 3, 1, 2) * 255


@pytest.mark.parametrize("sigma", [0.5, 1.0, 3.0])
def test_the_gaussian_filter_is_scikit_images(sigma: float) -> None:
    images = _images(3, 3, 20)
    ours = GaussianFilter(sigma=sigma).change(images, _streams(3), TOOLS)
    assert np.abs(ours.numpy() - _through_skimage(images, sigma)).max() <= 0.51  # of rounding to a byte


@pytest.mark.parametrize("size", [3, 5])
def test_the_median_filter_is_scikit_images(size: int) -> None:
    images = _images(3, 3, 20)
    ours = MedianFilter(size=size).change(images, _streams(3), TOOLS).numpy()
    for image, filtered in zip(images.numpy(), ours, strict=True):
        wanted = [skimage.filters.median(channel, np.ones((size, size)), mode="nearest") for channel in image]
        assert np.array_equal(filtered, np.stack(wanted))


@pytest.mark.parametrize("defence", [GaussianFilter(sigma=0.8), MedianFilter(size=3)])
@pytest.mark.parametrize(("channels", "side"), [(1, 8), (3, 17)])
def test_the_surrogates_of_filters_are_the_filters(
    defence: GaussianFilter | MedianFilter, channels: int, side: int
) -> None:
    images = _images(4, channels, side)
    changed = to_float(defence.change(images, _streams(4), TOOLS))
    assert (defence.surrogate(to_float(images)) - changed).abs().max() < 0.52 / 127.5


@pytest.mark.parametrize("quality", [5, 30, 90])
def test_jpeg_is_simplejpegs_and_others_read_the_like(quality: int) -> None:
    images = _images(3, 3, 150)  # large enough for threads
    ours = Jpeg(quality=quality).change(images, _streams(3), TOOLS)
    for image, coded in zip(
        images.permute(0, 2, 3, 1).contiguous().numpy(), ours.permute(0, 2, 3, 1).numpy(), strict=True
    ):
        file = simplejpeg.encode_jpeg(image, quality, "RGB", "420")
        assert np.array_equal(simplejpeg.decode_jpeg(file, "RGB"), coded)
    assert Image.fromarray(coded).size == (150, 150)


@pytest.mark.parametrize(
    ("count", "side", "threads"), [(4, 256, 4), (3, 300, 8), (0, 150, 4), (40, 150, 2), (64, 64, 2)]
)
def test_jpeg_has_a_piece_of_work_for_every_thread(
    count: int, side: int, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request may be smaller than what a cache holds; and nothing depends on the pieces."""
    pieces: list[int] = []
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    laid_anew = output_jpeg._channels_last
    monkeypatch.setattr(
        output_jpeg, "_channels_last", lambda planes: pieces.append(len(planes)) or laid_anew(planes)
    )
    images = _images(count, 3, side) if count else torch.zeros(0, 3, side, side, dtype=torch.uint8)
    coded = Jpeg(quality=50).change(images, _streams(count), TOOLS)
    assert sum(pieces) == count
    assert len(pieces) >= min(count, threads)
    for i in range(count):
        assert torch.equal(Jpeg(quality=50).change(images[i : i + 1], _streams(1), TOOLS)[0], coded[i])


def test_grey_images_stay_grey_and_small_ones_are_coded() -> None:
    images = _images(4, 1, 8)
    coded = Jpeg(quality=90).change(images, _streams(4), TOOLS)
    assert coded.shape == images.shape
    assert (coded.float() - images.float()).abs().mean() < 4


@pytest.mark.parametrize(("quality", "channels", "side"), [(90, 3, 32), (30, 3, 40), (30, 1, 8)])
def test_the_surrogate_of_jpeg_is_near_it(quality: int, channels: int, side: int) -> None:
    images, defence = _images(6, channels, side), Jpeg(quality=quality)
    changed = to_float(defence.change(images, _streams(6), TOOLS))
    off = (defence.surrogate(to_float(images)) - changed).abs().mean()
    lost = (to_float(images) - changed).abs().mean()
    assert off < 0.7 * lost  # nearer than the identity is


@pytest.mark.parametrize(
    ("quality", "factor", "wanted"),
    [(50, 2, 25), (25, 0.5, 50), (50, 0.5, 75), (80, 2, 60), (10, 2, 5), (1, 9, 1)],
)
def test_the_strength_of_jpeg_is_that_of_its_tables(quality: int, factor: float, wanted: int) -> None:
    assert Jpeg(quality=quality).scaled(factor).quality == wanted
    if 1 < wanted < 100:
        tables = [_first_table(q).astype(float) for q in (quality, wanted)]
        inner = (tables[0] > 2) & (tables[1] < 250)  # not rounded to 1, not capped
        assert np.median(tables[1][inner] / tables[0][inner]) == pytest.approx(factor, rel=0.15)


def _first_table(quality: int) -> np.ndarray:
    file = simplejpeg.encode_jpeg(np.zeros((16, 16, 3), np.uint8), quality, "RGB", "420")
    return np.array(Image.open(io.BytesIO(file)).quantization[0])  # type: ignore[attr-defined]


def test_gaussian_noise_has_the_std_that_it_says() -> None:
    images = torch.full((50, 1, 16, 16), 128, dtype=torch.uint8)
    off = GaussianNoise(std=0.2).change(images, _streams(50), TOOLS).double() - 128
    assert off.std().item() / 127.5 == pytest.approx(0.2, rel=0.02)
    assert off.mean().item() == pytest.approx(0, abs=1)


def test_a_window_larger_than_the_image_is_refused() -> None:
    with pytest.raises(SpecError, match=r"size must be at most the images' side, 8; got 9"):
        MedianFilter(size=9).require((1, 8, 8), TOOLS)
    with pytest.raises(ValueError, match="must be odd"):
        MedianFilter(size=4)


@pytest.fixture(scope="module")
def networks() -> Tools:
    return Tools(lambda settings: load_features(parse_features(settings), Path(), 1).eval().features)


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("budget", [4.0, 7.5, 20.0])
def test_adversarial_noise_keeps_its_budget_and_beats_random_noise(
    networks: Tools, norm: str, budget: float
) -> None:
    images = _images(30, 1, 8)
    defence = AdversarialNoise(budget=budget, norm=norm)  # type: ignore[arg-type]
    changed = defence.change(images, _streams(30), networks)
    off = changed.double() - images.double()
    size = off.abs().flatten(1).amax(1) if norm == "linf" else off.square().flatten(1).mean(1).sqrt()
    assert size.max() <= budget + 1e-9
    assert size.mean() > 0.7 * budget
    signs = torch.randint(0, 2, images.shape, generator=torch.Generator().manual_seed(5)) * 2 - 1
    random = (images + signs * budget).clamp(0, 255).to(torch.uint8)
    seen = networks.network_of(defence.network)  # type: ignore[misc]
    moved = [
        (seen(to_float(other)) - seen(to_float(images))).norm(dim=1).mean() for other in (changed, random)
    ]
    assert moved[0] > 1.5 * moved[1]


def test_large_images_are_perturbed_few_at_a_time_to_the_same_bits(networks: Tools) -> None:
    defence, images, batches = AdversarialNoise(budget=8, steps=2), _images(9, 1, 192), set()
    network = networks.network_of(defence.network)  # type: ignore[misc]

    def noting(rows: Tensor) -> Tensor:
        batches.add(len(rows))
        return network(rows)

    tools = Tools(lambda settings: noting)
    changed = defence.change(images, _streams(9), tools)
    assert batches == {64 * 64 * 64 // (192 * 192)}
    assert torch.equal(defence.change(images[8:], _streams(9)[8:9], tools), changed[8:])


def test_adversarial_noise_needs_a_network() -> None:
    with pytest.raises(SpecError, match="needs a feature network"):
        AdversarialNoise(budget=8).require((1, 8, 8), TOOLS)


def test_adversarial_noise_refuses_images_that_its_network_cannot_see() -> None:
    network = torch.nn.Conv2d(1, 2, 5)
    with pytest.raises(
        SpecError, match=r"random_network cannot see images of 4x6 pixels and 1 channels \(Calculated"
    ) as raised:
        AdversarialNoise(budget=8).require((1, 4, 6), Tools(lambda settings: network))
    assert "\n" not in str(raised.value)
    AdversarialNoise(budget=8).require((1, 5, 6), Tools(lambda settings: network))


@pytest.mark.parametrize(
    "said",
    [
        {"kind": "jpeg", "quality": True},
        {"kind": "gaussian_noise", "std": True},
        {"kind": "gaussian_filter", "sigma": True},
        {"kind": "median_filter", "size": True},
        {"kind": "adversarial_noise", "budget": True},
        {"kind": "linear_interpolation", "weight": False},
        {"kind": "linear_interpolation", "endpoints": True},
        {"kind": "semantic_interpolation", "attribute": "slant", "amount": True},
    ],
)
def test_true_is_no_number(said: dict[str, object]) -> None:
    with pytest.raises(SpecError, match=r"must be a (whole )?number; got (True|False)"):
        parse_defence(said)


def test_subsampling_may_be_written_as_a_number() -> None:
    assert parse_defence({"kind": "jpeg", "quality": 50, "subsampling": 422}).subsampling == "422"  # type: ignore[attr-defined]
    with pytest.raises(SpecError, match="subsampling: input should be '444'"):
        parse_defence({"kind": "jpeg", "quality": 50, "subsampling": 421})


def _pixels(images: Tensor) -> Tensor:
    return images.flatten(1)


def test_carlini_wagner_finds_the_least_noise_where_it_is_known() -> None:
    """If features are pixels, moving them by a share of their length takes noise of just that length."""
    images = (torch.rand(6, 1, 12, 12, generator=torch.Generator().manual_seed(3)) * 255).to(torch.uint8)
    clean = to_float(images)
    for distance in (0.2, 0.5):
        defence = CarliniWagner(distance=distance, steps=60, searches=5)
        changed = to_float(defence.change(images, _streams(6), Tools(lambda _: _pixels)))
        length = (changed - clean).flatten(1).norm(dim=1) / clean.flatten(1).norm(dim=1)
        assert ((length / distance - 1).abs() < 0.1).all(), length


def test_carlini_wagner_takes_less_noise_than_gradient_steps_of_a_fixed_budget() -> None:
    """Both move the features about as far; the one that minimises needs the smaller perturbation."""
    network = load_features(parse_features("random_network"), Path(), 1)
    images = (torch.rand(8, 1, 8, 8, generator=torch.Generator().manual_seed(4)) * 255).to(torch.uint8)
    tools, clean = Tools(lambda _: network.features), network.features(to_float(images))
    sizes, moves = [], []
    for defence in (CarliniWagner(distance=0.5, steps=60), AdversarialNoise(budget=24, norm="linf")):
        changed = defence.change(images, _streams(8), tools)
        sizes.append((changed.double() - images.double()).square().mean())
        moves.append((network.features(to_float(changed)) - clean).norm(dim=1) / clean.norm(dim=1))
    per_size = [move.mean() / size.sqrt() for move, size in zip(moves, sizes, strict=True)]
    assert per_size[0] > per_size[1]
    assert (moves[0] > 0.45).all()
