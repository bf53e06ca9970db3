"""A projected D: what it looks at, what is trained and what never is, kills, and what it is refused with."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from pydantic import ValidationError
from safetensors.torch import load_file
from torch import Tensor, nn

from ganguard.architectures.checkpoint import load_checkpoint
from ganguard.base.cache import file_digest
from ganguard.base.compute import Compute
from ganguard.base.errors import CheckpointError, SpecError
from ganguard.base.images import to_float
from ganguard.base.settings import parse
from ganguard.targets.checkpoint import CheckpointTarget
from ganguard.targets.protocol import WhiteBoxTarget
from ganguard.training import update
from ganguard.training.assembling import set_up
from ganguard.training.differential_privacy import PrivateTraining
from ganguard.training.initial_weights import RANDOM_WEIGHTS
from ganguard.training.loop import train_generator
from ganguard.training.processes import ONE_DEVICE, Devices, launched
from ganguard.training.projected import Projected, ProjectedDiscriminator, Projection
from ganguard.training.settings import TrainingSettings
from ganguard.training.state import saved_step

IMAGES = torch.from_numpy(np.random.default_rng(1).integers(0, 256, (20, 1, 8, 8), dtype=np.uint8))
LOOKS = {"kind": "projected", "features": "random_network", "width": 4}


class Killed(Exception):
    """Raised by a test in place of a kill."""


class TwoScales(nn.Module):
    """A feature network whose weights could be trained, if anything did so."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.fine = nn.Parameter(torch.randn(5, 1, 3, 3, generator=generator))
        self.coarse = nn.Parameter(torch.randn(7, 5, 3, 3, generator=generator))

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        fine = F.leaky_relu(F.conv2d(images, self.fine, padding=1), 0.2)
        return fine, F.leaky_relu(F.conv2d(fine, self.coarse, stride=2, padding=1), 0.2)


def projection(seed: int = 0) -> Projection:
    return Projection(TwoScales(seed), f"seed {seed}")


def settings(**values: object) -> TrainingSettings:
    said = {
        "architecture": {"kind": "sngan", "width": 4, "latent_dim": 4},
        "batch_size": 4,
        "steps": 4,
        "n_dis": 1,
        "discriminator": LOOKS,
        **values,
    }
    return TrainingSettings.model_validate(said)


def train(directory: Path, compute: Compute, seed: int = 0, **values: Any) -> Path:
    looks = projection(seed)
    return train_generator(
        IMAGES, settings(**values), directory, seed=0, compute=compute, projection=_on(looks, compute)
    )


def _on(looks: Projection, compute: Compute) -> Projection:
    network = looks.maps
    assert isinstance(network, nn.Module)
    return Projection(network.to(compute.torch_device()), looks.digest)


def discriminator() -> tuple[ProjectedDiscriminator, TwoScales]:
    network = TwoScales()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        with torch.no_grad():
            D = ProjectedDiscriminator(network, network(to_float(IMAGES)), 4)
    return D.eval(), network


def weight(layer: nn.Module) -> Tensor:
    found = layer.weight
    assert isinstance(found, Tensor)
    return found


def test_each_scale_is_standardised_mixed_with_the_coarser_one_and_scored_by_its_own_head() -> None:
    D, network = discriminator()
    x = to_float(IMAGES[:3])
    with torch.no_grad():
        examples, (fine, coarse) = network(to_float(IMAGES)), network(x)
        mixed: list[Tensor] = []
        for maps, seen, layer in zip((fine, coarse), examples, D.mixing, strict=True):
            channels = seen.transpose(0, 1).flatten(1)  # (K, N h w)
            std, mean = torch.std_mean(channels, 1, correction=0)
            scaled = (maps - mean[:, None, None]) / std[:, None, None]
            mixed.append(torch.einsum("nkhw,ck->nchw", scaled, weight(layer).flatten(1)))
        low = F.conv2d(mixed[1], weight(D.blending[1]), padding=1)
        up = F.interpolate(low, scale_factor=2, mode="bilinear")
        high = F.conv2d((mixed[0] + up) / 2**0.5, weight(D.blending[0]), padding=1)
        wanted = torch.cat([D.heads[1](low).flatten(1), D.heads[0](high).flatten(1)], 1)
        assert torch.allclose(D(x), wanted, atol=1e-5)
    assert D(x).shape == (3, 4 * 4 + 4 * 4)  # neither head has more than four scores a side


def test_a_channel_that_never_changes_stays_finite() -> None:
    still = (torch.full((4, 2, 8, 8), 3.0),)
    D = ProjectedDiscriminator(lambda images: still, still, 4)
    assert torch.isfinite(D(torch.zeros(4, 1, 8, 8))).all()


def test_gradients_reach_g_and_the_heads_but_no_weight_of_the_feature_network(compute: Compute) -> None:
    looks = _on(projection(), compute)
    network = looks.maps
    assert isinstance(network, TwoScales)
    network.requires_grad_(False)
    before = [value.clone() for value in network.parameters()]
    fabric = launched(compute.torch_device().type, "32-true", ONE_DEVICE)
    training = set_up(IMAGES, settings(), 0, fabric, RANDOM_WEIGHTS, projection=looks)
    D = training.networks.discriminator
    assert isinstance(D, ProjectedDiscriminator)
    assert not any(id(value) in {id(own) for own in D.parameters()} for value in network.parameters())
    heads, fixed = ([value.clone() for value in part] for part in (D.parameters(), D.blending.buffers()))
    training.step(0)
    G = training.networks.generator
    assert all(value.grad is not None for value in G.parameters())
    assert sum(float(value.grad.abs().sum()) for value in G.parameters() if value.grad is not None) > 0
    assert all(value.grad is None for value in network.parameters())
    assert all(torch.equal(old, new) for old, new in zip(before, network.parameters(), strict=True))
    assert all(torch.equal(old, new) for old, new in zip(fixed, D.blending.buffers(), strict=True))
    assert any(not torch.equal(old, new) for old, new in zip(heads, D.parameters(), strict=True))


