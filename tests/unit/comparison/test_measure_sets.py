"""Any metric of any two sets: what `ganguard measure` computes."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from ganguard.base.compute import Compute
from ganguard.base.errors import InputError
from ganguard.base.progress import silent
from ganguard.comparison.compare import (
    NEIGHBOURS,
    NIQE_IMAGES,
    by_itself,
    compare,
    compare_pairs,
    compare_pixels,
    compare_with_training,
    in_no_order,
    pixel_bins,
)
from ganguard.comparison.embedding import FeatureDescription, as_probabilities
from ganguard.comparison.image_sets import ImageSet
from ganguard.comparison.measure_sets import measured_sets
from ganguard.comparison.metric_names import named_metrics
from ganguard.metrics import Balls, fit_niqe, ndb_jsd, niqe, piqe, psnr
from ganguard.metrics.features.network import FeatureNetwork, Standardisation, extract
from ganguard.metrics.features.random_network import RandomNetwork
from ganguard.results.measures import MEASURES, Measure, of_two_sets


def _images(count: int, seed: int, side: int = 8, channels: int = 1) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, channels, side, side), generator=generator).to(torch.uint8)


def _measured(
    a: Tensor | ImageSet,
    b: Tensor | ImageSet,
    metrics: str,
    features: str = "random_network",
    *,
    cache: Path | None = None,
) -> Mapping[str, Any]:
    """Return the numbers by name, in their order, or "not measured: " and why."""
    x, y = (images if isinstance(images, ImageSet) else ImageSet.of(images) for images in (a, b))
    found = measured_sets(x, y, features, metrics, Compute(), silent, cache=cache)
    refused = {name: f"not measured: {reason}" for name, reason in found.refused.items()}
    return {name: found.values.get(name) or refused[name] for name in named_metrics(metrics)[0]}


def test_all_of_them_in_one_call_and_those_that_refuse_say_why() -> None:
    found = _measured(_images(150, 0), _images(150, 1), "all")
    assert list(found) == [measure.name for measure in of_two_sets()]
    assert "nearest_distance_ratio" in MEASURES and "nearest_distance_ratio" not in found
    assert found["frechet_distance"].value > found["frechet_distance"].spread > 0
    assert 0 < found["kernel_distance"].spread < 1
    assert found["inception_score"].startswith("not measured: class probabilities")
    assert found["niqe"].startswith("not measured: ")
    assert (found["copies"].value, found["near_copies"].value, found["authenticity"].value > 0.5) == (
        0,
        0,
        True,
    )
    assert found["ndb"] == (
        "not measured: ndb needs at least 500 images in each set; got 150. Measure more images."
    )
    assert found["frechet_distance_infinity"] == (
        "not measured: frechet_distance_infinity needs at least 1,280 images in each set for features of 64 "
        "dimensions; got 150. Measure more images."
    )
    assert found["piqe"] == "not measured: piqe needs images of at least 16×16 pixels; got a side of 8."


def test_a_number_is_the_same_as_an_audits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the same features, pixels, pairs, probabilities and training images, with the same spread."""
    monkeypatch.setattr(
        "ganguard.comparison.measure_sets.network_of", lambda *_: (RandomNetwork(), _Classes(), _plain())
    )
    a, b = _images(600, 0, side=4), _images(600, 1, side=4)
    found = _measured(a, b, "all")
    x, y, fresh = (extract(_Classes(), images, Compute()) for images in (a, b, _images(60, 2, side=4)))
    probabilities = as_probabilities(extract(_Classes(), a, Compute(), output="probabilities"))
    records = [
        *compare("target", Balls.around(x, k=NEIGHBOURS), Balls.around(y, k=NEIGHBOURS), "reference"),
        *compare_pixels("target", a, pixel_bins(b), "reference"),
        *compare_with_training("target", x, y, fresh),
        *by_itself("target", a, in_no_order(probabilities), None),
        *compare_pairs("target", a, b),
    ]
    audited = {m.metric: (m.value, m.spread) for m in records}
    measured = {name: value[:2] for name, value in found.items() if not isinstance(value, str)}
    assert audited.keys() - measured.keys() == {"nearest_distance_ratio"}
    assert measured.keys() - audited.keys() == {
        "copies",
        "near_copies",
        "frechet_distance_unscaled",  # audits measure the last three with pretrained networks
        "kid",
        "vendi_score",
        "class_coverage",  # and this one of conditional targets
    }
    assert all(measured[name] == pytest.approx(audited[name]) for name in measured.keys() & audited.keys())


def test_a_new_number_is_a_record_and_a_function(monkeypatch: pytest.MonkeyPatch) -> None:
    """Here of the features' means; nothing else is edited."""
    new = Measure(
        name="mean_distance",
        title="distance of means",
        function=f"{__name__}:mean_distance",
        of="features",
        spread="bootstrap",
        better="none",
        help="Euclidean distance of the mean features.",
    )
    monkeypatch.setitem(MEASURES, new.name, new)
    a, b = _images(40, 0), _images(50, 1)
    found = _measured(a, b, "mean_distance")["mean_distance"]
    assert found.value > 0 and found.spread > 0
    x, y = (Balls.around(extract(_Classes(), images, Compute()), k=NEIGHBOURS) for images in (a, b))
    record = next(m for m in compare("target", x, y, "reference") if m.metric == new.name)
    assert record.value == mean_distance(x.points, y.points)
    assert "mean_distance" in _measured(a, b, "all")


def mean_distance(x: Tensor, y: Tensor) -> float:
    return (x.mean(0) - y.mean(0)).norm().item()


