"""Semantic directions: planted ones are found, conditioning matches algebra, damaged files are refused."""

import json
import math
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import Tensor

from ganguard.base.cache import file_digest
from ganguard.base.errors import CheckpointError, MetricError
from ganguard.defences.direction_files import DESCRIPTION, VECTOR, load_direction, save_direction
from ganguard.defences.semantic_directions import (
    LEAST,
    Direction,
    _class_size,
    condition,
    effect,
    fit_direction,
)

D = 12


def _normal(rows: int, seed: int, width: int = D) -> Tensor:
    return torch.randn(rows, width, generator=torch.Generator().manual_seed(seed))


def _unit(seed: int, width: int = D) -> Tensor:
    vector = _normal(1, seed, width)[0]
    return vector / vector.norm()


def _direction(vector: Tensor, name: str = "planted", intercept: float = 0.0) -> Direction:
    return Direction(vector, intercept, name, 0.9, 0.8, 1.0, 1000)


@pytest.mark.parametrize("scale", [1.0, 50.0])
def test_a_planted_direction_is_found(scale: float) -> None:
    z, n = _normal(4000, 0) * scale, _unit(1)
    found = fit_direction(
        z, torch.sinh(z @ n / scale), name="planted", seed=0
    )  # only the ranks of scores count
    assert (found.vector @ n).item() > 0.99
    assert found.vector.norm().item() == pytest.approx(1, abs=1e-6)
    assert found.held_out_accuracy == 1
    assert found.rest_accuracy is not None
    assert found.rest_accuracy > 0.9
    assert found.prior_std == pytest.approx(scale, rel=0.02)
    assert (found.name, found.latent_dim, found.samples) == ("planted", D, 4000)


def test_the_intercept_is_kept_and_places_the_plane() -> None:
    """The codes' mean is 5 n, and the plane passes through it. If it passed through 0, nearly all codes were
    on one side.
    """
    n = _unit(1)
    z = _normal(4000, 0) + 5 * n
    found = fit_direction(z, z @ n, name="planted", share=0.1, seed=0)
    assert found.intercept == pytest.approx(-5, abs=0.25)
    assert found.held_out_accuracy == 1
    distances = found.distances(z)
    assert torch.allclose(distances, z.double() @ found.vector.double() + found.intercept)
    assert ((distances > 0) == (z @ n > (z @ n).median())).double().mean().item() > 0.9
    assert (distances - found.intercept > 0).double().mean().item() > 0.99


def test_noise_teaches_nothing() -> None:
    found = fit_direction(_normal(4000, 0), _normal(4000, 1, 1)[:, 0], name="noise", share=0.1, seed=0)
    assert found.held_out_accuracy == pytest.approx(0.5, abs=0.12)
    assert found.rest_accuracy == pytest.approx(0.5, abs=0.05)


def test_the_seed_chooses_who_is_held_out_and_equal_ones_give_equal_directions() -> None:
    z = _normal(1000, 0)
    noisy = z @ _unit(1) + 0.5 * _normal(1000, 2, 1)[:, 0]
    one, same, other = (fit_direction(z, noisy, name="a", count=40, seed=seed) for seed in (0, 0, 1))
    assert torch.equal(one.vector, same.vector)
    assert one.digest() == same.digest() != other.digest()


def test_all_others_are_left_for_the_second_check() -> None:
    z = _normal(21, 0)
    assert fit_direction(z, z @ _unit(1), name="a", count=10, seed=0).rest_accuracy in (0, 1)  # of one code


