"""Differentially private updates, against one image at a time; what is spent, and what is refused."""

import builtins
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from ganguard.architectures.checkpoint import read_description
from ganguard.architectures.networks import DiscriminatorNetwork, build_networks, parse_architecture
from ganguard.base.cache import file_digest
from ganguard.base.compute import Compute
from ganguard.base.errors import CheckpointError, SpecError
from ganguard.base.images import to_float
from ganguard.base.seeds import seeded_weights
from ganguard.base.settings import parse
from ganguard.training import differential_privacy as module
from ganguard.training.differential_privacy import (
    DifferentialPrivacy,
    Guarantee,
    PrivateTraining,
    PrivateUpdates,
    guarantee_of,
)
from ganguard.training.loop import train_generator
from ganguard.training.losses import LOSSES

BATCH = 8
LOSS = LOSSES["non_saturating"]


def _guarantee(sigma: float = 0.0, rate: float = 0.4, norm: float = 0.05) -> Guarantee:
    return Guarantee(None, 1e-5, sigma, norm, rate, 1)


def _discriminator() -> DiscriminatorNetwork:
    with seeded_weights(0):
        settings = parse_architecture(
            {"kind": "dcgan", "width": 4, "latent_dim": 4, "discriminator_norm": "group"}
        )
        return build_networks(settings, (1, 8, 8)).discriminator


def _bytes(count: int, seed: int = 0) -> Tensor:
    return torch.randint(
        0, 256, (count, 1, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed)
    )


def _moved(guarantee: Guarantee, images: Tensor, fake: Tensor, seed: int = 1) -> list[Tensor]:
    """Return what one update subtracts from each parameter of D under plain descent with step 1: the
    gradient."""
    D = _discriminator()
    before = [parameter.detach().clone() for parameter in D.parameters()]
    updates = PrivateUpdates(D, torch.optim.SGD(D.parameters(), lr=1.0), guarantee, BATCH)
    updates.update(images, fake, LOSS, torch.Generator().manual_seed(seed))
    return [old - new.detach() for old, new in zip(before, D.parameters(), strict=True)]


def _gradients(D: nn.Module, value: Tensor) -> list[Tensor]:
    return list(torch.autograd.grad(value, list(D.parameters())))


def _slowly(guarantee: Guarantee, images: Tensor, fake: Tensor, seed: int = 1) -> list[Tensor]:
    """Return the same, computed image by image (Abadi et al. 2016, algorithm 1), without noise."""
    D = _discriminator()
    total = [torch.zeros_like(parameter) for parameter in D.parameters()]
    drawn = torch.rand(len(images), generator=torch.Generator().manual_seed(seed)) < guarantee.sample_rate
    for image in to_float(images)[drawn]:
        found = _gradients(D, LOSS.real(D(image[None])))
        length = math.sqrt(sum(g.double().square().sum().item() for g in found))
        total = [
            t + g * min(1.0, guarantee.max_grad_norm / length) for t, g in zip(total, found, strict=True)
        ]
    return [t / BATCH + g for t, g in zip(total, _gradients(D, LOSS.fake(D(fake))), strict=True)]


@pytest.mark.parametrize("norm", [1e-3, 0.05, 100.0])
def test_an_update_is_what_images_give_one_by_one(norm: float) -> None:
    images, fake = _bytes(20), to_float(_bytes(BATCH, seed=5))
    fast, slow = (work(_guarantee(norm=norm), images, fake) for work in (_moved, _slowly))
    for a, b in zip(fast, slow, strict=True):
        assert torch.allclose(a, b, rtol=1e-4, atol=1e-7)


def test_one_image_more_moves_an_update_by_no_more_than_it_may() -> None:
    images, fake = _bytes(20), to_float(_bytes(BATCH, seed=5))
    others = images.clone()
    others[3] = 255
    guarantee = _guarantee(rate=1.0)
    apart = [
        a - b for a, b in zip(_moved(guarantee, images, fake), _moved(guarantee, others, fake), strict=True)
    ]
    length = math.sqrt(sum(d.square().sum().item() for d in apart))
    assert 0 < length <= 2 * guarantee.max_grad_norm / BATCH * (1 + 1e-4)


