"""A training that goes on from given weights: what is published begins with them, and forgets them slowly."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from ganguard.architectures.checkpoint import load_checkpoint
from ganguard.architectures.networks import build_networks, parse_architecture
from ganguard.base.compute import Compute
from ganguard.base.errors import SpecError
from ganguard.base.labels import Labels
from ganguard.base.seeds import seeded_weights
from ganguard.training.initial_weights import RANDOM_WEIGHTS, InitialWeights
from ganguard.training.loop import train_generator
from ganguard.training.settings import TrainingSettings

DECAY = 0.99
IMAGES = torch.arange(20 * 64).remainder(251).to(torch.uint8).view(20, 1, 8, 8)


def _settings(kind: str = "sngan", **values: object) -> TrainingSettings:
    architecture = {"kind": kind, "width": 4, "latent_dim": 4}
    usual = {"steps": 3, "batch_size": 8, "n_dis": 1, "learning_rate_decay": "none", "learning_rate": 0.01}
    return TrainingSettings.model_validate({"architecture": architecture, **usual, **values})


def _train(directory: Path, begin: InitialWeights = RANDOM_WEIGHTS, **values: object) -> Path:
    settings = _settings(**values)  # pyright: ignore[reportArgumentType]
    return train_generator(IMAGES, settings, directory, seed=0, compute=Compute(), initial_weights=begin)


def _weights(checkpoint: Path) -> dict[str, Tensor]:
    state = load_checkpoint(checkpoint).networks.generator.state_dict()
    return {key: value.double() for key, value in state.items() if value.is_floating_point()}


@pytest.mark.parametrize("kind", ["sngan", "dcgan", "pggan"])
def test_the_average_of_given_weights_forgets_them_at_the_stated_pace(tmp_path: Path, kind: str) -> None:
    """After three steps it is d^3 w_0 + (1 - d)(d^2 w_1 + d w_2 + w_3), closed form of the moving average."""
    stolen = _train(tmp_path / "stolen", kind=kind)
    begin = InitialWeights(checkpoint=stolen)
    published = _weights(_train(tmp_path / "on", begin, kind=kind, ema_decay=DECAY))
    w = [_weights(stolen)] + [
        _weights(_train(tmp_path / f"last {steps}", begin, kind=kind, ema_decay=0.0, steps=steps))
        for steps in (1, 2, 3)
    ]
    assert any(not torch.equal(w[0][key], w[3][key]) for key in w[0])
    for key, found in published.items():
        wanted = DECAY**3 * w[0][key] + (1 - DECAY) * (DECAY**2 * w[1][key] + DECAY * w[2][key] + w[3][key])
        assert torch.allclose(found, wanted, atol=1e-6), key


def test_a_g_of_random_weights_beside_a_given_d_is_still_forgotten_at_once(tmp_path: Path) -> None:
    """The white box hands over D alone: after one step the average is a tenth of the random weights."""
    D = load_checkpoint(_train(tmp_path / "stolen")).networks.discriminator
    begin = InitialWeights(discriminator=D)
    published = _weights(_train(tmp_path / "on", begin, ema_decay=DECAY, steps=1))
    after = _weights(_train(tmp_path / "last", begin, ema_decay=0.0, steps=1))
    with seeded_weights(0):
        random = build_networks(_settings().architecture, (1, 8, 8)).generator.state_dict()
    for key, found in published.items():
        assert torch.allclose(found, 0.1 * random[key].double() + 0.9 * after[key], atol=1e-6), key


class Killed(Exception):
    """Raised by a test in place of a kill."""


def test_a_killed_training_from_given_weights_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    stolen = _train(tmp_path / "stolen")
    settings, begin = _settings(steps=52, checkpoint_every=12, ema_decay=DECAY), InitialWeights(stolen)

    def kill(done: int, total: int, note: str = "") -> None:
        if done >= 50:
            raise Killed

    whole = train_generator(
        IMAGES, settings, tmp_path / "whole", seed=0, compute=Compute(), initial_weights=begin
    )
    for progress in (kill, lambda done, total, note="": None):
        try:
            cut = train_generator(
                IMAGES,
                settings,
                tmp_path / "cut",
                seed=0,
                compute=Compute(),
                initial_weights=begin,
                progress=progress,
            )
        except Killed:
            continue
    assert load_checkpoint(cut).digest() == load_checkpoint(whole).digest()  # pyright: ignore[reportPossiblyUnboundVariable]


def test_a_discriminator_whose_state_holds_more_than_tensors_gives_its_weights() -> None:
    """Another house's D may have extra state, and its weights in bfloat16."""
    architecture, shape = parse_architecture({"kind": "dcgan", "width": 4, "latent_dim": 5}), (1, 8, 8)

    def with_more(dtype: torch.dtype) -> nn.Module:
        D = build_networks(architecture, shape).discriminator
        D.__class__ = type("Extra", (type(D),), {"get_extra_state": lambda _: {"steps": 7}})
        return D.to(dtype)

    digests: set[str] = set()
    for dtype in (torch.float32, torch.bfloat16):
        theirs = with_more(dtype)
        begin = InitialWeights(discriminator=theirs)
        begin.require_fits(architecture, shape)
        digests.add(begin.digest())
        networks = build_networks(architecture, shape)
        begin.put_into(networks)
        given = dict(theirs.named_parameters())
        assert all(
            torch.equal(p, given[name].float()) for name, p in networks.discriminator.named_parameters()
        )
    assert len(digests) == 2


def test_a_checkpoint_that_numbers_its_classes_otherwise_is_not_gone_on_with(tmp_path: Path) -> None:
    """Each class would go on from the weights of another one, and nothing would show it."""
    how = _settings(architecture={"kind": "sngan", "width": 4, "latent_dim": 4, "classes": 2})
    both = Labels(torch.arange(20) % 2, ("cat", "dog"))

    def train(place: str, labels: Labels, begin: InitialWeights = RANDOM_WEIGHTS) -> Path:
        given = {"compute": Compute(), "initial_weights": begin, "labels": labels}
        return train_generator(IMAGES, how, tmp_path / place, seed=0, **given)  # pyright: ignore[reportArgumentType]

    stolen = InitialWeights(checkpoint=train("stolen", both))
    train("on", both, stolen)
    message = r"its class 0 is 'cat', and the images' is 'dog'\. Give images .*, or begin with a checkpoint"
    with pytest.raises(SpecError, match=message):
        train("other", Labels(both.numbers, ("dog", "cat")), stolen)
    assert not (tmp_path / "other").exists()
    stolen.require_fits(how.architecture, (1, 8, 8), classes=("cat", "dog"))
    with pytest.raises(SpecError, match="its class 0 is 'cat', and the target's is 'dog'"):
        stolen.require_fits(how.architecture, (1, 8, 8), classes=("dog", "cat"))