def test_d_learns_to_tell_images_by_their_maps(compute: Compute) -> None:
    fabric = launched(compute.torch_device().type, "32-true", ONE_DEVICE)
    how = settings(batch_size=16, learning_rate=5e-3, n_dis=20, discriminator={**LOOKS, "width": 16})
    training = set_up(IMAGES, how, 0, fabric, RANDOM_WEIGHTS, projection=_on(projection(), compute))
    losses = [float(training.step(number)[0]) for number in range(2)]
    assert losses[1] < min(0.5, losses[0])  # it is 2 for a D that knows nothing


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"precision": "bf16-mixed"},
        {"lecam_weight": 0.3, "augment": {"kind": "ada", "images": 100, "start": 0.5}},
        {"architecture": {"kind": "stylegan2", "width": 4, "latent_dim": 4}},
    ],
)
def test_a_killed_training_goes_on_to_the_same_bits(
    tmp_path: Path, compute: Compute, monkeypatch: pytest.MonkeyPatch, values: dict[str, Any]
) -> None:
    """Killed at step 3, after the state of 2: a step is done again."""
    step = update.GANTraining.step

    def killed(training: update.GANTraining, number: int) -> Tensor:
        if number == 3:
            raise Killed
        return step(training, number)

    how: dict[str, Any] = {"checkpoint_every": 2, **values}
    whole = train(tmp_path / "whole", compute, **how)
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(update.GANTraining, "step", killed)
        train(tmp_path / "cut", compute, **how)
    assert saved_step(tmp_path / "cut" / "training.safetensors") == 2
    again = train(tmp_path / "cut", compute, **how)
    assert file_digest(whole / "generator.safetensors") == file_digest(again / "generator.safetensors")
    states = [load_file(tmp_path / name / "training.safetensors") for name in ("whole", "cut")]
    assert all(torch.equal(value, states[1][key]) for key, value in states[0].items())
    assert not any("fine" in key or "coarse" in key for key in states[0])


def test_the_checkpoint_is_of_a_generator_that_has_no_discriminator(tmp_path: Path, compute: Compute) -> None:
    made = train(tmp_path, compute)
    assert load_checkpoint(made).networks.discriminator is None
    target = CheckpointTarget(checkpoint=str(made)).load(compute)
    assert not isinstance(target, WhiteBoxTarget)
    assert target.sample(range(3), seed=1).shape == (3, 1, 8, 8)


def test_a_state_is_of_one_feature_network(tmp_path: Path, compute: Compute) -> None:
    train(tmp_path, compute)
    with pytest.raises(CheckpointError, match="projection"):
        train(tmp_path, compute, seed=1)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"architecture": {"kind": "sngan", "classes": 3}}, "knows no classes, and sngan has 3"),
        ({"architecture": "pggan"}, "pggan grows together with its own D. Set grow: false"),
        ({"architecture": "flow", "n_dis": None}, "discriminator belongs to the training of a GAN"),
        ({"compile": True}, "Set compile: false"),
        ({"loss": "wasserstein"}, "a Wasserstein D needs a penalty"),
        ({"penalty": "r1"}, "penalty would be taken through the whole feature network"),
        ({"penalty": "gradient", "penalty_weight": 5}, "penalty would be taken through"),
        ({"drift": 0.1}, "drift would be taken through"),
        ({"discriminator": {"kind": "projected"}}, "features"),
        ({"discriminator": {**LOOKS, "features": {"seed": 3}}}, "name of a feature network"),
        ({"discriminator": {**LOOKS, "width": 0}}, "width"),
    ],
)
def test_what_cannot_work_is_refused(values: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        settings(**values)


def test_losses_are_those_of_the_paper_whatever_the_architecture() -> None:
    complete = settings(architecture="stylegan2").completed()
    assert (complete.loss, complete.penalty, complete.penalty_weight, complete.drift) == (
        "hinge",
        "none",
        0,
        0,
    )
    assert complete.path_length_weight > 0  # G's own
    assert settings(architecture="dcgan", loss="non_saturating").completed().loss == "non_saturating"
    assert settings(architecture={"kind": "pggan"}, grow=False).completed().loss == "hinge"


def test_a_training_whose_d_is_handed_over_has_none() -> None:
    with pytest.raises(SpecError, match="a projected D is for trainings whose D nobody takes over"):
        parse(PrivateTraining, {"architecture": "sngan", "discriminator": LOOKS}, "training")


def test_what_it_looks_at_must_be_given_and_only_to_it(tmp_path: Path, compute: Compute) -> None:
    asked: list[tuple[TrainingSettings, Projection | None, Devices, str]] = [
        (settings(), None, ONE_DEVICE, "random_network is not at hand"),
        (settings(discriminator=None), projection(), ONE_DEVICE, "looked at by a projected D alone"),
        (settings(), projection(), Devices(devices=2), "trains on one device"),
    ]
    for how, looks, devices, said in asked:
        with pytest.raises(SpecError, match=said):
            train_generator(IMAGES, how, tmp_path, seed=0, compute=compute, projection=looks, devices=devices)
    assert not list(tmp_path.iterdir())


def test_a_setting_that_is_not_set_is_in_no_record() -> None:
    assert "discriminator" not in settings(discriminator=None).model_dump()
    said = settings().model_dump(mode="json")["discriminator"]
    assert said == {"kind": "projected", "features": {"kind": "random_network"}, "width": 4}
    assert Projected.model_validate(said) == settings().discriminator
