import io
import math
from collections.abc import Callable
from functools import cache
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from sklearn.datasets import load_sample_image
from torch import Tensor

from ganguard.base.cache import write_tensors
from ganguard.base.errors import CheckpointError, MetricError
from ganguard.metrics.niqe import FEATURES, NiqeModel, fit_niqe, has_texture, niqe
from ganguard.metrics.niqe_published import load_published_niqe

SAME = 1e-6  # relative: float64 added up in another order, before a covariance is inverted


@cache
def _photographs() -> Tensor:
    """120 cut-outs (3, 64, 64) of two photographs, shuffled."""
    cuts: list[Tensor] = []
    for name in ("china.jpg", "flower.jpg"):
        pixels = torch.from_numpy(np.array(load_sample_image(name))).permute(2, 0, 1)
        cuts += [pixels[:, y : y + 64, x : x + 64] for y in range(0, 360, 60) for x in range(0, 600, 60)]
    images = torch.stack(cuts)[torch.randperm(len(cuts), generator=torch.Generator().manual_seed(0))]
    return images


@cache
def _model(block_size: int = 16) -> NiqeModel:
    return fit_niqe(_photographs()[:80], block_size=block_size)


@cache
def _held_out() -> Tensor:
    """Those whose every block can be fitted to, also after a codec."""
    images = _photographs()[80:]
    return images[has_texture(_through_jpeg(images), _model(16)) & has_texture(images, _model(16))]


def _noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))


def _noisy(images: Tensor) -> Tensor:
    noise = torch.randn(images.shape, generator=torch.Generator().manual_seed(0)) * 20
    return (images + noise).round().clamp(0, 255).to(torch.uint8)


def _blurred(images: Tensor) -> Tensor:
    return (
        torch.nn.functional.avg_pool2d(images.double(), 5, 1, padding=2, count_include_pad=False)
        .round()
        .to(torch.uint8)
    )


def _through_jpeg(images: Tensor) -> Tensor:
    changed: list[Tensor] = []
    for image in images:
        buffer = io.BytesIO()
        Image.fromarray(image.permute(1, 2, 0).numpy()).save(buffer, format="JPEG", quality=10)
        changed.append(torch.from_numpy(np.array(Image.open(buffer))).permute(2, 0, 1))
    return torch.stack(changed)


@pytest.mark.parametrize("degrade", [_noisy, _blurred, _through_jpeg, lambda images: _noise(*images.shape)])
@pytest.mark.parametrize("block_size", [16, 32])
def test_spoilt_photographs_are_less_natural(degrade: Callable[[Tensor], Tensor], block_size: int) -> None:
    images, model = _held_out(), _model(block_size)
    images = images[has_texture(images, model) & has_texture(degrade(images), model)]
    assert len(images) > 20
    assert niqe(degrade(images), model).mean() > 1.1 * niqe(images, model).mean()


@given(st.integers(0, 1000), st.sampled_from([1, 3]), st.integers(16, 40), st.integers(32, 50))
def test_images_are_scored_one_by_one(seed: int, channels: int, height: int, width: int) -> None:
    images = _noise(4, channels, height, width, seed=seed)
    together, order = niqe(images, _model()), torch.tensor([2, 0, 3, 1])
    assert together.isfinite().all()
    assert torch.allclose(niqe(images[order], _model()), together[order], rtol=SAME)
    assert torch.allclose(torch.cat([niqe(image[None], _model()) for image in images]), together, rtol=SAME)


def test_the_size_of_a_chunk_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    images = _photographs()[:50]
    fitted, scores = fit_niqe(images, block_size=16), niqe(_held_out(), _model())
    monkeypatch.setattr(import_module("ganguard.metrics.piqe"), "PIXELS_AT_ONCE", 3 * 64 * 64)
    again = fit_niqe(images, block_size=16)
    assert torch.allclose(again.mean, fitted.mean)
    assert torch.allclose(again.covariance, fitted.covariance)
    assert torch.allclose(niqe(_held_out(), _model()), scores, rtol=SAME)


