"""NIQE against its definition, and the reader of published models against SciPy's reader and writer.

The definition is written block by block with NumPy and SciPy, and compared on photographs that scikit-image
ships.
"""

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.io import loadmat, savemat
from scipy.ndimage import correlate
from scipy.special import gamma
from skimage import color, data
from torch import Tensor

from ganguard.base.errors import CheckpointError
from ganguard.metrics.niqe import FEATURES, NiqeModel, fit_niqe, niqe
from ganguard.metrics.niqe_published import load_published_niqe

SAME = 1e-8  # relative: both compute in float64, and a covariance of condition 1e5 is inverted

ALPHAS = 0.2 + 0.001 * np.arange(9801)
RATIOS = gamma(2 / ALPHAS) ** 2 / (gamma(1 / ALPHAS) * gamma(3 / ALPHAS))
LINE = np.exp(-(np.arange(-3, 4) ** 2) / (2 * (7 / 6) ** 2))
WINDOW = np.outer(LINE, LINE) / np.outer(LINE, LINE).sum()


def _aggd(values: np.ndarray) -> tuple[float, float, float]:
    if not ((values < 0).any() and (values > 0).any()):
        return np.nan, np.nan, np.nan
    left = np.sqrt(np.mean(values[values < 0] ** 2))
    right = np.sqrt(np.mean(values[values > 0] ** 2))
    g = left / right
    ratio = np.mean(np.abs(values)) ** 2 / np.mean(values**2) * (g**3 + 1) * (g + 1) / (g**2 + 1) ** 2
    alpha = ALPHAS[np.argmin((RATIOS - ratio) ** 2)]
    scale = np.sqrt(gamma(1 / alpha) / gamma(3 / alpha))
    return float(alpha), float(left * scale), float(right * scale)


def _block(block: np.ndarray) -> list[float]:
    alpha, left, right = _aggd(block)
    found = [alpha, (left + right) / 2]
    for shift in ((0, 1), (1, 0), (1, 1), (1, -1)):
        alpha, left, right = _aggd(block * np.roll(block, shift, axis=(0, 1)))
        found += [alpha, (right - left) * gamma(2 / alpha) / gamma(1 / alpha), left, right]
    return found


