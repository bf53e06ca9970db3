import os
import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from ganguard.base.compute import Compute
from ganguard.base.errors import CheckpointError
from ganguard.base.seeds import seeded_weights
from ganguard.metrics.features.classifier import WEIGHTS, Classifier, ClassifierNetwork, accuracy
from ganguard.metrics.features.network import FeatureNetwork

SETTINGS = Classifier(width=4, dimensions=6)


def _network(channels: int = 1, classes: int = 3) -> ClassifierNetwork:
    with seeded_weights(0):
        return SETTINGS.untrained(channels, classes).eval()


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    save_file(_network().state_dict(), tmp_path / WEIGHTS)
    return tmp_path


def test_a_saved_classifier_is_the_same_function(saved: Path) -> None:
    images = torch.linspace(-1, 1, 128).view(2, 1, 8, 8)
    before, after = _network(), SETTINGS.load(saved, 1)
    assert torch.equal(before(images), after(images))
    assert torch.equal(before.features(images), after.features(images))
    assert not after.training


def test_features_are_the_inputs_of_the_last_layer() -> None:
    network, images = _network(), torch.linspace(-1, 1, 128).view(2, 1, 8, 8)
    assert network.features(images).shape == (2, 6)
    assert torch.equal(network.logits(network.features(images)), network(images))


def test_features_are_leaky() -> None:
    """A dimension that is 0 on nearly all real images would rule the distance once it is standardised."""
    network = _network()
    torch.nn.init.constant_(network.hidden.bias, -100.0)
    assert (network.features(torch.zeros(1, 1, 8, 8)) < -10).all()


@pytest.mark.parametrize(
    ("settings", "channels"),
    [(Classifier(width=5, dimensions=6), 1), (Classifier(width=4, dimensions=7), 1), (SETTINGS, 3)],
)
def test_weights_of_another_shape_are_refused(saved: Path, settings: Classifier, channels: int) -> None:
    with pytest.raises(CheckpointError, match=rf"{WEIGHTS}: not the weights of this classifier"):
        settings.load(saved, channels)


def test_weights_without_logits_are_refused(saved: Path) -> None:
    weights = load_file(saved / WEIGHTS)
    del weights["logits.weight"]
    save_file(weights, saved / WEIGHTS)
    with pytest.raises(CheckpointError, match=WEIGHTS):
        SETTINGS.load(saved, 1)


def test_an_absent_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=WEIGHTS):
        SETTINGS.load(tmp_path, 1)


class Bomb:
    def __init__(self, proof: Path) -> None:
        self.proof = proof

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.proof),)


def test_a_pickle_is_never_run(tmp_path: Path) -> None:
    (tmp_path / WEIGHTS).write_bytes(pickle.dumps(Bomb(tmp_path / "it-ran")))
    with pytest.raises(CheckpointError, match=WEIGHTS):
        SETTINGS.load(tmp_path, 1)
    assert not (tmp_path / "it-ran").exists()


def test_accuracy_is_the_share_of_right_answers(compute: Compute) -> None:
    class Brightness(FeatureNetwork):
        def probabilities(self, images: torch.Tensor) -> torch.Tensor:
            mean = images.mean(dim=(1, 2, 3))
            return torch.stack([-mean, mean], dim=1).softmax(1)

    images = torch.tensor([0, 0, 255, 255], dtype=torch.uint8).view(4, 1, 1, 1).expand(-1, -1, 4, 4)
    assert accuracy(Brightness(), images, torch.tensor([0, 0, 1, 0]), compute) == 0.75
