"""Directions fitted on a target: of bars that its codes draw, and of what a classifier would say."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from ganguard.base.errors import MetricError, SpecError, TargetError
from ganguard.base.seeds import normal
from ganguard.comparison.directions import AMOUNTS, STRIP_FILE, effect_on, fit_for, save_strip, score_of
from ganguard.metrics.attributes import slant, stroke_thickness


class Bars:
    """Each code draws one stroke: its entry 1 says how far it leans, and its entry 3 how thick it is."""

    identity, image_shape, latent_dim = "bars", (1, 16, 16), 6

    def draw_latents(self, indices: range, *, seed: int) -> Tensor:
        return normal(seed, "latents", indices, self.latent_dim)

    def generate(self, latents: Tensor) -> Tensor:
        y, x = torch.meshgrid(*[torch.arange(16) - 7.5] * 2, indexing="ij")
        lean, thick = (latents[:, entry, None, None] for entry in (1, 3))
        ink = (2 + 0.4 * thick - (x + 0.15 * lean * y).abs()).clamp(0, 1) * (y.abs() < 6)
        return (ink * 255).round().to(torch.uint8)[:, None]

    def sample(self, indices: range, *, seed: int) -> Tensor:
        return self.generate(self.draw_latents(indices, seed=seed))


def _leaning(images: Tensor) -> Tensor:
    """What a classifier of two classes would say, 1 for what leans to the right."""
    right = torch.sigmoid(slant(images))
    return torch.stack([1 - right, right], 1)


@pytest.mark.parametrize(("attribute", "entry"), [("slant", 1), ("thickness", 3), ("class:1", 1)])
def test_the_entry_that_draws_it_is_found_and_moving_along_it_has_its_effect(
    attribute: str, entry: int
) -> None:
    told = _leaning if attribute.startswith("class") else None
    found = fit_for(Bars(), attribute, samples=1200, seed=0, probabilities=told)
    assert found.vector[entry] > 0.8
    assert found.vector[entry] == found.vector.abs().max()
    assert (found.name, found.samples) == (attribute, 1200)
    moved = effect_on(Bars(), found, attribute, seed=0, probabilities=told, codes=40)
    assert moved.amounts == AMOUNTS
    assert list(moved.means) == sorted(moved.means)
    assert moved.spearman > 0.9


def test_a_seed_gives_one_direction_and_work_is_told() -> None:
    told: list[tuple[int, int]] = []
    one = fit_for(
        Bars(), "slant", samples=700, seed=3, progress=lambda done, total, note="": told.append((done, total))
    )
    assert told == [(512, 700), (700, 700)]
    assert torch.equal(fit_for(Bars(), "slant", samples=700, seed=3).vector, one.vector)
    assert not torch.equal(fit_for(Bars(), "slant", samples=700, seed=4).vector, one.vector)


def test_the_share_is_taken() -> None:
    with pytest.raises(MetricError, match="500 samples are enough"):
        fit_for(Bars(), "slant", samples=60, seed=0)
    assert fit_for(Bars(), "slant", samples=60, seed=0, share=0.2).samples == 60


@pytest.mark.parametrize(
    ("attribute", "said"),
    [
        ("slnat", "unknown attribute 'slnat'; did you mean 'slant'? Known: class:K, slant, thickness"),
        ("class:three", "did you mean 'class:K'"),
        ("class:-1", "did you mean 'class:K'"),
        ("class:3", "Give --features"),
        ("a\nb" * 200, "unknown attribute"),
    ],
)
def test_what_is_no_attribute_is_refused(attribute: str, said: str) -> None:
    with pytest.raises(SpecError) as raised:
        score_of(attribute)
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_class_that_the_classifier_does_not_know_is_refused() -> None:
    with pytest.raises(SpecError, match="class:2: the classifier knows classes 0 to 1"):
        fit_for(Bars(), "class:2", samples=600, seed=0, probabilities=_leaning)


def test_a_target_that_answers_with_something_else_is_refused() -> None:
    class Wrong(Bars):
        def generate(self, latents: Tensor) -> Tensor:
            return super().generate(latents).float()

    with pytest.raises(TargetError, match="must answer with uint8"):
        fit_for(Wrong(), "slant", samples=600, seed=0)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_strip_has_a_row_a_code_and_a_column_an_amount(channels: int, tmp_path: Path) -> None:
    images = torch.arange(6, dtype=torch.uint8).view(2, 3, 1, 1, 1).expand(2, 3, channels, 4, 5)
    save_strip(images, tmp_path)
    pixels = np.asarray(Image.open(tmp_path / STRIP_FILE))
    assert pixels.shape[:2] == (2 * 5 - 1, 3 * 6 - 1)
    assert [
        [int(np.unique(pixels[r * 5 : r * 5 + 4, c * 6 : c * 6 + 5]).item()) for c in range(3)]
        for r in range(2)
    ] == [
        [0, 1, 2],
        [3, 4, 5],
    ]
    assert (pixels[4] == 128).all()


def test_both_measures_are_the_published_ones() -> None:
    images = Bars().sample(range(5), seed=0)
    assert torch.equal(score_of("slant")(images), slant(images))
    assert torch.equal(score_of("thickness")(images), stroke_thickness(images))