def test_pixels_beyond_the_last_whole_block_do_not_count() -> None:
    images = _held_out()[:5]
    longer = torch.nn.functional.pad(images, (0, 13, 0, 9), value=255)
    assert torch.equal(niqe(longer, _model()), niqe(images, _model()))


def test_a_block_without_texture_does_not_count() -> None:
    """White blocks beside noise are left out; images of nothing else cannot be scored."""
    images = _noise(2, 1, 32, 64)
    images[..., 32:] = 255
    white = torch.full_like(images, 255)
    assert niqe(images, _model()).isfinite().all()
    assert has_texture(torch.cat([images, white]), _model()).tolist() == [True, True, False, False]


def test_a_model_comes_back_from_its_file(tmp_path: Path) -> None:
    _model().save(tmp_path / "deep" / "niqe.safetensors")
    back = NiqeModel.load(tmp_path / "deep" / "niqe.safetensors")
    assert torch.equal(back.mean, _model().mean)
    assert torch.equal(back.covariance, _model().covariance)
    assert back.block_size == 16


@pytest.mark.parametrize("block_size", [-2, 0, 6, 17])
def test_an_unfit_block_size_is_refused(block_size: int) -> None:
    with pytest.raises(MetricError, match=f"even number of at least 8; got {block_size}"):
        fit_niqe(_photographs(), block_size=block_size)
    with pytest.raises(MetricError, match="even number"):
        load_published_niqe(Path("absent.mat"), block_size=block_size)


@pytest.mark.parametrize(
    ("height", "width", "block_size", "said"),
    [
        (
            16,
            31,
            16,
            "at least 2 whole blocks of 16x16, so 16x32 pixels or more; got 16x31. Fit .* at most 14",
        ),
        (
            64,
            64,
            96,
            "so 96x192 pixels or more; got 64x64. Fit a model with a block_size of at most 32, or enlarge",
        ),
        (8, 8, 16, "got 8x8. Enlarge the images"),
        (15, 100, 16, "at most 14"),
    ],
)
def test_images_of_too_few_blocks_are_refused(height: int, width: int, block_size: int, said: str) -> None:
    model = NiqeModel(_model().mean, _model().covariance, block_size)
    for judge in (niqe, has_texture):
        with pytest.raises(MetricError, match=said):
            judge(_noise(2, 1, height, width), model)


def test_the_largest_block_size_that_is_offered_works() -> None:
    model = NiqeModel(_model().mean, _model().covariance, 14)
    assert niqe(_noise(2, 1, 16, 31), model).isfinite().all()


def test_images_without_texture_are_named() -> None:
    images = _noise(9, 3, 32, 32)
    images[[0, 7]] = 128
    with pytest.raises(MetricError, match=r"2 of 9 have not \(index 0, 7\)"):
        niqe(images, _model())
    with pytest.raises(MetricError, match=r"9 of 9 have not \(index 0, 1, 2, 3, 4 …\)"):
        niqe(torch.zeros_like(images), _model())
    kept = images[has_texture(images, _model())]
    assert torch.equal(kept, images[[1, 2, 3, 4, 5, 6, 8]])
    assert niqe(kept, _model()).isfinite().all()


@pytest.mark.parametrize(
    ("images", "said"),
    [
        (
            _noise(36, 1, 16, 16),
            r"at least 37 sharp blocks of 16x16 with texture; 36 images have 36. Give 60 such",
        ),
        (_noise(5, 1, 16, 16), "5 images have 5. Give 60 such"),
        (torch.zeros(50, 1, 16, 16, dtype=torch.uint8), "50 images have 0. Give images that are not flat"),
        (torch.zeros(0, 1, 16, 16, dtype=torch.uint8), "0 images have 0. Give 60 such"),
        (
            _noise(50, 1, 15, 16),
            "at least 1 whole blocks of 16x16, so 16x16 pixels or more; got 15x16. Fit .* at most 8,",
        ),
        (
            _noise(1, 1, 16, 16).repeat(50, 1, 1, 1),
            r"differ in all 36 features; got \d+. Give more varied images",
        ),
        (torch.zeros(50, 1, 16, 16), "images must be a uint8 tensor"),
    ],
)
def test_what_no_model_can_be_fitted_to_is_refused(images: Tensor, said: str) -> None:
    with pytest.raises(MetricError, match=said):
        fit_niqe(images, block_size=16)


