"""The contract of every target adapter that is asked for conditions."""

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pipelines
import pytest
import torch
from api_server import ImageApi, serving
from conditional_gans import (
    CONDITIONAL,
    LATENT_VARIANTS,
    NAMES,
    NOISY_VARIANTS,
    conditional_checkpoint,
)
from test_target_contract import ADAPTERS
from torch import Tensor

from ganguard.architectures.checkpoint import load_checkpoint
from ganguard.base.compute import Compute
from ganguard.base.errors import TargetError
from ganguard.targets import TARGETS
from ganguard.targets.ask import Ask, asked_of
from ganguard.targets.conditions import ConditionalTarget, Conditions, conditions_of, generate, sample
from ganguard.targets.load import load_target, parse_target
from ganguard.targets.protocol import LatentTarget, WhiteBoxTarget

SIMILAR = ("exported", "hub", "state_dict", "torchscript", "python that leaves dirt", "lists of generators")
Settings = dict[str, Any]
Open = Callable[..., ConditionalTarget]


def _texts(folder: Path) -> Settings:
    path = folder / "texts"
    path = path if path.exists() else pipelines.texts(path)
    return {"diffusers": str(path), "steps": 2, "prompts": ["a cat", "two dogs", "an owl"], "batch": 4}


def _classes(folder: Path) -> Settings:
    path = folder / "dit"
    path = path if path.exists() else pipelines.classes(path)
    return {"diffusers": str(path), "steps": 2, "labels": [4, 0, 2], "batch": 4}


def _openai(api: ImageApi) -> Settings:
    api_said = {"base_url": api.url, "model": "m", "prompts": list(NAMES), "size": "8x8", "channels": 1}
    return {"openai": api_said}


def _http(api: ImageApi) -> Settings:
    request = {"url": f"{api.url}/make", "body": {"text": "$PROMPT", "seed": "$SEED"}}
    said = {"request": request, "image": "$.data[0].b64_json", "prompts": list(NAMES), "size": 8}
    return {"http": {**said, "channels": 1}}


OTHERS: dict[str, Callable[[Any], Settings]] = {"texts": _texts, "dit": _classes}
APIS: dict[str, Callable[[ImageApi], Settings]] = {"openai": _openai, "http": _http}
KINDS = [*CONDITIONAL, *LATENT_VARIANTS, *NOISY_VARIANTS, *OTHERS, *APIS]
SLOW = {*SIMILAR, "texts", "dit", "http"}


def test_every_kind_is_under_contract_with_and_without_conditions() -> None:
    assert set(CONDITIONAL) == set(ADAPTERS)
    # `images` and `url` have tests of their own
    assert set(CONDITIONAL) | {"diffusers", "http", "openai", "images", "url"} == set(TARGETS.builtin)


@pytest.fixture
def api() -> Iterator[ImageApi]:
    with serving() as found:
        yield found


