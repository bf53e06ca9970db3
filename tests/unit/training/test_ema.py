import pytest
import torch
from torch import Tensor, nn

from ganguard.training.ema import EMA


def _drift(module: nn.Module, generator: torch.Generator) -> None:
    """Change a generator as an update does: weights and running statistics move, and BatchNorm counts."""
    for tensor in module.state_dict().values():
        if tensor.is_floating_point():
            tensor.add_(torch.randn(tensor.shape, generator=generator))
        else:
            tensor.add_(3)


def _twin(average: dict[str, Tensor], state: dict[str, Tensor], decay: float, step: int) -> dict[str, Tensor]:
    """Apply the formula of the docstring, one tensor at a time in float64."""
    kept = min(decay, (1 + step) / (10 + step))
    return {
        key: kept * average[key] + (1 - kept) * value.double() if value.is_floating_point() else value.clone()
        for key, value in state.items()
    }


@pytest.mark.parametrize("decay", [0.0, 0.5, 0.999])
def test_it_follows_the_formula_buffers_included(decay: float) -> None:
    module, generator = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4)), torch.Generator().manual_seed(0)
    ema = EMA(module, decay)
    wanted = {
        key: value.double() if value.is_floating_point() else value
        for key, value in module.state_dict().items()
    }
    for step in range(20):
        _drift(module, generator)
        ema.update(step)
        wanted = _twin(wanted, module.state_dict(), decay, step)
    found = ema.module.state_dict()
    assert found["1.num_batches_tracked"].item() == 60
    for key, value in wanted.items():
        assert torch.allclose(found[key].double(), value.double(), atol=1e-5), key


def test_without_decay_it_is_the_module_bit_for_bit() -> None:
    module = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    ema = EMA(module, 0.0)
    _drift(module, torch.Generator().manual_seed(1))
    ema.update(5)
    assert all(torch.equal(ema.module.state_dict()[key], value) for key, value in module.state_dict().items())


def test_the_random_beginning_is_forgotten() -> None:
    """With the bare decay 0.999, nine tenths of the first weights would still be there after 100 steps."""
    module = nn.Linear(1, 1, bias=False)
    nn.init.constant_(module.weight, 1000.0)
    ema = EMA(module, 0.999)
    nn.init.zeros_(module.weight)
    for step in range(100):
        ema.update(step)
    assert abs(ema.module.weight.item()) < 1e-3


def test_given_weights_are_forgotten_as_slowly_as_all_others() -> None:
    """decay^100 of them is left after 100 steps, not the 8e-11 that a second warm-up would leave after 50."""
    module = nn.Linear(1, 1, bias=False)
    nn.init.constant_(module.weight, 1000.0)
    ema = EMA(module, 0.997, warm_up=False)
    nn.init.zeros_(module.weight)
    for step in range(100):
        ema.update(step)
    assert ema.module.weight.item() == pytest.approx(1000 * 0.997**100, rel=1e-5)


def test_the_average_is_a_network_of_its_own() -> None:
    module = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2)).train()
    ema = EMA(module, 0.9)
    before = ema.module.state_dict()["0.weight"].clone()
    nn.init.constant_(module[0].weight, 7.0)
    assert torch.equal(ema.module.state_dict()["0.weight"], before)
    assert module.training and not ema.module.training
    assert not any(p.requires_grad for p in ema.module.parameters())
    assert all(p.requires_grad for p in module.parameters())
