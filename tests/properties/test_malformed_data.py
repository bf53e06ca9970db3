"""Real data at the edge: one picture again and again, one class, few images. It is handled, or refused with
what works."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ganguard.audit.run import audit
from ganguard.audit.spec.spec import Spec
from ganguard.base.compute import Compute
from ganguard.base.errors import DataError, InputError, MetricError
from ganguard.base.settings import parse
from ganguard.data.dataset import RealImages
from ganguard.data.image_folder import ImageFolder
from ganguard.data.splits import split
from ganguard.metrics import frechet_distance, precision_recall_density_coverage
from ganguard.metrics.features.classifier import Classifier
from ganguard.metrics.features.network import Standardisation
from ganguard.results.records import AuditResults
from ganguard.training.supervised import train_classifier

Folder = Callable[..., str]
ATTACK = {
    "kind": "fidelity",
    "architecture": "dcgan",
    "query_budget": 12,
    "steps": 3,
    "n_dis": 1,
    "batch_size": 8,
}
TRAINING = {"architecture": "dcgan", "steps": 3, "n_dis": 1, "batch_size": 8}


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """A folder of `count` 8x8 images in `classes` subfolders; all the same unless they are to differ."""

    def make(count: int, *, classes: int = 0, differ: bool = False) -> str:
        for number in range(count):
            pixels = np.random.default_rng(number if differ else 0).integers(0, 256, (8, 8), dtype=np.uint8)
            file = tmp_path / "real" / (f"class{number % classes}" if classes else "") / f"{number}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(file)
        return str(tmp_path / "real")

    return make


def _audit(path: str, out: Path, features: object = "random_network") -> AuditResults:
    data = {"kind": "image_folder", "path": path}
    spec = {
        "target": {"train": {"dataset": data, **TRAINING}},
        "real": data,
        "features": features,
        "attacks": [ATTACK],
        "samples": 8,
        "even_if": "target_broken",
    }
    return audit("edge", parse(Spec, spec, "spec"), out, processes=1, listener=lambda event: None)


@pytest.mark.parametrize("features", ["random_network", {"kind": "classifier", "steps": 4}])
def test_an_audit_of_one_picture_again_and_again_is_refused(
    folder: Folder, tmp_path: Path, features: object
) -> None:
    """It would have no scale for features, and distances of any size."""
    with pytest.raises(MetricError, match="it needs 10 different images, and has 1 among 20"):
        _audit(folder(30, classes=2), tmp_path / "out", features)
    assert not (tmp_path / "out" / "purchases").exists()


def test_nineteen_images_are_the_least_that_are_audited(folder: Folder, tmp_path: Path) -> None:
    with pytest.raises(MetricError, match="at least 6 images"):
        _audit(folder(18, differ=True), tmp_path / "out")
    assert not (tmp_path / "out" / "purchases").exists()
    assert _audit(folder(19, differ=True), tmp_path / "out").real_images == {"train": 13, "reference": 6}


def test_one_class_has_no_labels_to_learn(folder: Folder, tmp_path: Path) -> None:
    with pytest.raises(
        MetricError, match=r"features: classifier learns from labels.*every image.*subfolder.*random_network"
    ):
        _audit(folder(30, classes=1), tmp_path / "out", "classifier")
    assert not (tmp_path / "out" / "purchases").exists()


@pytest.mark.parametrize(
    ("count", "classes", "said"),
    [
        (1, 0, "^1 real image is too few"),
        (3, 3, "^3 real images in 3 classes are too few"),
        (9, 9, "Give at least 2 images of one class"),
    ],
)
def test_too_few_images_to_split_say_how_many_are_enough(
    folder: Folder, count: int, classes: int, said: str
) -> None:
    with pytest.raises(DataError, match=said):
        split(ImageFolder(path=folder(count, classes=classes)).load())


def test_what_the_refusal_asks_for_is_enough() -> None:
    images = torch.zeros(4, 1, 8, 8, dtype=torch.uint8)
    parts = split(RealImages(images, torch.tensor([0, 1, 2, 2]), ("a", "b", "c")))
    assert (len(parts.train), len(parts.reference)) == (3, 1)


def test_a_classifier_of_one_picture_in_two_classes_is_trained(compute: Compute) -> None:
    network = Classifier(width=2, dimensions=3).untrained(1, 2)
    images, labels = torch.full((4, 1, 8, 8), 9, dtype=torch.uint8), torch.tensor([0, 1, 0, 1])
    trained = train_classifier(network, images, labels, steps=3, seed=0, compute=compute)
    assert all(torch.isfinite(value).all() for value in trained.state_dict().values())


def test_constant_features_scale_nothing() -> None:
    with pytest.raises(MetricError, match="it needs 10 different images, and has 1 among 20"):
        Standardisation.fit(torch.full((20, 3), 0.7))


@pytest.mark.parametrize("count", [0, 1])
def test_a_scale_needs_two_images(count: int) -> None:
    with pytest.raises(InputError, match=f"at least 2 images; got {count}"):
        Standardisation.fit(torch.zeros(count, 3))


def test_metrics_of_constant_features_are_those_of_equal_sets() -> None:
    same, other = torch.zeros(8, 3), torch.ones(9, 3)
    assert frechet_distance(same, same) == 0
    assert frechet_distance(same, other) == pytest.approx(3)
    found = precision_recall_density_coverage(same, same)
    assert (found.precision, found.recall, found.density, found.coverage) == (1, 1, 8 / 5, 1)
    apart = precision_recall_density_coverage(same, other)
    assert (apart.precision, apart.recall, apart.density, apart.coverage) == (0, 0, 0, 0)


@pytest.mark.parametrize("k", [1, 5, 7])
def test_fewer_images_than_neighbours_say_how_many_are_enough(k: int) -> None:
    few, enough = torch.randn(k, 3), torch.randn(k + 1, 3)
    with pytest.raises(MetricError, match=f"must hold at least {k + 1} rows; got {k}"):
        precision_recall_density_coverage(enough, few, k=k)
    precision_recall_density_coverage(enough, enough, k=k)


@pytest.mark.parametrize("count", [0, 1])
def test_a_distance_needs_two_images(count: int) -> None:
    with pytest.raises(InputError, match=f"at least 2 rows; got {count}"):
        frechet_distance(torch.zeros(count, 3), torch.zeros(2, 3))