def test_noise_is_of_the_stated_strength_and_an_empty_sample_gets_it_too() -> None:
    images, fake = _bytes(20), to_float(_bytes(BATCH, seed=5))
    quiet = _moved(_guarantee(rate=1e-9), images, fake)
    loud = _moved(_guarantee(rate=1e-9, sigma=3.0), images, fake)
    noise = torch.cat([(a - b).flatten() for a, b in zip(loud, quiet, strict=True)])
    assert len(noise) > 600
    assert noise.std().item() == pytest.approx(3.0 * 0.05 / BATCH, rel=0.12)
    assert abs(noise.mean().item()) < 5 * noise.std().item() / math.sqrt(len(noise))


def test_more_privacy_takes_more_noise_and_is_kept() -> None:
    found = [
        guarantee_of(DifferentialPrivacy(epsilon=e), images=1000, batch_size=32, updates=500)
        for e in (None, 50.0, 10.0, 3.0)
    ]
    sigmas = [g.noise_multiplier for g in found]
    assert sigmas == sorted(sigmas)
    assert sigmas[0] == 0
    for wanted, guarantee in zip((50, 10, 3), found[1:], strict=True):
        assert 0.95 * wanted < (guarantee.epsilon or 0) <= wanted * 1.005
    assert found[0].epsilon is None


def test_the_other_accountant_needs_less_noise_for_the_same_bound() -> None:
    rdp, prv = (
        guarantee_of(DifferentialPrivacy(epsilon=3, accountant=by), images=1000, batch_size=32, updates=100)
        for by in ("rdp", "prv")
    )
    assert 0 < prv.noise_multiplier < rdp.noise_multiplier
    assert (prv.epsilon or 9) <= 3 * 1.01
    assert prv.said()["accountant"].startswith("prv, opacus")


def _settings(**changes: object) -> PrivateTraining:
    architecture = {"kind": "dcgan", "width": 4, "latent_dim": 4, "discriminator_norm": "group"}
    said = {
        "architecture": architecture,
        "batch_size": BATCH,
        "steps": 12,
        "differential_privacy": {"epsilon": 5, "noise_seed": 0},
        **changes,
    }
    return parse(PrivateTraining, said, "train")


def test_a_private_training_goes_on_to_the_same_bits_and_says_what_it_spent(
    tmp_path: Path, compute: Compute
) -> None:
    class Killed(Exception):
        pass

    def kill(done: int, total: int, note: str = "") -> None:
        if done >= 50:
            raise Killed

    settings, images = _settings(steps=55, checkpoint_every=12), _bytes(40)
    whole = train_generator(images, settings, tmp_path / "whole", seed=0, compute=compute)
    with pytest.raises(Killed):
        train_generator(images, settings, tmp_path / "cut", seed=0, compute=compute, progress=kill)
    resumed = train_generator(images, settings, tmp_path / "cut", seed=0, compute=compute)
    for name in ("generator", "discriminator"):
        assert file_digest(whole / f"{name}.safetensors") == file_digest(resumed / f"{name}.safetensors")
    states = [load_file(path / "training.safetensors") for path in (tmp_path / "whole", tmp_path / "cut")]
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])
    said = read_description(whole).provenance["differential_privacy"]
    assert said["epsilon"] == pytest.approx(5, rel=0.02)
    assert (said["delta"], said["sample_rate"], said["updates"]) == (1e-5, 0.2, 55)


def _weights(images: Tensor, directory: Path, compute: Compute, **how: Any) -> str:
    """Train without a noise seed, and return the digest of D, which all of the secret numbers change."""
    settings = _settings(differential_privacy={"epsilon": 5}, steps=4, **how)
    return file_digest(train_generator(images, settings, directory, seed=0, compute=compute) / _D)


_D = "discriminator.safetensors"