@pytest.fixture(params=[pytest.param(k, marks=pytest.mark.slow) if k in SLOW else k for k in KINDS])
def open_target(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compute: Compute
) -> Open:
    """Open a conditional generator through one adapter."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    kind = request.param

    def load(seed: int = 0) -> ConditionalTarget:
        if kind in APIS:
            said = APIS[kind](request.getfixturevalue("api"))
        elif kind in OTHERS:
            said = OTHERS[kind](tmp_path)
        else:
            gan = conditional_checkpoint(tmp_path / f"gan{seed}", seed)
            said = (CONDITIONAL | LATENT_VARIANTS | NOISY_VARIANTS)[kind](gan, tmp_path)
        settings = parse_target(said)
        assert parse_target(settings.model_dump(mode="json")) == settings
        found = load_target(settings, compute)
        assert isinstance(found, ConditionalTarget)
        return found

    return load


def _known(target: object) -> Conditions:
    known = conditions_of(target)
    assert known is not None
    assert len(known) == 3
    return known


def test_an_image_follows_from_seed_index_and_its_own_condition(open_target: Open) -> None:
    target = open_target()
    _known(target)
    y = torch.tensor([0, 1, 2, 2, 1, 0, 0])
    whole = target.sample(range(3, 10), seed=1, conditions=y)
    assert whole.dtype == torch.uint8
    assert whole.shape == (7, *target.image_shape)
    for cuts in ([0, 1, 7], [0, 3, 4, 7]):
        parts = [
            target.sample(range(3 + a, 3 + b), seed=1, conditions=y[a:b]) for a, b in itertools.pairwise(cuts)
        ]
        assert torch.equal(torch.cat(parts), whole)
    other = target.sample(range(3, 10), seed=1, conditions=(y + 1) % 3)
    assert not (other == whole).flatten(1).all(1).any()
    mixed = target.sample(range(3, 10), seed=1, conditions=torch.cat([y[:4], (y[4:] + 1) % 3]))
    assert torch.equal(mixed, torch.cat([whole[:4], other[4:]]))


def test_if_nobody_asks_all_conditions_come_equally_often(open_target: Open) -> None:
    target = open_target()
    asked = asked_of(target, None, range(6), seed=2)
    assert torch.equal(target.sample(range(6), seed=2), sample(target, range(6), seed=2, conditions=asked))
    one = Ask(only=(_known(target).names[1],))
    only = asked_of(target, one, range(6), seed=2)
    assert only is not None
    assert only.tolist() == [1] * 6


def test_sampling_is_drawing_latents_and_generating(open_target: Open) -> None:
    target = open_target()
    if not isinstance(target, LatentTarget):
        pytest.skip("its clients cannot send codes")
    z, y = target.draw_latents(range(60, 80), seed=3), torch.arange(20) % 3
    images = generate(target, z, y)
    assert torch.equal(target.sample(range(60, 80), seed=3, conditions=y), images)
    with pytest.raises(TargetError, match="asked for a condition with each code"):
        target.generate(z)


def test_images_are_the_generators_own(open_target: Open, tmp_path: Path) -> None:
    target = open_target()
    if not isinstance(target, LatentTarget):
        pytest.skip("its clients cannot send codes")
    z, y = target.draw_latents(range(7), seed=0), torch.arange(7) % 3
    with torch.inference_mode():
        wanted = load_checkpoint(tmp_path / "gan0").networks.generator(z, y)
    assert (generate(target, z, y).float() - (wanted + 1) * 127.5).abs().max() <= 0.51


def test_other_conditions_are_refused(open_target: Open) -> None:
    target = open_target()
    wrong: list[Tensor] = [torch.tensor([0, 3]), torch.tensor([-1, 0]), torch.tensor([0]), torch.zeros(2)]
    for conditions in wrong:
        with pytest.raises(TargetError, match=r"conditions must be \(2,\) int64 from 0 to 2"):
            target.sample(range(2), seed=0, conditions=conditions)


def test_its_identity_follows_from_weights_and_conditions(open_target: Open, tmp_path: Path) -> None:
    first, other = open_target(0), open_target(1)
    if not (tmp_path / "gan1").exists():
        assert first.identity == other.identity  # the same pipeline, or API
        return
    assert first.identity.rpartition(":")[2] != other.identity.rpartition(":")[2]


def test_scores_are_of_a_class(open_target: Open) -> None:
    target = open_target()
    if not isinstance(target, WhiteBoxTarget):
        pytest.skip("no discriminator came with this generator")
    y = torch.arange(70) % 3
    images = target.sample(range(70), seed=0, conditions=y)
    whole = target.discriminator.scores(images, y)
    parts = [target.discriminator.scores(images[part], y[part]) for part in (slice(0, 9), slice(9, 70))]
    assert torch.equal(torch.cat(parts), whole)
    assert not torch.equal(target.discriminator.scores(images, (y + 1) % 3), whole)


def test_no_global_random_state_is_touched(open_target: Open) -> None:
    target = open_target()
    before = torch.get_rng_state()
    target.sample(range(3), seed=0, conditions=torch.tensor([0, 1, 2]))
    assert torch.equal(torch.get_rng_state(), before)