def test_large_images_have_quality() -> None:
    found = _measured(
        _images(12, 0, side=32, channels=3), _images(12, 1, side=32, channels=3), "piqe, niqe,psnr,ssim"
    )
    assert list(found) == ["piqe", "niqe", "psnr", "ssim"]
    assert found["niqe"].value > 0 and found["niqe"].images == 12
    assert found["psnr"].value == pytest.approx(7.7, abs=0.3)  # of two images of uniform noise: 10 log10 6


def test_features_are_found_again_by_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = _images(30, 0), _images(40, 1)
    plain = _measured(a, b, "frechet_distance,precision")
    first = _measured(a, b, "frechet_distance,precision", cache=tmp_path)
    kept = sorted(tmp_path.rglob("*.safetensors"))
    monkeypatch.setattr(
        "ganguard.metrics.features.extraction.extract", lambda *_, **__: pytest.fail("made again")
    )
    again = _measured(a, b, "frechet_distance,precision", cache=tmp_path)
    assert plain == first == again
    assert len(kept) == 2
    with pytest.raises(pytest.fail.Exception, match="made again"):
        _measured(_images(30, 2), b, "frechet_distance", cache=tmp_path)


class _Classes(FeatureNetwork):
    """Two classes: dark and light images."""

    def features(self, images: Tensor) -> Tensor:
        return images.flatten(1)

    def probabilities(self, images: Tensor) -> Tensor:
        light = (images.mean((1, 2, 3)) > 0).float()
        return torch.stack([1 - light, light], 1)


def _plain() -> Standardisation:
    """A scale that leaves features as they are."""
    return Standardisation(torch.zeros(16), torch.ones(16))


def test_the_inception_score_does_not_depend_on_files_lying_class_by_class(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        "ganguard.comparison.measure_sets.network_of", lambda *_: (RandomNetwork(), _Classes(), None)
    )
    dark = torch.zeros(200, 1, 8, 8, dtype=torch.uint8)
    found = _measured(torch.cat([dark, dark + 255]), _images(12, 0), "inception_score")
    assert found["inception_score"].value == pytest.approx(2, abs=0.05)


def test_psnr_is_of_the_pairs_that_differ() -> None:
    """Of equal ones it is infinite, which JSON has no word for."""
    a, b = _images(12, 0), _images(12, 1)
    some = torch.cat([a[:5], b[5:]])
    assert _measured(a, some, "psnr")["psnr"].value == pytest.approx(psnr(a[5:], b[5:]).mean().item())
    assert _measured(a, a, "all, psnr")["psnr"].startswith("not measured: A and B are equal")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"metrics": "all, frechet"}, "unknown metric 'frechet'"),
        ({"metrics": "psnr", "b": _images(12, 0)}, "A and B are equal, image by image"),
        ({"metrics": "frechet"}, "unknown metric 'frechet'; did you mean 'frechet_distance'"),
        ({"metrics": "niqe"}, "at least 16×16 pixels; got a side of 8"),
        ({"metrics": "inception_score"}, "gives none"),
        ({"metrics": "psnr", "b": _images(9, 1)}, "pairs of images, as many of each; got 12 and 9"),
        ({"b": _images(12, 1, side=9)}, "cannot be compared"),
        ({"features": "classifier"}, "must be trained first"),
        ({"features": "{kind: random_network, dimension: 3}"}, "unknown key. Did you mean 'dimensions'"),
        ({"features": "{kind"}, "not YAML"),
    ],
)
def test_what_cannot_be_measured_is_refused(changes: dict[str, Any], said: str) -> None:
    values: dict[str, Any] = {"a": _images(12, 0), "b": _images(12, 1), "metrics": "precision"} | changes
    with pytest.raises(InputError, match=said):
        _measured(**values)


def test_features_of_an_audit_of_other_images_are_refused(tmp_path: Path) -> None:
    settings = {"kind": "random_network"}
    said = FeatureDescription(settings=settings, channels=1, dimensions=64, held_out_accuracy=None)
    (tmp_path / "features.json").write_text(said.model_dump_json())
    save_file({"mean": torch.zeros(64), "std": torch.ones(64)}, tmp_path / "scale.safetensors")
    grey = _measured(_images(12, 0), _images(12, 1), "precision", str(tmp_path))
    assert 0 <= grey["precision"].value <= 1
    with pytest.raises(InputError, match="made for images of 1 channels; these have 3"):
        _measured(_images(12, 0, channels=3), _images(12, 1, channels=3), "precision", str(tmp_path))


def test_images_that_come_in_parts_measure_as_the_whole() -> None:
    a, b = _images(1100, 0, side=32, channels=3), _images(1100, 1, side=32, channels=3)
    names = "frechet_distance,ndb,jsd,piqe,niqe,psnr"
    parts = ImageSet(len(a), (3, 32, 32), lambda: (part for part in a.split(300)))
    found = _measured(parts, b, names)
    whole = ndb_jsd(b.flatten(1), a.flatten(1))
    assert (found["ndb"].value, found["jsd"].value) == (whole.share, whole.jsd)
    assert found["piqe"].value == piqe(a).mean().item() and found["psnr"].value == psnr(a, b).mean().item()
    assert found["frechet_distance"] == _measured(a, b, "frechet_distance")["frechet_distance"]
    model = fit_niqe(b, block_size=16)
    drawn = in_no_order(torch.arange(len(a)))[:NIQE_IMAGES].sort().values
    assert found["niqe"].images == NIQE_IMAGES == 1000
    assert found["niqe"].value == pytest.approx(niqe(a[drawn], model).mean().item(), rel=1e-12)


def test_fewer_images_than_announced_are_refused() -> None:
    short = ImageSet(13, (1, 8, 8), lambda: [_images(12, 0)])
    with pytest.raises(InputError, match="12 images came of 13"):
        _measured(short, _images(12, 1), "precision")