@pytest.mark.slow
def test_the_secret_comes_from_the_system_is_kept_by_a_killed_run_and_left_by_none(
    tmp_path: Path, compute: Compute, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = _bytes(40)
    assert _weights(images, tmp_path / "one", compute) != _weights(images, tmp_path / "two", compute)
    ends = [load_file(tmp_path / name / "training.safetensors") for name in ("one", "two")]
    left = [end["secret/_extra_state"] for end in ends]
    assert torch.equal(*left)  # what a finished run leaves tells nothing of its secret
    assert "noise_seed" not in (tmp_path / "one" / "checkpoint" / "checkpoint.json").read_text()

    class Killed(Exception):
        pass

    def seed(value: int) -> None:
        monkeypatch.setattr(module, "randbits", lambda bits: value)

    def kill(training: Any, *, at_end: bool) -> None:
        if at_end:
            raise Killed

    seed(1)
    whole = _weights(images, tmp_path / "whole", compute, checkpoint_every=2)
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr("ganguard.training.update.GANTraining.forget", kill)
        _weights(images, tmp_path / "cut", compute, checkpoint_every=2)
    seed(2)  # the run that goes on draws another one, and takes the one that was saved
    assert _weights(images, tmp_path / "cut", compute, checkpoint_every=2) == whole
    assert _weights(images, tmp_path / "other", compute, checkpoint_every=2) != whole


def test_losses_on_real_images_are_told_to_no_journal(tmp_path: Path, compute: Compute) -> None:
    class Noted:
        def __init__(self) -> None:
            self.names: list[set[str]] = []

        def begins(self, step: int) -> None: ...

        def losses(self, step: int, losses: dict[str, float], *, images_per_second: float) -> None:
            self.names.append(set(losses))

        def judged(self, step: int, score: float) -> None: ...

        def samples(self, step: int, images: Tensor) -> None: ...

    for privacy, wanted in (({"epsilon": 5}, {"G"}), (None, {"D", "G"})):
        noted, settings = Noted(), _settings(differential_privacy=privacy, steps=2)
        there = tmp_path / str(wanted)
        train_generator(_bytes(40), settings, there, seed=0, compute=compute, journal=noted)
        assert noted.names == [wanted]


def test_the_noise_of_a_private_training_is_for_its_own_steps(tmp_path: Path, compute: Compute) -> None:
    """With more steps the same noise would spend more than the bound."""
    train_generator(_bytes(40), _settings(steps=2), tmp_path, seed=0, compute=compute)
    with pytest.raises(CheckpointError, match="differentially private training is chosen for all its steps"):
        train_generator(_bytes(40), _settings(steps=3), tmp_path, seed=0, compute=compute)


def test_the_bound_does_not_cover_what_a_training_began_with(tmp_path: Path, compute: Compute) -> None:
    begun = train_generator(_bytes(40), _settings(steps=1), tmp_path / "begun", seed=0, compute=compute)
    settings = _settings(steps=1, beginning={"checkpoint": str(begun)})
    on = train_generator(_bytes(40), settings, tmp_path / "on", seed=0, compute=compute)
    said = read_description(on).provenance["differential_privacy"]
    assert said["not_covered"] == "the training of the checkpoint it began with"
    assert "not_covered" not in read_description(begun).provenance["differential_privacy"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"architecture": "sngan"}, "sngan's D has layers whose gradients cannot be separated"),
        ({"architecture": "dcgan"}, "BatchNorm in D mixes the images"),
        ({"differential_privacy": {"epsilon": -1}}, "greater than 0.01"),
        ({"differential_privacy": {"epsilon": 3, "delta": 0}}, "greater than 0"),
        ({"differential_privacy": {}}, "this key is required"),
    ],
)
def test_what_cannot_be_private_is_refused_at_the_door(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(SpecError, match=said):
        _settings(**changes)


def test_a_batch_of_all_images_is_refused() -> None:
    with pytest.raises(SpecError, match="batch_size must be below the number of images, 8"):
        guarantee_of(DifferentialPrivacy(epsilon=1.0), images=8, batch_size=8, updates=5)


def test_without_opacus_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    real: Callable[..., Any] = builtins.__import__

    def without(name: str, *rest: Any, **named: Any) -> Any:
        if name.partition(".")[0] == "opacus":
            raise ImportError(name)
        return real(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(SpecError, match=r"pip install 'ganguard\[dp\]'"):
        guarantee_of(DifferentialPrivacy(epsilon=1.0), images=100, batch_size=8, updates=5)