@pytest.mark.parametrize(
    ("samples", "wanted", "said"),
    [
        (
            40,
            {},
            r"at least 10 codes; got 0 of 40\. With share 0\.02, 500 samples are enough; "
            r"with these samples, share 0\.25",
        ),
        (499, {}, "got 9 of 499"),
        (12, {"share": 0.1}, r"With share 0\.1, 100 samples are enough\.$"),
        (100, {"count": 9}, r"at least 10 codes; got 9 of 100\. count must be at least 10"),
        (100, {"count": 50}, r"at least 101 samples; got 100"),
        (20, {"share": 0.5}, "less than 0.5"),
        (20, {"share": 0}, "more than 0"),
        (20, {"share": math.nan}, "more than 0"),
        (0, {}, "got 0 of 0"),
        (500, {"share": 1e-310}, r"got 0 of 500\. Set a larger share; with these samples, share 0\.02"),
    ],
)
def test_too_few_codes_are_refused_with_how_many_are_enough(
    samples: int, wanted: dict[str, float], said: str
) -> None:
    z = _normal(samples, 0)
    with pytest.raises(MetricError, match=said):
        fit_direction(z, z[:, 0], name="a", seed=0, **wanted)  # type: ignore[arg-type]


@pytest.mark.parametrize(("samples", "share"), [(500, 0.02), (100, 0.1), (1000, 0.29)])
def test_so_many_are_enough_indeed(samples: int, share: float) -> None:
    z = _normal(samples, 0)
    assert fit_direction(z, z[:, 0], name="a", share=share, seed=0).samples == samples


@given(st.integers(21, 3000), st.floats(1e-4, 0.49))
def test_what_a_refusal_advises_works(samples: int, share: float) -> None:
    try:
        _class_size(samples, share, None)
    except MetricError as problem:
        found = re.search(
            r"With share \S+, ([\d,]+) samples are enough; with these samples, share ([\d.]+)\.$",
            str(problem),
        )
        assert found
        assert _class_size(int(found[1].replace(",", "")), share, None) >= LEAST
        assert _class_size(samples, float(found[2]), None) >= LEAST


def test_what_cannot_be_ranked_is_refused() -> None:
    z = _normal(1000, 0)
    with pytest.raises(
        MetricError, match=r"slant: the 20 lowest and 20 highest scores must differ; both hold 3\."
    ):
        fit_direction(z, torch.full((1000,), 3.0), name="slant", seed=0)
    nearly = torch.zeros(1000)
    nearly[:5] = 1  # fewer than a class
    with pytest.raises(MetricError, match="must differ"):
        fit_direction(z, nearly, name="slant", seed=0)
    bad = z[:, 0].clone()
    bad[3] = math.nan
    with pytest.raises(MetricError, match="scores must be finite; 1 of 1,000 are NaN"):
        fit_direction(z, bad, name="slant", seed=0)
    with pytest.raises(MetricError, match="codes must be finite"):
        fit_direction(z.index_fill(0, torch.tensor([1]), math.inf), z[:, 0], name="slant", seed=0)
    with pytest.raises(MetricError, match="the codes of both are alike"):
        fit_direction(torch.ones(1000, D), z[:, 0], name="slant", seed=0)
    for latents, scores in ((z, z), (z, z[:9, 0]), (z[:, 0], z[:, 0])):
        with pytest.raises(MetricError, match="one for each"):
            fit_direction(latents, scores, name="slant", seed=0)


def test_beside_one_other_it_is_the_closed_form() -> None:
    a, b = _direction(_unit(1), "a", 0.5), _direction(_unit(2), "b")
    wanted = a.vector - (a.vector @ b.vector) * b.vector
    found = condition(a, b)
    assert torch.allclose(found.vector, wanted / wanted.norm(), atol=1e-6)
    assert found.intercept == pytest.approx(0.5 / wanted.norm().item(), rel=1e-5)
    assert (found.held_out_accuracy, found.rest_accuracy, found.name) == (None, None, "a beside b")
    assert condition(a) is a