def test_the_number_of_images_that_is_named_is_enough() -> None:
    assert fit_niqe(_noise(37, 1, 16, 16), block_size=16).mean.isfinite().all()


def test_no_images_have_no_scores() -> None:
    assert niqe(_noise(0, 3, 32, 32), _model()).shape == (0,)


MEAN, COVARIANCE = torch.zeros(FEATURES, dtype=torch.float64), torch.eye(FEATURES, dtype=torch.float64)


@pytest.mark.parametrize(
    ("mean", "covariance", "said"),
    [
        (MEAN[:5], COVARIANCE, r"must have the shapes \(\(36,\), \(36, 36\)\); got \(\(5,\), \(36, 36\)\)"),
        (MEAN, COVARIANCE[:, :3], "must have the shapes"),
        (MEAN * math.nan, COVARIANCE, "must be finite"),
        (MEAN, COVARIANCE + torch.arange(36.0), "must be symmetric"),
    ],
)
def test_what_is_no_model_is_refused(tmp_path: Path, mean: Tensor, covariance: Tensor, said: str) -> None:
    with pytest.raises(MetricError, match=said):
        NiqeModel(mean, covariance, 16)
    write_tensors(
        tmp_path / "m", {"mean": mean, "covariance": covariance}, {"niqe": '{"format": 1, "block_size": 16}'}
    )
    with pytest.raises(CheckpointError, match="m: not a NIQE model"):
        NiqeModel.load(tmp_path / "m")


@pytest.mark.parametrize(
    "text", [None, "", "[]", '{"block_size": 15}', '{"block_size": 16, "format": 2}', "[" * 10_000]
)
def test_a_file_that_does_not_describe_a_model_is_refused(tmp_path: Path, text: str | None) -> None:
    write_tensors(
        tmp_path / "m",
        {"mean": MEAN, "covariance": COVARIANCE},
        {"other": ""} if text is None else {"niqe": text},
    )
    with pytest.raises(CheckpointError, match="Fit and save it again"):
        NiqeModel.load(tmp_path / "m")


def test_an_absent_file_or_a_pickle_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "pickle.npz", mu_pris_param=np.array([object], dtype=object))
    np.savez(tmp_path / "other.npz", mu=np.zeros(36))
    (tmp_path / "text.mat").write_text("MATLAB")
    (tmp_path / "empty.npz").write_bytes(b"")
    for name in ("pickle.npz", "other.npz", "text.mat", "empty.npz", "absent.npz", "absent.mat"):
        with pytest.raises(CheckpointError, match=f"{name}: not a published NIQE model"):
            load_published_niqe(tmp_path / name)
    with pytest.raises(CheckpointError, match="absent"):
        NiqeModel.load(tmp_path / "absent")


def test_a_published_archive_is_read_and_its_window_is_checked(tmp_path: Path) -> None:
    line = np.exp(-(np.arange(-3, 4) ** 2) / (2 * (7 / 6) ** 2))
    ours = np.outer(line, line) / line.sum() ** 2
    published = {"mu_pris_param": _model().mean.numpy()[None], "cov_pris_param": _model().covariance.numpy()}
    np.savez(tmp_path / "good.npz", **published, gaussian_window=ours)
    np.savez(tmp_path / "other.npz", **published, gaussian_window=np.full((7, 7), 1 / 49))
    model = load_published_niqe(tmp_path / "good.npz", block_size=16)
    assert torch.equal(niqe(_held_out(), model), niqe(_held_out(), _model()))
    with pytest.raises(CheckpointError, match="another Gaussian window"):
        load_published_niqe(tmp_path / "other.npz")
