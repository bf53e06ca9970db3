"""Codes that are moved along a direction, and what depends on which one it is."""

import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from scipy import stats
from torch import Tensor

from ganguard.base.compute import Compute
from ganguard.base.errors import CheckpointError, InputError, SpecError
from ganguard.defences.defended_target import defend
from ganguard.defences.direction_files import DESCRIPTION, save_direction
from ganguard.defences.input_semantic_interpolation import SemanticInterpolation
from ganguard.defences.protocol import parse_chain, parse_defence
from ganguard.defences.semantic_directions import Direction
from ganguard.defences.streams import Streams
from ganguard.targets.checkpoint import CheckpointTarget
from ganguard.targets.protocol import LatentTarget

D = 5


def _save(directory: Path, seed: int = 0, prior_std: float = 2.0) -> Direction:
    vector = torch.randn(D, generator=torch.Generator().manual_seed(seed))
    direction = Direction(vector / vector.norm(), 0.1, "slant", 0.9, 0.8, prior_std, 1000)
    save_direction(direction, directory)
    return direction


@pytest.fixture
def direction(tmp_path: Path) -> Direction:
    return _save(tmp_path / "slant")


def _defence(tmp_path: Path, amount: float = 1.5, **settings: object) -> SemanticInterpolation:
    return SemanticInterpolation.model_validate(
        {"direction": str(tmp_path / "slant"), "amount": amount, **settings}
    )


def _codes(count: int = 64) -> tuple[Tensor, Streams]:
    z = torch.randn(count, D, generator=torch.Generator().manual_seed(1))
    return z, Streams.drawn(count, torch.Generator().manual_seed(2))


def _distances(z: Tensor, moved: Tensor, direction: Direction) -> Tensor:
    """Return how far each code moved, in standard deviations of the prior; it must have moved along the
    direction.
    """
    steps = (moved - z).double()
    far = steps @ direction.vector.double()
    assert torch.allclose(steps, far[:, None] * direction.vector.double(), atol=1e-5)
    return far / direction.prior_std


def test_drawn_movements_are_uniform_and_along_the_direction_alone(
    direction: Direction, tmp_path: Path
) -> None:
    z, streams = _codes(2000)
    far = _distances(z, _defence(tmp_path).move(z, streams), direction)
    assert stats.kstest(far.numpy(), stats.uniform(-1.5, 3).cdf).pvalue > 1e-3


def test_fixed_movements_are_all_alike(direction: Direction, tmp_path: Path) -> None:
    z, streams = _codes()
    far = _distances(z, _defence(tmp_path, movement="fixed").move(z, streams), direction)
    assert far.tolist() == pytest.approx([1.5] * 64, abs=1e-5)


@pytest.mark.parametrize("movement", ["drawn", "fixed"])
def test_an_amount_of_nothing_moves_nothing(direction: Direction, tmp_path: Path, movement: str) -> None:
    z, streams = _codes()
    assert torch.equal(_defence(tmp_path, 0, movement=movement).move(z, streams), z)


def test_each_code_moves_by_itself(direction: Direction, tmp_path: Path) -> None:
    z, streams = _codes()
    defence = _defence(tmp_path)
    whole = defence.move(z, streams)
    assert torch.equal(torch.cat([defence.move(z[i : i + 1], streams[i : i + 1]) for i in range(64)]), whole)


def test_gradients_reach_the_codes(direction: Direction, tmp_path: Path) -> None:
    z, streams = _codes(4)
    z.requires_grad_()
    _defence(tmp_path).move(z, streams).sum().backward()
    assert z.grad is not None
    assert torch.equal(z.grad, torch.ones_like(z))


def test_a_direction_of_another_size_is_refused(direction: Direction, tmp_path: Path) -> None:
    defence = _defence(tmp_path)
    defence.require(D)
    with pytest.raises(SpecError, match="a direction of 5 entries, but the target's codes have 128"):
        defence.require(128)


def test_an_absent_or_damaged_direction_is_refused_in_one_line(tmp_path: Path) -> None:
    defence = _defence(tmp_path)
    for ask in (defence.fingerprint, lambda: defence.require(D)):
        with pytest.raises(CheckpointError, match=r"slant: holds no direction\.json") as raised:
            ask()
        assert "\n" not in str(raised.value)
    _save(tmp_path / "slant")
    (tmp_path / "slant" / DESCRIPTION).write_text("{}")
    with pytest.raises(CheckpointError, match="this key is required"):
        defence.require(D)