def _contrast(grey: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    mean = correlate(grey, WINDOW, mode="nearest")
    deviation = np.sqrt(np.abs(correlate(grey**2, WINDOW, mode="nearest") - mean**2))
    difference = grey - mean
    difference[np.abs(difference) < 1e-10] = 0
    return difference / (deviation + 1), deviation


def _cubic(x: float) -> float:
    x = abs(x)
    return 1.5 * x**3 - 2.5 * x**2 + 1 if x <= 1 else -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2 if x < 2 else 0.0


def _halving(length: int) -> np.ndarray:
    """The matrix (length / 2, length) of MATLAB's imresize by 0.5: a bicubic kernel of twice the width,
    mirrored at edges."""
    matrix = np.zeros((length // 2, length))
    mirrored = np.pad(np.arange(length), 4, mode="symmetric")
    for row in range(length // 2):
        for pixel in range(-4, length + 4):
            matrix[row, mirrored[pixel + 4]] += 0.5 * _cubic((pixel - (2 * row + 0.5)) / 2)
    return matrix


def _features(grey: np.ndarray, side: int) -> tuple[np.ndarray, np.ndarray]:
    rows, columns = (length // side for length in grey.shape)
    grey = grey[: rows * side, : columns * side]
    coefficients, deviation = _contrast(grey)
    smaller, _ = _contrast(_halving(grey.shape[0]) @ grey @ _halving(grey.shape[1]).T)
    half, features, sharpness = side // 2, [], []
    for i in range(rows):
        for j in range(columns):
            block = coefficients[i * side : (i + 1) * side, j * side : (j + 1) * side]
            small = smaller[i * half : (i + 1) * half, j * half : (j + 1) * half]
            features.append(_block(block) + _block(small))
            sharpness.append(deviation[i * side : (i + 1) * side, j * side : (j + 1) * side].mean())
    return np.array(features), np.array(sharpness)


def _defined(rows: np.ndarray) -> np.ndarray:
    return rows[np.isfinite(rows).all(1)]


def _slow_niqe(grey: np.ndarray, model: NiqeModel) -> float:
    rows = _defined(_features(grey, model.block_size)[0])
    difference = rows.mean(0) - model.mean.numpy()
    covariance = (np.cov(rows.T) + model.covariance.numpy()) / 2
    return float(np.sqrt(difference @ np.linalg.inv(covariance) @ difference))


def _grey_tensor(*images: np.ndarray) -> Tensor:
    return torch.from_numpy(np.stack(images).copy())[:, None]


@pytest.fixture(scope="module")
def photographs() -> list[np.ndarray]:
    found = [
        (color.rgb2gray(colour()) * 255).round().astype(np.uint8)
        for colour in (data.astronaut, data.coffee, data.chelsea)
    ]
    return [*found, data.camera(), data.grass()]


def _patches(photographs: list[np.ndarray], side: int) -> list[np.ndarray]:
    return [image[y : y + side, 20 : 20 + side] for image in photographs for y in range(0, 260, side)]


@pytest.mark.parametrize(("block_size", "size"), [(8, 48), (16, 60), (32, 100)])
def test_a_model_is_fitted_as_it_is_defined(
    photographs: list[np.ndarray], block_size: int, size: int
) -> None:
    patches = _patches(photographs, size)
    rows: list[np.ndarray] = []
    for patch in patches:
        features, sharpness = _features(patch.astype(float), block_size)
        rows += [
            row for row, sharp in zip(features, sharpness > 0.75 * sharpness.max(), strict=True) if sharp
        ]
    wanted = _defined(np.array(rows))
    model = fit_niqe(_grey_tensor(*patches), block_size=block_size)
    assert np.allclose(model.mean, wanted.mean(0), rtol=SAME)
    assert np.allclose(model.covariance, np.cov(wanted.T), rtol=SAME, atol=1e-12)


@pytest.mark.parametrize(("block_size", "size"), [(8, 64), (16, 64), (32, 129), (96, 200)])
def test_they_agree(photographs: list[np.ndarray], block_size: int, size: int) -> None:
    generator = np.random.default_rng(0)
    model = fit_niqe(_grey_tensor(*_patches(photographs, 96)), block_size=min(block_size, 32))
    model = NiqeModel(model.mean, model.covariance, block_size)
    crops = [image[100 : 100 + size, 90 : 90 + size] for image in photographs[:4]]
    noisy = [(crop + generator.normal(0, 20, crop.shape)).clip(0, 255).astype(np.uint8) for crop in crops]
    wanted = [_slow_niqe(image.astype(float), model) for image in [*crops, *noisy]]
    assert niqe(_grey_tensor(*crops, *noisy), model).tolist() == pytest.approx(wanted, rel=SAME)


def _published() -> dict[str, np.ndarray]:
    factor = np.random.default_rng(0).normal(size=(FEATURES, FEATURES))
    return {"mu_prisparam": factor[:1], "cov_prisparam": factor @ factor.T}


@pytest.mark.parametrize("compressed", [False, True])
def test_a_matlab_file_is_read_as_by_scipy(tmp_path: Path, compressed: bool) -> None:
    file = tmp_path / "modelparameters.mat"
    others = {
        "a": np.eye(3, dtype=np.uint8),
        "note": "text",
        "window": np.float32(3),
        "cell": np.array([1, "b"], dtype=object),
    }
    savemat(file, {**others, **_published()}, do_compression=compressed)
    model, wanted = load_published_niqe(file), loadmat(file)
    assert np.array_equal(model.mean, wanted["mu_prisparam"][0])
    assert np.array_equal(model.covariance, wanted["cov_prisparam"])
    assert model.block_size == 96


def test_whole_numbers_that_matlab_stores_short_are_read(tmp_path: Path) -> None:
    """MATLAB stores doubles with whole values as bytes; SciPy writes such a file if told that they are bytes
    of a double.
    """
    file = tmp_path / "modelparameters.mat"
    savemat(
        file,
        {"mu_prisparam": np.arange(36, dtype=np.uint8), "cov_prisparam": np.eye(36, dtype=np.int16)},
        do_compression=False,
    )
    content = bytearray(file.read_bytes())
    for at in range(
        128, len(content) - 16, 8
    ):  # the flags of an array of uint8 (9) or int16 (10) come to say double (6)
        if content[at : at + 8] == b"\x06\0\0\0\x08\0\0\0" and content[at + 8] in (9, 10):
            content[at + 8] = 6
    file.write_bytes(bytes(content))
    model = load_published_niqe(file)
    assert model.mean.tolist() == list(range(36))
    assert torch.equal(model.covariance, torch.eye(36, dtype=torch.float64))


def test_a_damaged_matlab_file_is_refused_and_does_not_crash(tmp_path: Path) -> None:
    """scipy 1.17's reader ends the process with a segmentation fault on some of these."""
    file = tmp_path / "modelparameters.mat"
    savemat(file, _published())
    whole, generator, refused = file.read_bytes(), np.random.default_rng(0), 0
    for _ in range(200):
        damaged = bytearray(whole[: generator.integers(len(whole) // 2, len(whole) + 1)])
        for place in generator.integers(0, 300, size=2):
            damaged[place] = generator.integers(256)
        file.write_bytes(bytes(damaged))
        try:
            load_published_niqe(file)
        except CheckpointError:
            refused += 1
    assert refused > 150