def test_beside_many_it_solves_the_gram_system() -> None:
    others = [_direction(_unit(seed), f"{seed}") for seed in range(2, 7)]
    found = condition(_direction(_unit(1)), *others)
    N = torch.stack([other.vector for other in others]).double()  # (others, d)
    n = _unit(1).double()
    wanted = n - N.T @ torch.linalg.solve(N @ N.T, N @ n)
    assert torch.allclose(found.vector.double(), wanted / wanted.norm(), atol=1e-6)
    assert (N @ found.vector.double()).abs().max() < 1e-6
    again = condition(_direction(_unit(1)), *others, others[0])  # one given twice spans no more
    assert torch.allclose(again.vector, found.vector, atol=1e-5)


def test_the_plane_stays_for_codes_without_a_part_in_the_others() -> None:
    a, b = _direction(_unit(1), "a", 0.7), _direction(_unit(2), "b")
    found = condition(a, b)
    z = _normal(50, 3)
    z = z - (z @ b.vector)[:, None] * b.vector
    assert torch.equal(found.distances(z) > 0, a.distances(z) > 0)


def test_where_nothing_is_left_or_sizes_differ_it_is_refused() -> None:
    a, b = _direction(_unit(1), "a"), _direction(_unit(2), "b")
    with pytest.raises(MetricError, match="nothing is left of a beside a"):
        condition(a, a)
    with pytest.raises(MetricError, match="nothing is left of c beside a, b"):
        condition(_direction((a.vector + 2 * b.vector) / (a.vector + 2 * b.vector).norm(), "c"), a, b)
    with pytest.raises(MetricError, match="a is a direction of 12 entries, and small one of 3"):
        condition(a, _direction(_unit(1, 3), "small"))
    crowd = [_direction(_unit(seed, 400), "a long name of an attribute " * 5) for seed in range(20)]
    assert len(condition(*crowd).name) <= 200


def _painted(latents: Tensor) -> Tensor:
    """Codes to images of one pixel, as bright as the first entry says."""
    return (latents[:, :1] * 20 + 128).round().clamp(0, 255).to(torch.uint8).view(-1, 1, 1, 1)


def _brightness(images: Tensor) -> Tensor:
    return images.double().mean((1, 2, 3))


def test_the_effect_of_moving_codes() -> None:
    first = torch.eye(D)[0]
    direction = Direction(first, 0.0, "bright", None, None, 2.0, 1)
    z = _normal(700, 0)
    found = effect(_painted, z, direction, _brightness, [1, -1, 0])
    assert found.amounts == (-1, 0, 1)
    assert found.means == pytest.approx([128 - 40, 128, 128 + 40], abs=2)
    assert (found.spearman, found.monotone) == (1, 1)
    assert found.images.shape == (6, 3, 1, 1, 1)
    assert torch.equal(found.images[:, 1], _painted(z[:6]))
    assert torch.equal(found.images[:, 2], _painted(z[:6] + 2 * first))
    away = effect(_painted, z, _direction(-first), _brightness, [-1, 0, 1])
    assert (away.spearman, away.monotone) == (-1, 0)
    beside = effect(_painted, z, _direction(torch.eye(D)[1]), _brightness, [-1, 0, 1])
    assert (beside.spearman, beside.monotone) == (0, 0)


def test_rank_correlation_is_scipys() -> None:
    from scipy.stats import spearmanr

    n = _unit(4)
    z = _normal(9, 0)
    amounts = [-2.0, -1.0, 0.5, 3.0]

    def waves(images: Tensor) -> Tensor:
        return torch.sin(images.double()[:, 0, 0, 0])

    found = effect(_painted, z, _direction(n), waves, amounts)
    curves = np.stack([waves(_painted(z + amount * n)).numpy() for amount in amounts], 1)
    assert found.spearman == pytest.approx(np.mean([spearmanr(amounts, curve).statistic for curve in curves]))


@pytest.mark.parametrize(
    ("latents", "amounts"), [((5, D), [1, 1]), ((0, D), [0, 1]), ((5, 3), [0, 1]), ((D,), [0, 1])]
)
def test_an_effect_of_nothing_is_refused(latents: tuple[int, ...], amounts: list[float]) -> None:
    with pytest.raises(MetricError, match="at least 2 amounts"):
        effect(_painted, torch.zeros(latents), _direction(_unit(1)), _brightness, amounts)


