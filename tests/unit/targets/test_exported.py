"""A file of torch.export becomes a target if it is trusted."""

import logging
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from ganguard.base.compute import Compute
from ganguard.base.errors import TargetError
from ganguard.targets.programs.exported import ExportedTarget


class Paint(nn.Module):
    def __init__(self, gain: float = 1.0) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(gain))

    def forward(self, z: Tensor) -> Tensor:
        return (self.gain * z.flatten(1)[:, :1, None, None]).tanh().expand(-1, 1, 4, 4)


class TwoInputs(nn.Module):
    def forward(self, z: Tensor, c: Tensor) -> Tensor:
        return (z + c)[:, :1, None, None].tanh().expand(-1, 1, 4, 4)


def _save(path: Path, *codes: Tensor, module: nn.Module | None = None, free: bool = False) -> ExportedTarget:
    shapes = tuple({0: torch.export.Dim("n")} for _ in codes) if free else None
    torch.export.save(torch.export.export(module or Paint(), codes, dynamic_shapes=shapes), path)
    return ExportedTarget(exported=str(path), trusted=True)


@pytest.mark.parametrize(
    ("shape", "free"),
    [((64, 3), False), ((64, 3), True), ((1, 3), False), ((7, 3), False), ((2, 3, 1, 1), True)],
)
def test_codes_of_any_shape_in_batches_of_any_size(
    tmp_path: Path, compute: Compute, shape: tuple[int, ...], free: bool
) -> None:
    target = _save(tmp_path / "g.pt2", torch.zeros(shape), free=free).load(compute)
    assert (target.latent_dim, target.image_shape) == (3, (1, 4, 4))
    codes = torch.tensor([[9.0, 0, 0], [-9.0, 0, 0]]).repeat(40, 1)
    assert target.generate(codes)[:, 0, 0, 0].tolist() == [255, 0] * 40


@pytest.mark.parametrize("there", [True, False])
def test_a_file_that_is_not_trusted_is_not_opened(
    tmp_path: Path, compute: Compute, there: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if there:
        _save(tmp_path / "g.pt2", torch.zeros(2, 3))
    monkeypatch.setattr(torch.export, "load", lambda *_: pytest.fail("it was opened"))
    with pytest.raises(TargetError, match=r"g\.pt2: a file of torch.export can run code"):
        ExportedTarget(exported=str(tmp_path / "g.pt2")).load(compute)


@pytest.mark.parametrize("content", [b"", b"no program", b"PK\x03\x04 a broken zip"])
def test_a_damaged_file_is_one_line_and_nothing_is_logged(
    tmp_path: Path, compute: Compute, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "g.pt2").write_bytes(content)
    with (
        caplog.at_level(logging.DEBUG),
        pytest.raises(TargetError, match=r"g\.pt2: not a file that this torch") as refusal,
    ):
        ExportedTarget(exported=str(tmp_path / "g.pt2"), trusted=True).load(compute)
    assert len(str(refusal.value).splitlines()) == 1
    assert not caplog.records


def test_two_inputs_and_an_absent_file_are_one_line(tmp_path: Path, compute: Compute) -> None:
    codes = torch.zeros(64, 3)
    with pytest.raises(TargetError, match="it must have one input, the codes; got 2"):
        _save(tmp_path / "g.pt2", codes, codes, module=TwoInputs()).load(compute)
    with pytest.raises(TargetError, match=r"absent\.pt2: no such file"):
        ExportedTarget(exported=str(tmp_path / "absent.pt2"), trusted=True).load(compute)


def test_the_identity_is_of_the_file(tmp_path: Path, compute: Compute) -> None:
    one, other = (
        _save(tmp_path / f"{gain}.pt2", torch.zeros(64, 3), module=Paint(gain)).load(compute).identity
        for gain in (1.0, 2.0)
    )
    assert one != other


class Normed(nn.Module):
    """A generator with values in [0, 255] whose BatchNorm may be exported in training mode."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(3)

    def forward(self, z: Tensor) -> Tensor:
        return (self.norm(z)[:, :, None, None].tanh().expand(-1, -1, 4, 4) + 1) * 127.5


@pytest.mark.parametrize("trained", [True, False])
def test_an_export_in_training_mode_is_refused_and_a_range_is_taken(
    trained: bool, tmp_path: Path, compute: Compute
) -> None:
    settings = _save(tmp_path / "g.pt2", torch.randn(64, 3), module=Normed().train(trained))
    with pytest.raises(TargetError, match=r"Set `range: \[0, 255\]`"):
        settings.load(compute)
    stated = settings.model_copy(update={"range": (0.0, 255.0)})
    if trained:
        with pytest.raises(TargetError, match="BatchNorm in training mode"):
            stated.load(compute)
    else:
        assert stated.load(compute).image_shape == (3, 4, 4)
