import os
import pickle
import warnings
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from ganguard.base.compute import Compute
from ganguard.base.errors import TargetError
from ganguard.targets.programs.torchscript import TorchScriptTarget


class Paint(nn.Module):
    def __init__(self, gain: float) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(gain))

    def forward(self, z: Tensor) -> Tensor:
        return (self.gain * z[:, :1, None, None]).tanh().expand(-1, 1, 4, 4)


def _save(path: Path, gain: float = 1.0) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", DeprecationWarning
        )  # torch deprecates TorchScript; users' files still are in it
        torch.jit.save(torch.jit.script(Paint(gain)), path)
    return path


def _settings(path: Path, **values: object) -> TorchScriptTarget:
    return TorchScriptTarget(**{"torchscript": str(path), "latent_dim": 3, "trusted": True, **values})


def test_a_trusted_file_is_a_target(tmp_path: Path, compute: Compute) -> None:
    target = _settings(_save(tmp_path / "g.ts")).load(compute)
    assert target.image_shape == (1, 4, 4)
    assert target.generate(torch.tensor([[9.0, 0, 0], [-9.0, 0, 0]]))[:, 0, 0, 0].tolist() == [255, 0]


@pytest.mark.parametrize("there", [True, False])
def test_a_file_that_is_not_trusted_is_not_opened(tmp_path: Path, compute: Compute, there: bool) -> None:
    path = tmp_path / "g.ts"
    if there:
        _save(path)
    settings = TorchScriptTarget(torchscript=str(path), latent_dim=3)
    with pytest.raises(TargetError, match=r"g\.ts: TorchScript can run code\. Set `trusted: true`"):
        settings.load(compute)


def test_an_absent_file_is_named(tmp_path: Path, compute: Compute) -> None:
    with pytest.raises(TargetError, match=r"g\.ts: no such file"):
        _settings(tmp_path / "g.ts").load(compute)


@pytest.mark.parametrize("content", [b"", b"no TorchScript", b"PK\x03\x04 a broken zip"])
def test_what_is_no_torchscript_is_refused_in_one_line(
    tmp_path: Path, compute: Compute, content: bytes
) -> None:
    (tmp_path / "g.ts").write_bytes(content)
    with pytest.raises(TargetError, match=r"g\.ts: not a TorchScript file") as caught:
        _settings(tmp_path / "g.ts").load(compute)
    assert "\n" not in str(caught.value)


class Bomb:
    def __init__(self, proof: Path) -> None:
        self.proof = proof

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.proof),)


@pytest.mark.parametrize("write", [torch.save, lambda value, path: path.write_bytes(pickle.dumps(value))])
def test_even_a_trusted_pickle_is_not_run(tmp_path: Path, compute: Compute, write: object) -> None:
    write(Bomb(tmp_path / "it-ran"), tmp_path / "g.ts")
    with pytest.raises(TargetError, match="not a TorchScript file"):
        _settings(tmp_path / "g.ts").load(compute)
    assert not (tmp_path / "it-ran").exists()


def test_the_wrong_latent_dim_is_the_generators_to_refuse(tmp_path: Path, compute: Compute) -> None:
    class Linear(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(3, 16)

        def forward(self, z: Tensor) -> Tensor:
            return self.layer(z).tanh().view(-1, 1, 4, 4)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.save(torch.jit.script(Linear()), tmp_path / "g.ts")
    with pytest.raises(TargetError, match=r"raised on codes \(64, 4\): RuntimeError: mat1 and mat2 shapes"):
        _settings(tmp_path / "g.ts", latent_dim=4).load(compute)


def test_the_identity_is_of_the_file(tmp_path: Path, compute: Compute) -> None:
    paths = [_save(tmp_path / name, gain) for name, gain in (("a.ts", 1.0), ("b.ts", 2.0))]
    one, other = (_settings(path).load(compute).identity for path in paths)
    assert one != other
    assert one == _settings(paths[0]).load(compute).identity


class Conv(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.up = nn.ConvTranspose2d(3, 1, 4)

    def forward(self, z: Tensor) -> Tensor:
        return self.up(z).tanh()


def test_codes_are_given_in_the_shape_that_is_said(tmp_path: Path, compute: Compute) -> None:
    """As DCGAN's generator takes them. TorchScript does not say what it takes."""
    path = tmp_path / "dcgan.ts"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.save(torch.jit.trace(Conv(), torch.zeros(2, 3, 1, 1)), path)
    with pytest.raises(TargetError, match=r"raised on codes \(64, 3\).* set `latent_shape`"):
        _settings(path).load(compute)
    target = TorchScriptTarget(torchscript=str(path), trusted=True, latent_shape=(3, 1, 1)).load(compute)
    assert (target.latent_dim, target.image_shape) == (3, (1, 4, 4))
    assert target.sample(range(70), seed=0).shape == (70, 1, 4, 4)