def test_labels_name_the_direction_and_how_far(tmp_path: Path) -> None:
    assert _defence(tmp_path).label() == "semantic interpolation slant 1.5"
    assert _defence(tmp_path, movement="fixed").label() == "semantic interpolation slant 1.5, fixed"


def test_a_guess_is_scaled_within_what_settings_allow(tmp_path: Path) -> None:
    assert _defence(tmp_path).scaled(2).amount == 3
    assert _defence(tmp_path).scaled(1) == _defence(tmp_path)
    far = _defence(tmp_path).scaled(1e9)
    assert parse_defence(far.model_dump(mode="json")) == far


def test_settings_come_back_with_a_whole_path_read_or_not(
    direction: Direction, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    defence = parse_defence({"kind": "semantic_interpolation", "direction": "slant", "amount": 2})
    assert isinstance(defence, SemanticInterpolation)
    assert defence.direction == str(tmp_path / "slant")
    before = defence.model_dump(mode="json")
    defence.fingerprint()
    assert defence.model_dump(mode="json") == before
    assert parse_defence(before) == defence == pickle.loads(pickle.dumps(defence))
    assert defence.scaled(2).fingerprint() == defence.fingerprint()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"amount": -1}, "greater than or equal to 0"),
        ({"amount": float("nan")}, "amount"),
        ({"amount": 1e9}, "less than or equal to 1000"),
        ({"movement": "drown"}, "'drawn' or 'fixed'"),
        ({"direction": "a\0b"}, "must be a path"),
        ({"direction": None}, "direction"),
        ({"distance": 1}, "distance: unknown key"),
    ],
)
def test_wrong_settings_are_refused_in_one_line(change: dict[str, object], said: str) -> None:
    with pytest.raises(SpecError, match=said) as raised:
        parse_chain({"kind": "semantic_interpolation", "direction": "slant", "amount": 1, **change})
    assert "\n" not in str(raised.value)


def test_the_fingerprint_follows_the_direction_and_not_its_place(
    direction: Direction, tmp_path: Path
) -> None:
    one = _defence(tmp_path).fingerprint()
    shutil.copytree(tmp_path / "slant", tmp_path / "moved")
    assert _defence(tmp_path, direction=str(tmp_path / "moved")).fingerprint() == one
    _save(tmp_path / "slant", prior_std=1.0)
    two = _defence(tmp_path).fingerprint()
    _save(tmp_path / "slant", seed=7)
    assert len({one, two, _defence(tmp_path).fingerprint()}) == 3


@pytest.fixture
def gan(tiny_checkpoint: Callable[..., Path], tmp_path: Path, compute: Compute) -> LatentTarget:
    return CheckpointTarget(checkpoint=str(tiny_checkpoint(tmp_path / "gan"))).load(compute)


def test_a_shield_moves_codes_along_it_and_is_known_by_it(
    direction: Direction, tmp_path: Path, gan: LatentTarget
) -> None:
    shielded = defend(gan, [_defence(tmp_path, 2, movement="fixed")], secret=b"s", client="us")
    z = gan.draw_latents(range(3), seed=0)
    assert isinstance(shielded, LatentTarget)
    assert torch.equal(shielded.generate(z), gan.generate(z + 4 * direction.vector))
    _save(tmp_path / "slant", seed=7)
    other = defend(gan, [_defence(tmp_path, 2, movement="fixed")], secret=b"s", client="us")
    assert other.identity != shielded.identity


def test_what_a_shield_is_known_by_is_what_it_moves_along(
    direction: Direction, tmp_path: Path, gan: LatentTarget
) -> None:
    shielded = defend(gan, [_defence(tmp_path)], secret=b"s", client="us")
    before = shielded.sample(range(5), seed=0)
    _save(tmp_path / "slant", seed=7)  # replaced behind its back
    assert torch.equal(shielded.sample(range(5), seed=0), before)


def test_a_shield_of_another_gans_direction_is_refused(tmp_path: Path, gan: LatentTarget) -> None:
    save_direction(Direction(torch.eye(3)[0], 0.0, "slant", None, None, 1.0, 1), tmp_path / "slant")
    with pytest.raises(InputError, match="a direction of 3 entries, but the target's codes have 5"):
        defend(gan, [_defence(tmp_path)], secret=b"s", client="us")
