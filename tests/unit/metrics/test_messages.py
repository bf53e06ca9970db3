"""Every public function of `ganguard.metrics`, given what users give.

The right number comes, or one line of MetricError: no traceback of NumPy or torch, no warning, and no number
of something else.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ganguard import metrics
from ganguard.base.errors import MetricError
from ganguard.metrics.attributes import slant, stroke_thickness

ROWS = np.random.default_rng(0).integers(0, 9, size=(70, 3))
SHARES = np.full((70, 4), 0.25)
LABELS = np.arange(70) % 2
IMAGES = np.random.default_rng(0).integers(0, 256, size=(12, 1, 64, 64), dtype=np.uint8)
MODEL = metrics.fit_niqe(torch.from_numpy(IMAGES), block_size=16)


@dataclass(frozen=True)
class Call:
    """A public function, and arguments that it takes.

    Attributes:
        arrays: names of its arguments that are arrays, of the kind `good`.
        whole, numbers, flags: arguments that are whole numbers, other numbers, and True or False.
    """

    function: Callable[..., Any]
    good: np.ndarray
    arrays: tuple[str, ...]
    whole: tuple[tuple[str, int], ...] = ()
    numbers: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    fixed: tuple[tuple[str, Any], ...] = ()

    def arguments(self) -> dict[str, Any]:
        return {**dict.fromkeys(self.arrays, self.good), **dict(self.whole), **dict(self.fixed)}

    def __call__(self, **changed: Any) -> Any:
        return self.function(**self.arguments() | changed)


AB = ("a", "b")
CALLS = {
    "frechet_distance": Call(metrics.frechet_distance, ROWS, AB),
    "frechet_distance_infinity": Call(
        metrics.frechet_distance_infinity, ROWS, AB, whole=(("points", 3), ("seed", 0))
    ),
    "GaussianStatistics.of": Call(
        lambda features: metrics.GaussianStatistics.of(features).mean, ROWS, ("features",)
    ),
    "kernel_distance": Call(
        metrics.kernel_distance, ROWS, AB, whole=(("subsets", 3), ("subset_size", 9), ("seed", 0))
    ),
    "kernel_distance_full": Call(metrics.kernel_distance_full, ROWS, AB),
    "precision_recall_density_coverage": Call(
        metrics.precision_recall_density_coverage, ROWS, ("real", "fake"), whole=(("k", 3),)
    ),
    "Balls.around": Call(
        lambda features, k: metrics.Balls.around(features, k=k).squared_radii,
        ROWS,
        ("features",),
        whole=(("k", 3),),
    ),
    "memorisation": Call(
        lambda **given: metrics.memorisation(**given).authentic,
        ROWS,
        ("training", "generated", "held_out"),
        numbers=("near",),
    ),
    "ndb_jsd": Call(
        metrics.ndb_jsd,
        ROWS,
        ("reference", "query"),
        whole=(("bins", 5), ("seed", 0)),
        numbers=("significance",),
        flags=("whitening",),
    ),
    "inception_score": Call(metrics.inception_score, SHARES, ("probabilities",), whole=(("splits", 2),)),
    "frechet_within_classes": Call(
        metrics.frechet_within_classes,
        ROWS,
        AB,
        whole=(("classes", 2),),
        fixed=(("of_a", LABELS), ("of_b", LABELS)),
    ),
    "class_consistency": Call(
        metrics.class_consistency, SHARES, ("probabilities",), fixed=(("asked", LABELS),)
    ),
    "class_coverage": Call(metrics.class_coverage, SHARES, ("measured", "against")),
    "kid": Call(metrics.kid, ROWS, AB, whole=(("subsets", 3), ("subset_size", 9), ("seed", 5))),
    "vendi_score": Call(metrics.vendi_score, ROWS + 1, ("features",)),
    "cmmd": Call(metrics.cmmd, ROWS + 1, AB),
    "piqe": Call(metrics.piqe, IMAGES, ("images",)),
    "niqe": Call(metrics.niqe, IMAGES, ("images",), fixed=(("model", MODEL),)),
    "has_texture": Call(metrics.has_texture, IMAGES, ("images",), fixed=(("model", MODEL),)),
    "fit_niqe": Call(
        lambda **given: metrics.fit_niqe(**given).mean, IMAGES, ("images",), whole=(("block_size", 16),)
    ),
    "psnr": Call(metrics.psnr, IMAGES, AB),
    "ssim": Call(metrics.ssim, IMAGES, AB),
    "slant": Call(slant, IMAGES, ("images",)),
    "stroke_thickness": Call(stroke_thickness, IMAGES, ("images",)),
}
ARRAYS = [(name, argument) for name, call in CALLS.items() for argument in call.arrays]


def _refused(call: Call, **changed: Any) -> str:
    with pytest.raises(MetricError) as refusal:
        call(**changed)
    said = str(refusal.value)
    assert len(said.splitlines()) == 1
    assert len(said) < 500
    return said


def _same(found: Any, wanted: Any) -> bool:
    if isinstance(found, torch.Tensor):
        return bool(torch.allclose(found.double(), wanted.double(), equal_nan=True))
    if isinstance(found, float):
        return math.isclose(found, wanted, rel_tol=1e-9, abs_tol=1e-9) or found == wanted
    if hasattr(found, "__dict__"):
        return all(_same(value, vars(wanted)[key]) for key, value in vars(found).items())
    return found == wanted


def test_the_table_has_every_public_function() -> None:
    functions = {
        name for name in metrics.__all__ if callable(getattr(metrics, name)) and name[0].islower()
    } - {"load_published_niqe"}  # which takes a file
    assert functions <= CALLS.keys()


def _read_only(array: np.ndarray) -> np.ndarray:
    copy = array.copy()
    copy.setflags(write=False)
    return copy


ALIKE: dict[str, Callable[[np.ndarray], Any]] = {
    "tensor": torch.from_numpy,
    "masked nowhere": lambda array: np.ma.MaskedArray(array),
    "Fortran": np.asfortranarray,
    "every other": lambda array: np.repeat(array, 2, axis=0)[::2],
    "backwards": lambda array: array[::-1].copy()[::-1],
    "read-only": _read_only,
    "a list of arrays": list,
    "a list of tensors": lambda array: [torch.from_numpy(row) for row in array],
    "strided tensor": lambda array: torch.from_numpy(array).repeat_interleave(2, 0)[::2],
    "parameter": lambda array: (
        torch.from_numpy(array)
        if array.dtype == np.uint8
        else torch.nn.Parameter(torch.from_numpy(array).double())
    ),
}
ALIKE_ROWS: dict[str, Callable[[np.ndarray], Any]] = {
    "big-endian": lambda array: array.astype(">f8"),
    "big-endian integers": lambda array: array.astype(">i4") if array.max() > 1 else array.astype(">f8"),
    "half": lambda array: array.astype(np.float16),
    "half tensor": lambda array: torch.from_numpy(array).half(),
    "bfloat16": lambda array: torch.from_numpy(array).bfloat16(),
    "float8": lambda array: torch.from_numpy(array).to(torch.float8_e4m3fn),
    "uint16": lambda array: array.astype(np.uint16) if array.max() > 1 else array,
    "long double": lambda array: array.astype(np.longdouble),
    "lists": lambda array: array.tolist(),
}


@pytest.mark.parametrize(("name", "argument"), ARRAYS)
def test_arrays_of_any_kind_give_the_number_of_plain_ones(name: str, argument: str) -> None:
    call = CALLS[name]
    wanted, pixels = call(), call.good.dtype == np.uint8
    for kind, make in (ALIKE if pixels else ALIKE | ALIKE_ROWS).items():
        if pixels and kind == "a list of tensors" and name == "fit_niqe":
            continue  # parts, of which each must be images
        if kind == "a list of arrays" and name == "fit_niqe":
            continue
        assert _same(call(**{argument: make(call.good)}), wanted), kind


def _ragged(array: np.ndarray) -> list[Any]:
    return [*array.tolist()[:-1], array.tolist()[-1][:-1]]


WRONG: dict[str, Callable[[np.ndarray], Any]] = {
    "None": lambda array: None,
    "text": lambda array: "features.npy",
    "a dictionary": lambda array: {"features": array},
    "a number": lambda array: 3.0,
    "a set": lambda array: {1, 2},
    "empty list": lambda array: [],
    "no rows": lambda array: array[:0],
    "one axis": lambda array: array.reshape(-1),
    "an axis too many": lambda array: array[None],
    "no columns": lambda array: array[..., :0],
    "ragged": _ragged,
    "ragged arrays": lambda array: [array[0], array[0][..., :-1]],
    "ragged tensors": lambda array: [torch.from_numpy(array[0]), torch.from_numpy(array[0])[..., :-1]],
    "objects": lambda array: array.astype(object),
    "texts": lambda array: array.astype(str),
    "complex": lambda array: array.astype(complex),
    "complex tensor": lambda array: torch.from_numpy(array).to(torch.complex64),
    "dates": lambda array: array.astype("datetime64[s]"),
    "records": lambda array: np.zeros(array.shape, dtype=[("x", "f8")]),
    "sparse": lambda array: torch.from_numpy(array.reshape(len(array), -1)).to_sparse(),
    "meta": lambda array: torch.from_numpy(array).to("meta"),
    "masked": lambda array: np.ma.MaskedArray(array, mask=array == array.reshape(-1)[0]),
}
WRONG_ROWS: dict[str, Callable[[np.ndarray], Any]] = {
    "NaN": lambda array: np.where(array == array[0, 0], np.nan, array),
    "infinity in long double": lambda array: array.astype(np.longdouble) * np.longdouble("1e400"),
    "a huge whole number": lambda array: [[10**400] * array.shape[1]] * len(array),
}
WRONG_IMAGES: dict[str, Callable[[np.ndarray], Any]] = {
    "floats": lambda array: array / 255,
    "wider integers": lambda array: array.astype(np.int64),
    "channels last": lambda array: array.transpose(0, 2, 3, 1),
    "five channels": lambda array: np.repeat(array, 5, axis=1),
    "booleans": lambda array: array > 9,
}


@pytest.mark.parametrize(("name", "argument"), ARRAYS)
def test_what_are_no_arrays_of_numbers_is_one_line(name: str, argument: str) -> None:
    call = CALLS[name]
    pixels = call.good.dtype == np.uint8
    for kind, make in (WRONG | (WRONG_IMAGES if pixels else WRONG_ROWS)).items():
        if pixels and kind in ("no rows", "an axis too many"):
            continue  # no images have no scores, and parts of images are those of fit_niqe
        if kind == "channels last" and name == "fit_niqe":
            continue
        if kind == "None" and argument == "held_out":
            continue  # may be left out
        said = _refused(call, **{argument: make(call.good)})
        assert said, kind


WHOLE = [(name, argument) for name, call in CALLS.items() for argument, _ in call.whole]
NO_WHOLE = st.one_of(
    st.floats(),
    st.booleans(),
    st.text(max_size=200),
    st.none(),
    st.complex_numbers(),
    st.just([3]),
    st.just(np.array([3])),
    st.just(np.float64(3)),
    st.just(torch.tensor(3.0)),
    st.just(torch.tensor([3, 3])),
    st.just(torch.tensor(True)),
    st.just(np.True_),
)


@pytest.mark.parametrize(("name", "argument"), WHOLE)
@settings(max_examples=15)
@given(wrong=NO_WHOLE)
def test_what_is_no_whole_number_is_refused_by_name(name: str, argument: str, wrong: Any) -> None:
    said = _refused(CALLS[name], **{argument: wrong})
    assert said.startswith(f"{argument} must be a whole number")


@pytest.mark.parametrize(("name", "argument"), WHOLE)
def test_whole_numbers_of_numpy_and_torch_count(name: str, argument: str) -> None:
    call = CALLS[name]
    for make in (np.int64, np.uint8, torch.tensor):
        assert _same(call(**{argument: make(dict(call.whole)[argument])}), call())


def test_a_float_that_is_whole_is_told_how_to_be_written() -> None:
    said = _refused(CALLS["precision_recall_density_coverage"], k=3.0)
    assert said == "k must be a whole number of at least 1; got 3.0. Write 3."


@pytest.mark.parametrize(
    ("name", "argument"), [(name, argument) for name, call in CALLS.items() for argument in call.numbers]
)
@pytest.mark.parametrize("wrong", ["0.05", None, True, 1j, [0.05], np.array([0.05]), math.nan, -1, 10**400])
def test_what_is_no_number_is_refused_by_name(name: str, argument: str, wrong: Any) -> None:
    assert _refused(CALLS[name], **{argument: wrong}).startswith(f"{argument} must ")


@pytest.mark.parametrize("wrong", ["no", 1, 0.0, None, np.array([True, False])])
def test_a_flag_is_true_or_false(wrong: Any) -> None:
    assert _refused(CALLS["ndb_jsd"], whitening=wrong).startswith("whitening must be True or False")


@pytest.mark.parametrize("name", ["niqe", "has_texture"])
@pytest.mark.parametrize("wrong", [None, "model.safetensors", {"mean": 0}])
def test_a_model_is_a_model(name: str, wrong: Any) -> None:
    assert "fit_niqe" in _refused(CALLS[name], model=wrong)


def test_a_model_of_arrays_is_one_of_tensors_and_files_are_named_by_texts(tmp_path: Path) -> None:
    made = metrics.NiqeModel(MODEL.mean.numpy(), MODEL.covariance.numpy(), np.int64(16))  # type: ignore[arg-type]
    made.save(str(tmp_path / "model.safetensors"))
    again = metrics.NiqeModel.load(str(tmp_path / "model.safetensors"))
    assert _same(metrics.niqe(IMAGES, again), metrics.niqe(IMAGES, MODEL))
    with pytest.raises(MetricError, match="path must be the path of a file; got None"):
        metrics.load_published_niqe(None)  # type: ignore[arg-type]
    with pytest.raises(MetricError, match="mean of a NIQE model must be real numbers"):
        metrics.NiqeModel(None, None, 16)  # type: ignore[arg-type]


def test_a_list_may_mix_tensors_and_lists() -> None:
    rows = [torch.ones(3), [1.0, 2.0, 3.0], np.zeros(3)]
    wanted = metrics.frechet_distance(np.array([[1, 1, 1], [1, 2, 3], [0, 0, 0]]), ROWS)
    assert metrics.frechet_distance(rows, ROWS) == pytest.approx(wanted)  # pyright: ignore[reportArgumentType]


def test_a_list_of_masked_rows_keeps_its_masks() -> None:
    rows = [np.ma.masked_array(row, mask=row > 7) for row in ROWS]
    with pytest.raises(MetricError, match="masked entries"):
        metrics.frechet_distance(rows, ROWS)  # pyright: ignore[reportArgumentType]


def test_statistics_want_a_whole_number_of_rows() -> None:
    with pytest.raises(MetricError, match=r"count must be a whole number of at least 2; got 60\.0\. Write"):
        metrics.GaussianStatistics.of_moments(np.zeros(2), np.eye(2), 60.0)  # pyright: ignore[reportArgumentType]
