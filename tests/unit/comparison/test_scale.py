"""What features are scaled by, as `measure --scale` says."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from ganguard.base.compute import Compute
from ganguard.base.errors import SpecError
from ganguard.base.progress import silent
from ganguard.comparison.image_sets import ImageSet
from ganguard.comparison.measure_sets import ScaleName, measured_sets
from ganguard.metrics import frechet_distance, kid, vendi_score
from ganguard.metrics.features.network import extract, load_features, parse_features


def _images(seed: int, darkest: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(darkest, 256, (60, 1, 8, 8), generator=generator).to(torch.uint8)


A, B = _images(0, 0), _images(1, 90)


def _features(images: Tensor) -> Tensor:
    return extract(load_features(parse_features("random_network"), Path(), 1), images, Compute())


@pytest.mark.parametrize(("scale", "said"), [(None, "B"), ("b", "B"), ("none", "nothing")])
def test_the_scale_is_said_and_published_numbers_do_not_depend_on_it(
    scale: ScaleName | None, said: str
) -> None:
    names = "frechet_distance,frechet_distance_unscaled,kid,vendi_score"
    found = measured_sets(
        ImageSet.of(A), ImageSet.of(B), "random_network", names, Compute(), silent, scale=scale
    )
    assert found.network is not None
    assert found.network.scaled_by == said
    x, y = _features(A), _features(B)
    unscaled = frechet_distance(x, y)
    assert found.values["frechet_distance_unscaled"].value == pytest.approx(unscaled, rel=1e-6)
    assert found.values["kid"].value == pytest.approx(kid(x, y).mean, rel=1e-6)
    assert found.values["kid"].spread is None
    assert found.values["vendi_score"].value == pytest.approx(vendi_score(x), rel=1e-6)
    same = found.values["frechet_distance"].value == pytest.approx(unscaled, rel=1e-6)
    assert same == (said == "nothing")


def test_the_vendi_score_alone_takes_features_of_a_alone() -> None:
    found = measured_sets(ImageSet.of(A), ImageSet.of(B), "random_network", "vendi_score", Compute(), silent)
    assert found.network is not None
    assert found.network.dimensions == _features(A).shape[1]


def test_the_scale_of_an_audit_needs_its_features() -> None:
    with pytest.raises(SpecError, match="--scale audit: random_network is no directory of an audit's"):
        measured_sets(
            ImageSet.of(A), ImageSet.of(B), "random_network", "kid", Compute(), silent, scale="audit"
        )
