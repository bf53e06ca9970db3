import pytest
import torch
from torch import Tensor, nn

from ganguard.base.compute import Compute
from ganguard.base.errors import StepError
from ganguard.base.seeds import seeded_weights
from ganguard.training.supervised import train_classifier


def _halves(count: int) -> tuple[Tensor, Tensor]:
    """Noise whose left or right half is lit: the label says which."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 100, (count, 1, 6, 6), generator=generator)
    labels = torch.arange(count) % 2
    images[labels == 0, :, :, :3] += 100
    images[labels == 1, :, :, 3:] += 100
    return images.to(torch.uint8), labels


def _network(seed: int = 0) -> nn.Module:
    with seeded_weights(seed):
        return nn.Sequential(nn.Flatten(), nn.Linear(36, 2))


def test_an_easy_task_is_learnt(compute: Compute) -> None:
    images, labels = _halves(200)
    network = train_classifier(_network(), images[:100], labels[:100], steps=60, seed=0, compute=compute)
    held_out = network(images[100:].float() / 127.5 - 1).argmax(1)
    assert (held_out == labels[100:]).float().mean().item() > 0.95
    assert not network.training


def test_the_seed_decides_the_weights(compute: Compute) -> None:
    images, labels = _halves(50)
    weights = [
        train_classifier(_network(), images, labels, steps=5, seed=seed, compute=compute)[1].weight.detach()
        for seed in (0, 0, 1)
    ]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_global_random_state_is_left_alone(compute: Compute) -> None:
    before = torch.get_rng_state()
    train_classifier(_network(), *_halves(10), steps=3, seed=0, compute=compute)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_classifier_that_diverges_says_so(compute: Compute) -> None:
    network = _network()
    nn.init.constant_(network[1].weight, float("nan"))
    with pytest.raises(StepError, match="the classifier diverged: its loss is nan at step 3"):
        train_classifier(network, *_halves(10), steps=3, seed=0, compute=compute)


def test_progress_ends_at_the_last_step(compute: Compute) -> None:
    calls: list[tuple[int, int]] = []
    progress = lambda done, total, note="": calls.append((done, total))  # noqa: E731
    train_classifier(_network(), *_halves(10), steps=60, seed=0, compute=compute, progress=progress)
    assert calls == [(50, 60), (60, 60)]
