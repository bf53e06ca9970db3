import pytest
import torch
from scipy import stats
from torch import Tensor

from ganguard.defences.input_linear_interpolation import LinearInterpolation
from ganguard.defences.streams import Streams


def _moved(count: int = 64, width: int = 8, seed: int = 0, **settings: object) -> tuple[Tensor, Tensor]:
    z = torch.randn(count, width, generator=torch.Generator().manual_seed(seed))
    streams = Streams.drawn(count, torch.Generator().manual_seed(seed + 100))
    return z, LinearInterpolation.model_validate(settings).move(z, streams)


def _share(z: Tensor, row: Tensor) -> list[tuple[int, int, float]]:
    """Every (i, j, t) for which `row` is (1 - t) z[i] + t z[j]."""
    found: list[tuple[int, int, float]] = []
    for i in range(len(z)):
        for j in range(len(z)):
            along = z[j] - z[i]
            t = ((row - z[i]) @ along / (along @ along)).item() if i != j else 0.0
            if i != j and torch.allclose(z[i] + t * along, row, atol=1e-5):
                found.append((i, j, t))
    return found


def test_each_point_lies_on_a_line_from_its_code_to_another_of_its_request() -> None:
    z, moved = _moved(12)
    for i, row in enumerate(moved):
        mine = [(j, t) for start, j, t in _share(z, row) if start == i]
        assert len(mine) == 1
        assert 0 <= mine[0][1] <= 0.5


def test_points_and_endpoints_are_as_many_as_asked_for() -> None:
    z, moved = _moved(24, endpoints=3, points=2)
    found = [min(_share(z, row), key=lambda line: line[2]) for row in moved]
    assert {i for i, _, _ in found} | {j for _, j, _ in found} == {0, 1, 2}
    assert {round(t, 4) for _, _, t in found} == {0.25, 0.5}


def test_a_code_that_is_sent_twice_in_a_request_of_its_own_is_not_moved() -> None:
    """What docs/threat-model.md says of clients that send codes."""
    z = torch.randn(1, 8, generator=torch.Generator().manual_seed(0)).expand(2, -1)
    streams = Streams.drawn(2, torch.Generator().manual_seed(1))
    assert torch.allclose(LinearInterpolation().move(z, streams), z, atol=1e-6)
    longer = LinearInterpolation(preserve_distribution=True).move(z, streams)
    ratio = longer / z
    assert torch.allclose(ratio, ratio[:, :1].expand_as(ratio))
    assert (ratio >= 1 - 1e-6).all()
    assert (ratio <= 2**0.5 + 1e-6).all()


def test_norms_shrink_as_they_must() -> None:
    """Of (1 - t) z + t z' with independent z and z', t uniform in [0, 1/2], the mean squared norm is E[(1-t)²
    + t²] = 2/3."""
    ratios = []
    for seed in range(60):
        z, moved = _moved(64, 16, seed)
        ratios.append((moved.square().sum() / z.square().sum()).item())
    assert sum(ratios) / len(ratios) == pytest.approx(2 / 3, abs=0.01)


def test_the_preserving_variant_stays_in_the_prior() -> None:
    rows = torch.cat([_moved(64, 16, seed, preserve_distribution=True)[1] for seed in range(30)])
    assert stats.kstest(rows[:, 3].numpy(), "norm").pvalue > 1e-3
    assert rows.var(0).mean().item() == pytest.approx(1, abs=0.03)
    plain = torch.cat([_moved(64, 16, seed)[1] for seed in range(30)])
    assert stats.kstest(plain[:, 3].numpy(), "norm").pvalue < 1e-6


@pytest.mark.parametrize("preserve", [False, True])
def test_a_request_of_one_code_is_defended_too(preserve: bool) -> None:
    z, moved = _moved(1, preserve_distribution=preserve)
    assert moved.shape == z.shape
    assert not torch.allclose(moved, z, atol=1e-3)


def test_two_codes_are_each_others_ends() -> None:
    z, moved = _moved(2)
    for i, row in enumerate(moved):
        assert [line[:2] for line in _share(z, row) if line[0] == i] == [(i, 1 - i)]


def test_gradients_reach_the_codes() -> None:
    z = torch.randn(4, 3, requires_grad=True)
    LinearInterpolation().move(z, Streams.drawn(4, torch.Generator().manual_seed(0))).sum().backward()
    assert z.grad is not None
    assert z.grad.sum().item() == pytest.approx(12)  # the weights of each point add up to 1
