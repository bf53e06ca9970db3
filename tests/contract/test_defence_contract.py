"""The contract of every defence."""

from typing import Any

import pytest
import torch
from torch import Tensor

from ganguard.base.errors import SpecError, TargetError
from ganguard.base.images import to_float
from ganguard.defences import DEFENCES
from ganguard.defences.defended_target import defend
from ganguard.defences.direction_files import save_direction
from ganguard.defences.protocol import Defence, InputDefence, OutputDefence, Tools, parse_defence, through
from ganguard.defences.semantic_directions import Direction
from ganguard.defences.streams import Streams
from ganguard.targets.conditions import Conditions

# For each kind, the setting that is its strength, and values with no, some and much effect. None means that
# the defence always has an effect.
STRENGTHS: dict[str, tuple[str, list[Any]]] = {
    "adversarial_noise": ("budget", [0, 8, 32]),
    "carlini_wagner": ("distance", [0, 0.1, 0.4]),
    "gaussian_filter": ("sigma", [0, 0.6, 1.5]),
    "gaussian_noise": ("std", [0, 0.1, 0.4]),
    "jpeg": ("quality", [None, 80, 10]),
    "linear_interpolation": ("weight", [0, 0.1, 0.5]),
    "median_filter": ("size", [1, 3, 5]),
    "semantic_interpolation": ("amount", [0, 0.5, 2]),
}
SHAPES = [(1, 8, 8), (3, 32, 32)]
KINDS = sorted(STRENGTHS)
INPUT = ("linear_interpolation", "semantic_interpolation")
NEEDED: dict[str, dict[str, Any]] = {}  # further settings that a kind requires