def test_amounts_are_one_for_all_or_one_for_each() -> None:
    direction = Direction(_unit(1), 0.0, "a", None, None, 3.0, 1)
    z = _normal(4, 0)
    each = direction.moved(z, torch.tensor([0.0, 1, 2, -1]))
    assert torch.equal(each[0], z[0])
    assert torch.allclose(each[2], z[2] + 6 * direction.vector, atol=1e-6)
    assert torch.equal(direction.moved(z, torch.tensor(1.0))[1], each[1])


def test_a_direction_comes_back_as_it_was(tmp_path: Path) -> None:
    fitted = _direction(_unit(1), "slant", -0.25)
    for direction in (fitted, condition(fitted, _direction(_unit(2), "b"))):
        save_direction(direction, tmp_path / "kept")
        found = load_direction(tmp_path / "kept")
        assert torch.equal(found.vector, direction.vector)
        assert {**vars(found), "vector": None} == {**vars(direction), "vector": None}
        assert found.digest() == direction.digest()
    assert sorted(file.name for file in (tmp_path / "kept").iterdir()) == [DESCRIPTION, VECTOR]


def _described(**changes: object) -> Callable[[Path], object]:
    def damage(directory: Path) -> None:
        said = json.loads((directory / DESCRIPTION).read_text())
        (directory / DESCRIPTION).write_text(json.dumps(said | changes))

    return damage


def _holding(**tensors: Tensor) -> Callable[[Path], object]:
    """A file of these tensors, with a digest that says it is the right one."""

    def damage(directory: Path) -> None:
        save_file(tensors, directory / VECTOR)
        _described(sha256=file_digest(directory / VECTOR))(directory)

    return damage


def _bytes(file: str, content: bytes) -> Callable[[Path], object]:
    return lambda directory: (directory / file).write_bytes(content)


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "no description": (lambda directory: (directory / DESCRIPTION).unlink(), "holds no direction.json"),
    "no vector": (lambda directory: (directory / VECTOR).unlink(), "this file is absent"),
    "no JSON": (_bytes(DESCRIPTION, b"{"), "not JSON"),
    "a pickle": (_bytes(VECTOR, b"\x80\x04\x95not safetensors."), "not a direction"),
    "half a file": (
        lambda directory: _bytes(VECTOR, (directory / VECTOR).read_bytes()[:-7])(directory),
        "not a direction",
    ),
    "another size": (_described(latent_dim=D + 1), "a vector of 13 entries"),
    "another name": (_holding(normal=_unit(1)), "must hold a vector of 12 entries"),
    "more tensors": (_holding(vector=_unit(1), more=_unit(2)), "must hold a vector of 12 entries"),
    "half precision": (_holding(vector=_unit(1).half()), "must be float32"),
    "NaN": (_holding(vector=_unit(1).index_fill(0, torch.tensor([2]), math.nan)), "NaN or infinity"),
    "not of length 1": (_holding(vector=2 * _unit(1)), "of length 1; it is of length 2"),
    "another direction": (
        lambda directory: save_file({"vector": _unit(5)}, directory / VECTOR),
        "differs from the SHA-256",
    ),
    "an unknown key": (_described(vectr=1), "vectr: unknown key"),
    "no spread": (_described(prior_std=0), "prior_std: input should be greater than 0"),
    "an impossible accuracy": (_described(rest_accuracy=1.5), "rest_accuracy"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_direction_is_refused_in_one_line(damage: str, tmp_path: Path) -> None:
    save_direction(_direction(_unit(1)), tmp_path)
    harm, said = DAMAGES[damage]
    harm(tmp_path)
    with pytest.raises(CheckpointError, match=said) as raised:
        load_direction(tmp_path)
    assert str(raised.value).startswith(str(tmp_path))
    assert "\n" not in str(raised.value)
