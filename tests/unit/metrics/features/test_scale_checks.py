"""Sets that vary too little give others no scale: distances of any size would come out."""

from pathlib import Path

import pytest
import torch
from sklearn.datasets import load_digits
from torch import Tensor

from ganguard.base.compute import Compute
from ganguard.base.errors import MetricError
from ganguard.base.progress import silent
from ganguard.comparison.image_sets import ImageSet
from ganguard.comparison.measure_sets import measured_sets
from ganguard.comparison.two_sets import TwoSets
from ganguard.metrics.features.network import Standardisation
from ganguard.metrics.features.random_network import RandomNetwork
from ganguard.metrics.features.scale_checks import outweighed_note, require_comparable, scale_note

DIGITS = torch.from_numpy(load_digits(return_X_y=True)[0][:200].reshape(-1, 8, 8) * 15).to(torch.uint8)[
    :, None
]
COPIES = DIGITS[:1].repeat(30, 1, 1, 1)


def _brighter(images: Tensor, by: int) -> Tensor:
    changed = images.clone()
    changed[3, 0, 0, 0] += by
    return changed


def _noisy(images: Tensor, levels: int) -> Tensor:
    noise = torch.randint(0, levels, images.shape, generator=torch.Generator().manual_seed(0))
    return (images + noise).to(torch.uint8)


def _distance(a: Tensor, b: Tensor) -> float:
    found = measured_sets(
        ImageSet.of(a), ImageSet.of(b), "random_network", "frechet_distance", Compute(), silent
    ).values["frechet_distance"]
    return found.value


DEGENERATE = {
    "copies of one": COPIES,
    "one pixel of one copy brighter": _brighter(COPIES, 1),
    "and much brighter": _brighter(COPIES, 100),
    "two images again and again": DIGITS[:2].repeat(30, 1, 1, 1),
    "nine images again and again": DIGITS[:9].repeat(30, 1, 1, 1),
    "one image with a faint noise": _noisy(COPIES, 2),
}


@pytest.mark.parametrize("name", DEGENERATE)
@pytest.mark.parametrize("other", [_noisy(COPIES, 3), DIGITS], ids=["variations", "digits"])
def test_a_degenerate_set_scales_nothing(name: str, other: Tensor) -> None:
    """The first gave 0.011, the second 2.2e9."""
    with pytest.raises(MetricError, match=r"^B cannot give features their scale: ") as refused:
        _distance(other, DEGENERATE[name])
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("name", DEGENERATE)
def test_a_degenerate_set_is_measured_on_the_scale_of_a_varied_one(name: str) -> None:
    assert 1 < _distance(DEGENERATE[name], DIGITS) < 1000


def test_a_set_that_varies_far_less_than_the_other_does_not_scale_it() -> None:
    narrow = _noisy(COPIES, 8)
    with pytest.raises(MetricError, match=r"^B cannot .* less than a tenth as much as in A. Swap"):
        _distance(DIGITS, narrow)
    assert _distance(narrow, DIGITS) > 1


def test_constant_features_but_a_few_scale_nothing() -> None:
    features = torch.full((100, 64), 0.5)
    features[:, :3] = torch.randn(100, 3, generator=torch.Generator().manual_seed(0))
    with pytest.raises(MetricError, match="61 of 64 features vary by less than 1%"):
        Standardisation.fit(features)
    features[:, 3:] = 0  # units that these images do not excite
    assert Standardisation.fit(features).std[3:].tolist() == [1] * 61
    others = torch.randn(50, 64, generator=torch.Generator().manual_seed(1))
    with pytest.raises(MetricError, match="61 of 64 vary in it less than a tenth as much as in A"):
        require_comparable(features, "B", others, "A")


def test_a_set_smaller_than_the_features_are_wide_is_said() -> None:
    few = torch.randn(63, 64, generator=torch.Generator().manual_seed(0))
    note = scale_note(few, "B")
    assert note.startswith("The scale of 64 features comes from 63 different images of B")
    assert scale_note(torch.cat([few, few]), "B") == note
    assert scale_note(torch.cat([few, -few]), "B") == ""
    sets = TwoSets(
        ImageSet.of(DIGITS),
        ImageSet.of(DIGITS[:30]),
        RandomNetwork().load(Path(), 1),
        "b",
        Compute(),
        silent,
    )
    assert "30 different images of B" in sets.notes[0]


def test_a_few_features_that_hardly_vary_where_the_scale_is_from_are_said() -> None:
    """One of 64 features made a distance of 253,199 with nothing said but that images were few."""
    x, y = torch.randn(2, 200, 64, generator=torch.Generator().manual_seed(0))
    assert outweighed_note(y, "B", x, "A") == ""
    y[:, 3] *= 1e-3
    y[:, 5] = 1
    note = outweighed_note(y, "B", x, "A")
    assert note.startswith("Of 64 features, 2 vary in B less than a tenth as much as in A")