@pytest.fixture(autouse=True, scope="module")
def direction(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Save a direction for codes of 6 entries."""
    directory = tmp_path_factory.mktemp("direction")
    save_direction(Direction(torch.eye(6)[2], 0.0, "third", None, None, 1.0, 1), directory)
    NEEDED["semantic_interpolation"] = {"direction": str(directory)}


def _network(settings: object) -> Any:
    weights = torch.randn(16, 1, 3, 3, generator=torch.Generator().manual_seed(0))
    return lambda images: torch.relu(torch.conv2d(images.mean(1, keepdim=True), weights)).mean((2, 3))


TOOLS = Tools(_network)


def _defence(kind: str, place: int = 1) -> Any:
    name, values = STRENGTHS[kind]
    return parse_defence({"kind": kind, name: values[place], **NEEDED.get(kind, {})})


def _images(count: int, shape: tuple[int, int, int]) -> Tensor:
    coarse = torch.rand(count, shape[0], 4, 4, generator=torch.Generator().manual_seed(1))
    smooth = torch.nn.functional.interpolate(coarse, shape[1:], mode="bilinear")
    return (smooth * 255).to(torch.uint8)


def _streams(count: int, seed: int = 2) -> Streams:
    return Streams.drawn(count, torch.Generator().manual_seed(seed))


def _defended(defence: Defence, rows: Tensor, streams: Streams) -> Tensor:
    return (
        defence.move(rows, streams)
        if isinstance(defence, InputDefence)
        else defence.change(rows, streams, TOOLS)
    )  # type: ignore[attr-defined]


def _rows(defence: Defence, count: int = 20, shape: tuple[int, int, int] = (1, 8, 8)) -> Tensor:
    if defence.side == "input":
        return torch.randn(count, 6, generator=torch.Generator().manual_seed(3))
    return _images(count, shape)


def _strength(rows: Tensor, defended: Tensor) -> float:
    return (rows.double() - defended.double()).square().mean().item()


@pytest.mark.parametrize("kind", KINDS)
def test_an_empty_batch_stays_empty(kind: str) -> None:
    defence = _defence(kind)
    rows = _rows(defence)[:0]
    assert _defended(defence, rows, _streams(0)).shape == rows.shape


def test_every_kind_is_under_contract() -> None:
    assert sorted(DEFENCES.table()) == KINDS


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", KINDS)
def test_rows_keep_their_shape_and_are_not_changed_in_place(kind: str, shape: tuple[int, int, int]) -> None:
    defence = _defence(kind)
    rows = _rows(defence, shape=shape)
    before = rows.clone()
    defended = _defended(defence, rows, _streams(20))
    assert (defended.shape, defended.dtype) == (rows.shape, rows.dtype)
    assert torch.equal(rows, before)
    assert torch.isfinite(defended.double()).all()
    assert not torch.equal(defended, rows)


@pytest.mark.parametrize("kind", KINDS)
def test_equal_streams_give_equal_rows(kind: str) -> None:
    defence = _defence(kind)
    rows = _rows(defence)
    assert torch.equal(_defended(defence, rows, _streams(20)), _defended(defence, rows, _streams(20)))


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "linear_interpolation"])
def test_output_defences_do_not_depend_on_how_images_are_grouped(kind: str) -> None:
    defence = _defence(kind, 2)
    rows, streams = _rows(defence, 70), _streams(70)
    whole = _defended(defence, rows, streams)
    parts = [slice(0, 1), slice(1, 4), slice(4, 69), slice(69, 70)]
    assert torch.equal(torch.cat([_defended(defence, rows[part], streams[part]) for part in parts]), whole)


@pytest.mark.parametrize("kind", KINDS)
def test_more_strength_changes_more_and_no_strength_changes_nothing(kind: str) -> None:
    _, values = STRENGTHS[kind]
    weak, strong = _defence(kind, 1), _defence(kind, 2)
    rows = _rows(weak)
    changes = [_strength(rows, _defended(defence, rows, _streams(20))) for defence in (weak, strong)]
    assert 0 < changes[0] < changes[1]
    assert weak.label() != strong.label()
    if values[0] is not None:
        assert torch.equal(_defended(_defence(kind, 0), rows, _streams(20)), rows)


@pytest.mark.parametrize("kind", KINDS)
def test_a_guess_scaled_by_a_factor_is_weaker_or_stronger(kind: str) -> None:
    defence, name = _defence(kind), STRENGTHS[kind][0]
    assert defence.scaled(1) == defence
    rows = _rows(defence)
    half, same, twice = (
        _strength(rows, _defended(defence.scaled(f), rows, _streams(20))) for f in (0.5, 1, 2)
    )
    assert half < same < twice
    for factor in (1e-3, 1e3):  # limited to what the settings allow
        scaled = defence.scaled(factor)
        assert parse_defence(scaled.model_dump(mode="json")) == scaled, name


@pytest.mark.parametrize("kind", KINDS)
def test_settings_come_back_and_wrong_ones_are_refused(kind: str) -> None:
    defence, (name, values) = _defence(kind), STRENGTHS[kind]
    assert parse_defence(defence.model_dump(mode="json")) == defence
    for wrong in (
        {name: -1},
        {name: "much"},
        {name: 1e9},
        {name: values[1], "strenght": 1},
        {name: float("nan")},
    ):
        with pytest.raises(SpecError) as raised:
            parse_defence({"kind": kind, **NEEDED.get(kind, {}), **wrong})
        assert "\n" not in str(raised.value)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in INPUT])
def test_a_guess_is_exact_forward_and_passes_gradients_back(kind: str, shape: tuple[int, int, int]) -> None:
    defence = _defence(kind)
    assert isinstance(defence, OutputDefence)
    images = _images(8, shape)
    floats = to_float(images).requires_grad_()
    passed = through(defence, floats, _streams(8), TOOLS)
    wanted = to_float(defence.change(images, _streams(8), TOOLS))
    assert torch.allclose(passed, wanted, atol=1e-6)
    passed.square().sum().backward()
    assert floats.grad is not None
    assert torch.isfinite(floats.grad).all()
    assert floats.grad.abs().sum() > 0


class _OfClasses:
    """A target whose codes are its images, whatever is asked for."""

    identity, image_shape, latent_dim, repeats = "of classes", (1, 8, 8), 6, 0
    conditions = Conditions(names=("cat", "dog", "owl"))

    def __init__(self) -> None:
        self.made: list[tuple[Tensor, Tensor]] = []

    def draw_latents(self, indices: range, *, seed: int) -> Tensor:
        rows = [torch.randn(6, generator=torch.Generator().manual_seed(100 * seed + i)) for i in indices]
        return torch.stack(rows)

    def generate(self, latents: Tensor, *, conditions: Tensor) -> Tensor:
        self.made.append((latents, conditions))
        return _images(len(latents), self.image_shape)

    def sample(self, indices: range, *, seed: int, conditions: Tensor | None = None) -> Tensor:
        assert conditions is not None
        return self.generate(self.draw_latents(indices, seed=seed), conditions=conditions)


def _shielded(kind: str) -> tuple[_OfClasses, Any]:
    inner = _OfClasses()
    chain = (_defence(kind, 2),)
    return inner, defend(inner, chain, secret=b"s", client="us", tools=TOOLS)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", KINDS)
def test_a_defended_target_is_asked_for_what_it_was_asked_for(kind: str) -> None:
    inner, target = _shielded(kind)
    assert target.conditions == inner.conditions
    asked = torch.tensor([2, 0, 1, 1, 2])
    target.sample(range(3, 8), seed=0, conditions=asked)
    latents = target.draw_latents(range(5), seed=1)
    target.generate(latents, conditions=asked)
    for _, conditions in inner.made:
        assert torch.equal(conditions, asked)
    with pytest.raises(TargetError, match="conditions must be"):
        target.generate(latents, conditions=asked + 1)


@pytest.mark.parametrize("kind", KINDS)
def test_an_input_defence_moves_codes_whatever_is_asked_for(kind: str) -> None:
    inner, target = _shielded(kind)
    latents = inner.draw_latents(range(70), seed=4)
    target.sample(range(70), seed=4, conditions=torch.zeros(70, dtype=torch.int64))
    target.sample(range(70), seed=4, conditions=torch.arange(70) % 3)
    (first, _), (second, _) = inner.made
    assert torch.equal(first, second)
    assert torch.equal(first, latents) == (kind not in INPUT)


@pytest.mark.parametrize("kind", ["gaussian_noise", "adversarial_noise"])
def test_noise_is_another_one_for_another_condition(kind: str) -> None:
    """The difference of two conditions' images of one code would be free of noise that they share."""
    _, target = _shielded(kind)
    codes = target.draw_latents(range(20), seed=0)
    images = [target.generate(codes, conditions=torch.full((20,), y)) for y in (0, 1, 0)]
    assert torch.equal(images[0], images[2])
    assert not (images[0] == images[1]).flatten(1).all(1).any()
